"""Etags, page tokens, field masks, names: the mechanics that every resource shares."""

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from hypothesis import given
from hypothesis import strategies as st
from verbund.registry.v1 import project_service_pb2 as pb
from verbund.registry.v1.types_pb2 import LocalizedText, Period
from verbund.resources import etags, masks, names, pages
from verbund.serving.refusals import Invalid, Stale

ALLOWED = ("title", "title.de", "title.en", "status", "period", "period.end_date", "parties")


@given(st.integers(0, 2**60), st.integers(0, 2**60))
def test_an_etag_stands_for_one_revision_of_one_resource(first: int, second: int) -> None:
    """Two revisions never share an etag, nor do two resources."""
    assert (etags.etag_of(first, "projects/a.b") == etags.etag_of(second, "projects/a.b")) is (first == second)
    assert etags.etag_of(first, "projects/a.b") != etags.etag_of(first, "projects/a.c")


def test_an_etag_is_checked_where_it_is_given() -> None:
    """None means that the caller does not mind."""
    etags.check("", "now", "projects/a.b")
    etags.check("now", "now", "projects/a.b")
    with pytest.raises(Stale):
        etags.check("then", "now", "projects/a.b")


@given(st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=200), st.integers())
def test_a_page_token_gives_back_its_position(name: str, number: int) -> None:
    """Whatever the position holds."""
    arguments = pages.arguments_of(pb.ListProjectsRequest(filter="a"), "organisations/a")
    assert pages.decode(pages.encode(arguments, name, number), arguments, str, int) == [name, number]


@given(st.text(max_size=300) | st.binary(max_size=300).map(lambda b: b.hex()))
def test_a_page_token_that_is_none_is_refused(text: str) -> None:
    """Garbage is INVALID_ARGUMENT, never a crash."""
    if text:
        with pytest.raises(Invalid) as caught:
            pages.decode(text, b"x" * 12, str)
        assert caught.value.reason == "CURSOR_INVALID"


@pytest.mark.parametrize("name", ["a\0b", "\ud800"])
def test_a_page_token_names_what_can_be_stored(name: str) -> None:
    """A forged token whose position no text in the database can equal is refused, not looked for."""
    with pytest.raises(Invalid):
        pages.decode(pages.encode(b"x" * 12, name), b"x" * 12, str)


def test_a_page_token_fits_its_own_arguments_only() -> None:
    """Another filter, another caller, another list: refused; another page size is fine."""
    request = pb.ListProjectsRequest(filter="a")
    token = pages.encode(pages.arguments_of(request, "organisations/a"), "projects/a.b")
    other = pb.ListProjectsRequest(filter="a", page_size=7, page_token=token)
    assert pages.decode(token, pages.arguments_of(other, "organisations/a"), str) == ["projects/a.b"]
    for arguments in (
        pages.arguments_of(pb.ListProjectsRequest(filter="b"), "organisations/a"),
        pages.arguments_of(request, "organisations/b"),
        pages.arguments_of(pb.SearchProjectsRequest(query="a"), "organisations/a"),
    ):
        with pytest.raises(Invalid):
            pages.decode(token, arguments, str)


def test_page_sizes_are_bounded() -> None:
    """0 means the default; nobody gets more than the maximum."""
    assert [pages.size(n) for n in (0, 1, 50, 5000)] == [50, 1, 50, 1000]


def project() -> pb.Project:
    """A project with some fields."""
    return pb.Project(
        title=LocalizedText(de="Alt", en="Old"),
        status=pb.PROJECT_STATUS_PREPARATION,
        period=Period(start_date="2022", end_date="2026"),
    )


def test_a_mask_changes_what_it_names_and_nothing_else() -> None:
    """A nested path leaves its siblings; a named field that is not set is cleared."""
    target, source = project(), pb.Project(title=LocalizedText(de="Neu"))
    masks.apply(target, source, ["title.de", "period.end_date"])
    assert (target.title.de, target.title.en) == ("Neu", "Old")
    assert (target.period.start_date, target.period.end_date) == ("2022", "")
    assert target.status == pb.PROJECT_STATUS_PREPARATION


def test_an_empty_mask_means_what_is_set_and_a_star_everything() -> None:
    """As AIP-134 has it."""
    source = pb.Project(title=LocalizedText(de="Neu"))
    assert masks.paths(FieldMask(), source, ALLOWED) == ["title"]
    assert masks.paths(FieldMask(paths=["*"]), source, ALLOWED) == ["title", "status", "period", "parties"]
    assert masks.paths(FieldMask(paths=["status", "status"]), source, ALLOWED) == ["status"]


def test_a_mask_that_names_what_cannot_change_is_refused() -> None:
    """The refusal names each path."""
    with pytest.raises(Invalid) as caught:
        masks.paths(FieldMask(paths=["owner", "title", "nonsense.deep"]), project(), ALLOWED)
    assert [violation.path for violation in caught.value.violations] == ["update_mask", "update_mask"]
    assert "'owner'" in caught.value.violations[0].description
    with pytest.raises(Invalid) as caught:
        masks.paths(FieldMask(paths=["a"] * 1_000_000), project(), ALLOWED)
    assert len(caught.value.violations) == 1


def test_names_know_their_organisation() -> None:
    """A name that is below none is an error."""
    assert names.organisation_of("organisations/a/systems/b") == "organisations/a"
    assert names.last("strategies/gdb/measures/x") == "x"
    for wrong in ("projects/a", "organisations/", "organisations", ""):
        with pytest.raises(ValueError, match="not a name below an organisation"):
            names.organisation_of(wrong)
