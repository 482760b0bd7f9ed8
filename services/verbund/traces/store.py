"""The writing side of the trace store: one SQLite database in WAL mode, one writer, bounded in bytes and in days."""

import json
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import structlog

from verbund.traces.spans import Span

SCHEMA_VERSION = 2
SCHEMA = """
CREATE TABLE spans (
    id INTEGER PRIMARY KEY,           -- grows with every arrival: the oldest are the lowest
    trace_id BLOB NOT NULL,
    span_id BLOB NOT NULL,
    parent_id BLOB NOT NULL,          -- empty for a root
    received_seconds INTEGER NOT NULL,
    service TEXT NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    start_nanos INTEGER NOT NULL,
    end_nanos INTEGER NOT NULL,
    status TEXT NOT NULL,
    message TEXT NOT NULL,
    attributes TEXT NOT NULL,         -- a JSON object
    links TEXT NOT NULL,              -- a JSON array of [trace id, span id]
    shortened INTEGER NOT NULL,
    UNIQUE (trace_id, span_id)
) STRICT;
CREATE INDEX spans_by_service ON spans (service, start_nanos, name, kind);
-- The links of spans the other way round: from a trace to those that belong with it.
CREATE TABLE links (
    span INTEGER NOT NULL,            -- the id of the span that has the link
    linked_trace_id BLOB NOT NULL,    -- the trace that it names
    PRIMARY KEY (span, linked_trace_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX links_by_trace ON links (linked_trace_id);
CREATE TABLE counts (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
"""
INSERT = """
INSERT INTO spans (trace_id, span_id, parent_id, received_seconds, service, name, kind, start_nanos, end_nanos, status,
                   message, attributes, links, shortened)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (trace_id, span_id) DO NOTHING
"""
INSERT_LINK = """
INSERT INTO links (span, linked_trace_id) SELECT id, ? FROM spans WHERE trace_id = ? AND span_id = ?
ON CONFLICT DO NOTHING
"""
COUNT = """
INSERT INTO counts (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value
"""
# Spans arrive in order of id, so everything below the first young one is old; a batch at a time, so that nobody waits.
DELETE_OLD = """
DELETE FROM spans
WHERE id < coalesce((SELECT id FROM spans WHERE received_seconds >= ? ORDER BY id LIMIT 1), 9223372036854775807)
  AND id < (SELECT min(id) FROM spans) + 5000
"""
DELETE_OLDEST_TENTH = """
DELETE FROM spans WHERE id <= (SELECT min(id) + (max(id) - min(id)) / 10 FROM spans)
"""
# Both delete the lowest ids only, so what is below the lowest that is left belongs to nothing.
DELETE_LINKS = """
DELETE FROM links WHERE span < coalesce((SELECT min(id) FROM spans), 9223372036854775807)
"""
USED_BYTES = """
SELECT (pages.page_count - free.freelist_count) * size.page_size
FROM pragma_page_count AS pages, pragma_freelist_count AS free, pragma_page_size AS size
"""

SLACK_SHARE = 8  # an eighth of the size is for what one request adds, and for the write-ahead log
BATCHES_MAX = 1000
BUSY_SECONDS = 5.0

log = structlog.get_logger(__name__)


