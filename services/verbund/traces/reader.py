"""The reading side of the trace store, for commands and queries: beside a running writer, or without one."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from verbund.traces.jaeger import has_tags
from verbund.traces.query import Period, Search
from verbund.traces.spans import Link, Span

SPANS_MAX = 10_000  # of one trace, or of one answer with several
RECENT_SPANS = 20_000
LINKED_MAX = 100
NAMES_MAX = 1000
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
SELECT_LINKED = """
SELECT spans.trace_id, min(spans.start_nanos) AS start_nanos FROM links JOIN spans ON spans.id = links.span
WHERE links.linked_trace_id = ? GROUP BY spans.trace_id ORDER BY start_nanos LIMIT ?
"""
# The next greater name each time: as many steps in the index as there are services, however many spans they have.
SELECT_SERVICES = """
WITH RECURSIVE found (service) AS (
    SELECT min(service) FROM spans
    UNION ALL
    SELECT (SELECT min(service) FROM spans WHERE spans.service > found.service) FROM found WHERE service IS NOT NULL
)
SELECT service FROM found WHERE service IS NOT NULL LIMIT ?
"""
SELECT_OPERATIONS = "SELECT DISTINCT name, kind FROM spans WHERE service = ? ORDER BY name, kind LIMIT ?"
SELECT_MATCHING = """
SELECT trace_id, span_id, parent_id, service, name, kind, start_nanos, end_nanos, status, message, attributes, links,
       shortened
FROM spans
WHERE service = :service AND start_nanos BETWEEN :start AND :end AND (:operation = '' OR name = :operation)
      AND max(0, end_nanos - start_nanos) BETWEEN :shortest AND :longest
ORDER BY start_nanos DESC LIMIT :examined
"""
SELECT_DEPENDENCIES = """
WITH latest AS (
    SELECT trace_id, parent_id, service, start_nanos FROM spans WHERE parent_id <> x'' ORDER BY id DESC LIMIT ?
)
SELECT caller.service AS parent, latest.service AS child, count(*) AS calls
FROM latest JOIN spans AS caller ON caller.trace_id = latest.trace_id AND caller.span_id = latest.parent_id
WHERE caller.service <> latest.service AND latest.start_nanos BETWEEN ? AND ?
GROUP BY caller.service, latest.service ORDER BY caller.service, latest.service
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


@dataclass(frozen=True, slots=True)
class Operation:
    """What the spans of a service are called."""

    name: str
    kind: str


@dataclass(frozen=True, slots=True)
class Dependency:
    """How often one service called another."""

    parent: str
    child: str
    calls: int


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

    def linked(self, trace_id: str, limit: int = LINKED_MAX) -> Sequence[str]:
        """The ids of the traces that link to this one, by their start."""
        return [
            row["trace_id"].hex() for row in self._database.execute(SELECT_LINKED, (bytes.fromhex(trace_id), limit))
        ]

    def services(self) -> Sequence[str]:
        """The names of all services, at most NAMES_MAX."""
        return [row["service"] for row in self._database.execute(SELECT_SERVICES, (NAMES_MAX,))]

    def operations(self, service: str) -> Sequence[Operation]:
        """The names and kinds of a service's spans, at most NAMES_MAX."""
        return [
            Operation(row["name"], row["kind"])
            for row in self._database.execute(SELECT_OPERATIONS, (service, NAMES_MAX))
        ]

    def matching(self, search: Search) -> Sequence[str]:
        """The ids of the traces that are searched for, the latest first, among the latest RECENT_SPANS that fit."""
        stated = {
            "service": search.service,
            "operation": search.operation,
            "start": search.start_nanos,
            "end": search.end_nanos,
            "shortest": search.duration_nanos_min,
            "longest": search.duration_nanos_max,
            "examined": RECENT_SPANS,
        }
        found: dict[str, None] = {}
        for row in self._database.execute(SELECT_MATCHING, stated):
            span = span_of(row)
            if span.trace_id not in found and has_tags(span, search.tags):
                found[span.trace_id] = None
            if len(found) == search.limit:
                break
        return list(found)

    def dependencies(self, period: Period) -> Sequence[Dependency]:
        """Which services called which, and how often, among the last RECENT_SPANS spans."""
        rows = self._database.execute(SELECT_DEPENDENCIES, (RECENT_SPANS, period.start_nanos, period.end_nanos))
        return [Dependency(row["parent"], row["child"], row["calls"]) for row in rows]

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
