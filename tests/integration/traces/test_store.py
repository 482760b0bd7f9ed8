"""The trace store: what is kept, for how long, and how much."""

import sqlite3
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from verbund.traces.reader import AmbiguousId, NoTraces, Reader
from verbund.traces.spans import Link, Span
from verbund.traces.store import Store

from tests.support.clock import Clock

MIB = 1024 * 1024
DAY = 86_400
BYTES_MAX = 56 * MIB


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "traces.sqlite"


@pytest.fixture
def store(path: Path, clock: Clock) -> Iterator[Store]:
    store = Store(path, bytes_max=BYTES_MAX, age_seconds_max=7 * DAY, clock=clock)
    yield store
    store.close()


def span(trace: int, number: int = 1, *, text: str = "", **other: object) -> Span:
    """A span whose ids are numbers."""
    fields = {"parent_id": "", "service": "registry", "name": "GetProject", "kind": "server"} | other
    ids = {"trace_id": f"{trace:032x}", "span_id": f"{number:016x}"}
    return Span(**ids, **fields, start_nanos=1, end_nanos=2, attributes={"text": text})  # type: ignore[arg-type]


def test_a_span_is_read_as_it_was_written(store: Store, path: Path) -> None:
    """Attributes and links included."""
    written = span(1, text="größe", links=[Link("ab" * 16, "cd" * 8)], status="error", message="down", shortened=3)
    assert store.add([written]) == 1
    with Reader(path) as reader:
        assert reader.trace(written.trace_id) == [written]


def test_a_span_sent_twice_is_there_once(store: Store, path: Path) -> None:
    """An exporter that saw no answer sends again; the first one counts."""
    store.add([span(1, 1), span(1, 2)])
    assert store.add([span(1, 2, name="again"), span(1, 3), span(1, 3)]) == 1
    with Reader(path) as reader:
        assert [found.name for found in reader.trace(f"{1:032x}")] == ["GetProject"] * 3
        assert reader.counts() == {"stored": 3, "repeated": 2}


def test_spans_go_when_their_time_is_over_and_not_before(store: Store, path: Path, clock: Clock) -> None:
    """A week, counted from their arrival."""
    store.add([span(1)])
    clock.now += 4 * DAY
    store.add([span(2)])
    clock.now += 3 * DAY - 1
    assert store.sweep() == 0
    clock.now += 2
    assert store.sweep() == 1
    with Reader(path) as reader:
        assert [found.trace_id for found in reader.latest(9)] == [f"{2:032x}"]
        assert reader.counts()["expired"] == 1


def test_the_database_stays_within_its_bytes_and_the_oldest_go_first(store: Store, path: Path) -> None:
    """Nearly twice what fits: the files are never larger than the bound, log included, and the newest span is there."""
    largest = 0
    for number in range(1, 101):
        store.add([span(number, part, text="x" * 15_000) for part in range(1, 65)])
        largest = max(largest, sum(file.stat().st_size for file in path.parent.glob("traces.sqlite*")))
    assert BYTES_MAX // 2 < largest <= BYTES_MAX
    with Reader(path) as reader:
        counts = reader.counts()
        assert len(reader.trace(f"{100:032x}")) == 64
        assert not reader.trace(f"{1:032x}")
        assert counts["stored"] == 6400
        assert 0 < counts["crowded_out"] < 6400


def test_only_its_owner_may_read_it(store: Store, path: Path) -> None:
    """The database and its log are 0600, whatever the umask says."""
    store.add([span(1)])
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert set(modes.values()) == {0o600}
    assert "traces.sqlite-wal" in modes


@pytest.mark.parametrize("content", [b"this is no database" * 100, b"SQLite format 3\x00" + b"\xff" * 5000])
def test_a_file_that_is_no_database_is_put_aside(path: Path, content: bytes) -> None:
    """The mesh starts all the same, and the file is kept for whoever wants to look."""
    path.write_bytes(content)
    store = Store(path, bytes_max=BYTES_MAX, age_seconds_max=DAY)
    assert store.add([span(1)]) == 1
    store.close()
    assert path.with_suffix(".unreadable").read_bytes() == content


def test_a_database_of_another_version_is_put_aside(path: Path) -> None:
    """An older or newer program's spans are not guessed at."""
    with sqlite3.connect(path) as other:
        other.execute("PRAGMA user_version = 99")
    other.close()
    store = Store(path, bytes_max=BYTES_MAX, age_seconds_max=DAY)
    assert store.add([span(1)]) == 1
    store.close()
    assert path.with_suffix(".unreadable").exists()


def test_a_failed_write_leaves_the_store_usable(store: Store, path: Path) -> None:
    """An error is told, nothing of the request is there, and the next request is stored."""
    bad = span(1, 2, name=None)
    with pytest.raises(sqlite3.IntegrityError):
        store.add([span(1), bad])
    assert store.add([span(3)]) == 1
    with Reader(path) as reader:
        assert not reader.trace(f"{1:032x}")


def test_the_first_digits_of_an_id_are_enough(store: Store, path: Path) -> None:
    """If they mean one trace; odd numbers of digits count too."""
    store.add([span(0xABC << 116), span(0xABD << 116), span(0xAE << 120)])
    with Reader(path) as reader:
        assert reader.complete("abd") == f"{0xABD << 116:032x}"
        assert reader.complete("ae") == f"{0xAE << 120:032x}"
        assert reader.complete("f") is None
        with pytest.raises(AmbiguousId):
            reader.complete("ab")
        for wrong in ("", "xyz", "a" * 33):
            with pytest.raises(ValueError, match=r"hex"):
                reader.complete(wrong)


def test_the_latest_traces_come_first_with_their_root(store: Store, path: Path) -> None:
    """One line a trace: its root's name, how many spans, how many errors."""
    store.add([span(1, 2, parent_id=f"{1:016x}", name="child", status="error"), span(1, 1, name="root")])
    store.add([span(2)])
    with Reader(path) as reader:
        newest, older = reader.latest(10)
        assert newest.trace_id == f"{2:032x}"
        assert (older.name, older.spans, older.services, older.errors) == ("root", 2, 1, 1)


def test_reading_needs_a_store(path: Path) -> None:
    """A command before the first `verbund up` is told so, and makes no file."""
    with pytest.raises(NoTraces):
        Reader(path)
    assert not path.exists()


def test_a_trace_knows_those_that_link_to_it(store: Store, path: Path, clock: Clock) -> None:
    """By their start, each once, however many of its spans have the link; not itself, and not what is deleted."""
    first = f"{1:032x}"
    link = Link(first, f"{1:016x}")
    store.add([span(1), span(1, 2, links=[link])])
    store.add([replace(span(3, number, links=[link, link]), start_nanos=30) for number in (1, 2)])
    clock.now += 4 * DAY
    store.add([replace(span(2, links=[link, Link("ab" * 16, "cd" * 8)]), start_nanos=20)])
    store.add([span(2, links=[link])])
    with Reader(path) as reader:
        assert reader.linked(first) == [f"{2:032x}", f"{3:032x}"]
        assert reader.linked(first, limit=1) == [f"{2:032x}"]
        assert reader.linked("ab" * 16) == [f"{2:032x}"]
        assert reader.linked(f"{2:032x}") == []
    clock.now += 4 * DAY
    store.sweep()
    with Reader(path) as reader:
        assert reader.linked(first) == [f"{2:032x}"]
    clock.now += 8 * DAY
    store.sweep()
    store.add([span(9, number) for number in range(1, 9)])  # which get the numbers of those that went
    with Reader(path) as reader:
        assert reader.linked(first) == []