class Store:
    """Takes spans in. Safe for threads. A database that cannot be read, or is of another version, is put aside."""

    def __init__(
        self, path: Path, *, bytes_max: int, age_seconds_max: float, clock: Callable[[], float] = time.time
    ) -> None:
        self._trim_bytes = bytes_max - bytes_max // SLACK_SHARE
        self._age_seconds_max = age_seconds_max
        self._clock = clock
        self._writing = threading.Lock()
        self._database = opened(path)

    def add(self, spans: Sequence[Span], *, refused: int = 0) -> int:
        """Commits the spans that are not there yet and returns how many that were; `refused` is added to the counts.

        Raises sqlite3.Error where nothing could be committed.
        """
        received = int(self._clock())
        rows = [row_of(span, received) for span in spans]
        links = [row for span in spans for row in link_rows_of(span)]
        with self._writing:
            with transaction(self._database):
                stored = self._database.executemany(INSERT, rows).rowcount if rows else 0
                self._database.executemany(INSERT_LINK, links)
                counts = {"stored": stored, "repeated": len(rows) - stored, "refused": refused}
                self._database.executemany(COUNT, [(name, value) for name, value in counts.items() if value])
            self._trim()
        return stored

    def sweep(self) -> int:
        """Deletes what is older than the bound and returns how many spans that were."""
        oldest = int(self._clock() - self._age_seconds_max)
        deleted = 0
        for _ in range(BATCHES_MAX):
            with self._writing:
                batch = self._delete(DELETE_OLD, "expired", oldest)
            deleted += batch
            if not batch:
                break
        return deleted

    def close(self) -> None:
        """Ends the writing; the write-ahead log goes into the database."""
        with self._writing:
            self._database.close()

    def _trim(self) -> None:
        """Makes room where the database is too large: the oldest tenth goes, until it fits."""
        while self._used_bytes() > self._trim_bytes and self._delete(DELETE_OLDEST_TENTH, "crowded_out"):
            pass

    def _delete(self, statement: str, reason: str, *arguments: int) -> int:
        """Deletes spans, counts them under `reason`, and gives their pages back to the file system."""
        with transaction(self._database):
            deleted = self._database.execute(statement, arguments).rowcount
            if deleted:
                self._database.execute(DELETE_LINKS)
                self._database.execute(COUNT, (reason, deleted))
        if deleted:
            self._database.execute("PRAGMA incremental_vacuum").fetchall()
            log.info("spans deleted", reason=reason, spans=deleted)
        return deleted

    def _used_bytes(self) -> int:
        return int(self._database.execute(USED_BYTES).fetchone()[0])


@contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[None]:
    """Commits what is done within, or rolls it back."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
        database.execute("COMMIT")
    finally:
        if database.in_transaction:  # a full disk rolls back by itself
            database.execute("ROLLBACK")


def row_of(span: Span, received_seconds: int) -> tuple[object, ...]:
    """A span as INSERT takes it."""
    return (
        bytes.fromhex(span.trace_id),
        bytes.fromhex(span.span_id),
        bytes.fromhex(span.parent_id),
        received_seconds,
        span.service,
        span.name,
        span.kind,
        span.start_nanos,
        span.end_nanos,
        span.status,
        span.message,
        json.dumps(span.attributes, ensure_ascii=False, separators=(",", ":")),
        json.dumps([[link.trace_id, link.span_id] for link in span.links], separators=(",", ":")),
        span.shortened,
    )


def link_rows_of(span: Span) -> Iterator[tuple[bytes, bytes, bytes]]:
    """A span's links to other traces as INSERT_LINK takes them."""
    for link in span.links:
        if link.trace_id != span.trace_id:
            yield bytes.fromhex(link.trace_id), bytes.fromhex(span.trace_id), bytes.fromhex(span.span_id)


def opened(path: Path) -> sqlite3.Connection:
    """The database at `path`, 0600, made where it is missing. Old telemetry is never worth a failed start."""
    make_private(path)
    try:
        return connected(path)
    except sqlite3.OperationalError:
        raise  # no disk, no right: a new file would not help
    except sqlite3.DatabaseError as error:
        aside = path.with_suffix(".unreadable")
        log.warning("trace store put aside", path=str(aside), cause=str(error))
        path.replace(aside)
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
    make_private(path)
    return connected(path)


def make_private(path: Path) -> None:
    """Makes the file, or takes the one that is there, for its owner alone; SQLite gives its log the same mode."""
    os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o600))
    path.chmod(0o600)


def connected(path: Path) -> sqlite3.Connection:
    """A connection with the present schema; raises sqlite3.DatabaseError where the file is another thing."""
    database = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        for pragma in PRAGMAS:
            database.execute(f"PRAGMA {pragma}").fetchall()
        version = database.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            database.executescript(f"BEGIN IMMEDIATE; {SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
        elif version != SCHEMA_VERSION:
            raise sqlite3.DatabaseError(f"version {version}, not {SCHEMA_VERSION}")
    except sqlite3.Error:
        database.close()
        raise
    return database


# What is committed survives the end of the process; the last moments before a power failure are not worth an fsync.
PRAGMAS = (
    "auto_vacuum = INCREMENTAL",
    "journal_mode = WAL",
    "synchronous = NORMAL",
    "journal_size_limit = 4194304",
)
