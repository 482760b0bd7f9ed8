"""What a sender may say of a document, and what of its content."""

import unicodedata
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from verbund.exchange.documents.domain import (
    FILE_NAME_BYTES_MAX,
    Admission,
    Room,
    Upload,
    checked_file_name,
    checked_media_type,
)
from verbund.exchange.http import disposition
from verbund.resources.names import OrganisationName
from verbund.serving.call import Call
from verbund.serving.refusals import Absent, Exhausted, Exists, Invalid, StateForbids

NAME = "organisations/a/deliveries/d/documents/x"
CALL = Call.internal("test", organisation=OrganisationName("organisations/a"))
AT = datetime(2026, 11, 23, tzinfo=UTC)


def announced(name: str = NAME, size_bytes: int = 0, sha256: str = "") -> Upload:
    """An upload."""
    return Upload.announced(CALL, name=name, file_name="a.pdf", media_type="", size_bytes=size_bytes, sha256=sha256)


@given(st.text(max_size=300))
def test_a_file_name_that_is_kept_can_be_stored_anywhere(name: str) -> None:
    """Whatever is let in is one path segment without tricks, composed, and stays what it is when it comes again."""
    try:
        kept = checked_file_name(name)
    except Invalid:
        return
    assert kept == unicodedata.normalize("NFC", name) == checked_file_name(kept)
    assert 0 < len(kept.encode()) <= FILE_NAME_BYTES_MAX
    assert not set(kept) & set("/\\\0\n\r\t\u202e\u2066\u200f")
    assert kept not in {".", ".."}
    head = disposition(kept)
    assert head.isascii()
    assert head.isprintable()
    assert head.count('"') == 2


@pytest.mark.parametrize("name", ["a.pdf", "…", ".bashrc", "a b", "Ü" * 127, "x" * 255, "ﷺ.txt", "合同.docx", "a:b*c?"])
def test_file_names_of_people_are_kept(name: str) -> None:
    """Other alphabets, leading dots and whatever other characters a name has are nobody's business here."""
    assert checked_file_name(name) == name


def test_a_media_type() -> None:
    """By default that of unknown content; with parameters as HTTP writes them."""
    assert checked_media_type("") == "application/octet-stream"
    for kind in ("application/pdf", "text/plain; charset=utf-8", 'multipart/x; boundary="a b"', "image/svg+xml"):
        assert checked_media_type(kind) == kind
    for wrong in ("pdf", "a/b/c", "a/", "text/html\r\nx: y", "text/plain;", "text/*", "ä/b"):
        with pytest.raises(Invalid):
            checked_media_type(wrong)
    assert checked_media_type("a/" + "b" * 125)
    with pytest.raises(Invalid):
        checked_media_type("a/" + "b" * 126)


def test_an_upload_goes_to_the_callers_own_organisation() -> None:
    """Another one's deliveries are not there."""
    assert announced().delivery == "organisations/a/deliveries/d"
    with pytest.raises(Absent):
        announced("organisations/b/deliveries/d/documents/x")
    with pytest.raises(Invalid):
        announced("")


def test_content_is_what_was_said() -> None:
    """Size and digest where they were said; more than was said is refused before all of it is here."""
    assert announced().completed(size_bytes=5, sha256="0" * 64, at=AT).size_bytes == 5
    said = announced(size_bytes=5, sha256="0" * 64)
    assert said.completed(size_bytes=5, sha256="0" * 64, at=AT).media_type == "application/octet-stream"
    for size_bytes, sha256 in ((4, "0" * 64), (6, "0" * 64), (5, "1" * 64)):
        with pytest.raises(Invalid) as caught:
            said.completed(size_bytes=size_bytes, sha256=sha256, at=AT)
        assert caught.value.reason == "DIGEST_MISMATCH"
    said.check_size(5, 10)
    with pytest.raises(Invalid):
        said.check_size(6, 10)
    with pytest.raises(StateForbids):
        announced().check_size(11, 10)


def test_a_room_is_used_to_its_last_byte() -> None:
    """And no further; where less is allowed than there were, nothing comes."""
    Room(600, 1000).require(400)
    for room in (Room(600, 1000), Room(2000, 1000)):
        admission = Admission(announced(), 10_000, room, None)
        with pytest.raises(Exhausted) as caught:
            admission.check(401)
        assert (caught.value.reason, caught.value.retry_seconds) == ("STORAGE_QUOTA_REACHED", None)
        assert caught.value.metadata["storedBytes"] == str(room.stored_bytes)
    whole = Admission(announced(), 10_000, Room(0, 20_000), None)
    whole.check(10_000)
    with pytest.raises(StateForbids):
        whole.check(10_001)


def test_what_is_there_already_takes_no_room() -> None:
    """And brings none: what has more bytes is another content, and is refused before they fill the disk."""
    known = announced().completed(size_bytes=500, sha256="0" * 64, at=AT)
    again = Admission(announced(), 10_000, Room(1000, 1000), known)
    again.check(500)
    with pytest.raises(Exists):
        again.check(501)
