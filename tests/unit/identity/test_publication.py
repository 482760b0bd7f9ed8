"""The published files: whole or not there, and rewritten only where they would say something else."""

import json
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from verbund.identity.keys import publication
from verbund.identity.keys.publication import FOREVER, entry_of, turn, write_jwks, write_revocations

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
KEPT = timedelta(minutes=7)


def row(kind: str, until: datetime | None) -> dict[str, Any]:
    state = None if kind == "jti" else "active" if until else "suspended"
    return {"kind": kind, "value": "x", "state": state, "until": until}


def test_a_suspension_has_no_end_until_it_is_ended() -> None:
    """While it lasts every token is refused, whenever it was issued; afterwards those issued up to its end."""
    assert entry_of(row("org", None), KEPT) == {"kind": "org", "value": "x", "before": FOREVER, "expires": FOREVER}
    noon = int(NOON.timestamp())
    ended = {"kind": "sub", "value": "x", "before": noon, "expires": noon + 420}
    assert entry_of(row("sub", NOON + timedelta(milliseconds=900)), KEPT) == ended


def test_a_revoked_token_is_listed_until_it_expires() -> None:
    """It was issued before it expires, so that is the second that covers it."""
    noon = int(NOON.timestamp())
    assert entry_of(row("jti", NOON), KEPT) == {"kind": "jti", "value": "x", "before": noon, "expires": noon}


def test_a_file_that_says_the_same_is_left_alone(tmp_path: Path) -> None:
    """Whoever watches it is not woken for nothing."""
    jwks, revocations = tmp_path / "jwks.json", tmp_path / "revocations.json"
    keys = [{"jwk": '{"kty": "EC"}'}]
    write_jwks(jwks, keys)
    write_revocations(revocations, [], now=NOON)
    before = (jwks.stat().st_ino, revocations.stat().st_ino)
    write_jwks(jwks, keys)
    write_revocations(revocations, [], now=NOON)
    assert (jwks.stat().st_ino, revocations.stat().st_ino) == before
    assert json.loads(jwks.read_bytes()) == {"keys": [{"kty": "EC"}]}


def test_the_version_goes_up_with_every_change(tmp_path: Path) -> None:
    """Also where the clock stands still or went back."""
    path = tmp_path / "revocations.json"
    path.write_text(json.dumps({"version": FOREVER * 1000, "entries": []}))
    write_revocations(path, [entry_of(row("org", None), KEPT)], now=NOON)
    assert json.loads(path.read_bytes())["version"] == FOREVER * 1000 + 1


def test_a_file_that_cannot_be_read_is_replaced(tmp_path: Path) -> None:
    """Half a file, or something else altogether."""
    path = tmp_path / "revocations.json"
    for content in ('{"version": 1, "entr', "[]", '{"version": "x", "entries": []}', '{"version": 1, "entries": null}'):
        path.write_text(content)
        write_revocations(path, [], now=NOON)
        assert json.loads(path.read_bytes())["entries"] == []


def test_what_a_killed_writer_left_is_overwritten(tmp_path: Path) -> None:
    """Its temporary file is no obstacle, and never seen under the real name."""
    (tmp_path / ".jwks.json.new").write_text('{"keys": [{"kty": "E')
    write_jwks(tmp_path / "jwks.json", [])
    assert json.loads((tmp_path / "jwks.json").read_bytes()) == {"keys": []}
    assert [path.name for path in tmp_path.iterdir()] == ["jwks.json"]


def test_writers_take_turns(tmp_path: Path) -> None:
    """While one has its turn, no other has; afterwards the next may."""
    lock = tmp_path / publication.LOCK
    with turn(lock) as first, turn(lock) as second:
        assert first
        assert not second
    with turn(lock) as third:
        assert third


def test_a_file_is_whole_at_any_moment(tmp_path: Path) -> None:
    """Readers that look all the time never see a part of one."""
    path, stop, read = tmp_path / "revocations.json", threading.Event(), list[int]()
    write_revocations(path, [], now=NOON)

    def reading() -> None:
        while not stop.is_set():
            read.append(len(json.loads(path.read_bytes())["entries"]))

    reader = threading.Thread(target=reading)
    reader.start()
    for count in range(100):
        write_revocations(path, [entry_of(row("org", None), KEPT)] * count, now=NOON)
    stop.set()
    reader.join()
    assert read == sorted(read)
    assert read
