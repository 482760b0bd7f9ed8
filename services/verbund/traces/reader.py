"""The reading side of the trace store, for commands: beside a running writer, or without one."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from verbund.traces.spans import Link, Span

SPANS_MAX = 10_000
RECENT_SPANS = 20_000
TRACE_ID_DIGITS = 32

SELECT_TRACE = """
SELECT trace_id, span_id, parent_id, service, name, kind, start_nanos, end_nanos, status, message, attributes, links,
       shortened
FROM spans WHERE trace_id = ? ORDER BY start_nanos LIMIT ?
"""
SELECT_IDS = """
SELECT DISTINCT trace_id FROM spans WHERE trace_id BETWEEN ? AND ? ORDER BY trace_id LIMIT 2
"""
SELECT_LATEST = """
WITH latest AS (
    SELECT trace_id, max(id) AS last
    FROM (SELECT id, trace_id FROM spans ORDER BY id DESC LIMIT ?)
    GROUP BY trace_id ORDER BY last DESC LIMIT ?
)
SELECT latest.trace_id, count(*) AS spans, count(DISTINCT service) AS services, sum(status = 'error') AS errors,
       min(start_nanos) AS start_nanos, max(end_nanos) AS end_nanos,
       (SELECT first.name FROM spans AS first WHERE first.trace_id = latest.trace_id
        ORDER BY first.parent_id <> x'', first.start_nanos LIMIT 1) AS name
FROM latest JOIN spans USING (trace_id) GROUP BY latest.trace_id ORDER BY latest.last DESC
"""
SELECT_COUNTS = "SELECT name, value FROM counts ORDER BY name"


class NoTraces(Exception):  # noqa: N818 - says what is the case
    """There is no trace store at the path."""


class AmbiguousId(ValueError):  # noqa: N818 - says what is the case
    """More than one trace has an id that begins like this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A trace in one line."""

    trace_id: str
    name: str
    spans: int
    services: int
    errors: int
    start_nanos: int
    end_nanos: int


class Reader:
    """Reads spans. Raises NoTraces where there is no store."""

    def __init__(self, path: Path) -> None:
        try:
            self._database = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
            self._database.execute(SELECT_COUNTS).fetchall()
        except sqlite3.Error as error:
            raise NoTraces(f"there are no traces at {path}: {error}") from None
        self._database.row_factory = sqlite3.Row

    def trace(self, trace_id: str) -> Sequence[Span]:
        """The spans of a trace by their start, at most SPANS_MAX; none where it is not known."""
        rows = self._database.execute(SELECT_TRACE, (bytes.fromhex(trace_id), SPANS_MAX))
        return [span_of(row) for row in rows]

    def complete(self, prefix: str) -> str | None:
        """The one trace id that begins with these hex digits; None where none does. Raises AmbiguousId, ValueError."""
        if not 0 < len(prefix) <= TRACE_ID_DIGITS:
            raise ValueError("a trace id has 32 hex digits")
        lowest, highest = (bytes.fromhex(prefix.ljust(TRACE_ID_DIGITS, digit)) for digit in "0f")
        found = self._database.execute(SELECT_IDS, (lowest, highest)).fetchall()
        if len(found) > 1:
            raise AmbiguousId(f"more than one trace begins with {prefix}; give more digits")
        return found[0]["trace_id"].hex() if found else None

    def latest(self, limit: int) -> Sequence[Summary]:
        """The traces that got a span last, among the last RECENT_SPANS spans."""
        rows = self._database.execute(SELECT_LATEST, (RECENT_SPANS, limit))
        return [Summary(**{**dict(row), "trace_id": row["trace_id"].hex()}) for row in rows]

    def counts(self) -> Mapping[str, int]:
        """How many spans were `stored`, `repeated`, `refused`, `expired`, `crowded_out` since the store was made."""
        return {row["name"]: row["value"] for row in self._database.execute(SELECT_COUNTS)}

    def close(self) -> None:
        """Ends the reading."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def span_of(row: sqlite3.Row) -> Span:
    """A row of SELECT_TRACE as a span."""
    ids = {name: row[name].hex() for name in ("trace_id", "span_id", "parent_id")}
    decoded = {"attributes": json.loads(row["attributes"]), "links": [Link(*link) for link in json.loads(row["links"])]}
    return Span(**{**dict(row), **ids, **decoded})
