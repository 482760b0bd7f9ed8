"""What a request asks of Jaeger's query API, and the bounds of it. Pure.

The parameters are those that Jaeger's own server reads (its cmd/query/app/query_parser.go): times in microseconds,
durations as Go writes them, tags as a JSON object of texts.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from starlette.datastructures import QueryParams

from verbund.traces.spans import NANOS_MAX

MICROSECOND, MILLISECOND, SECOND = 1_000, 1_000_000, 1_000_000_000
DAY = 86_400 * SECOND
LIMIT, LIMIT_MAX = 100, 1500  # the UI offers no more
LOOKBACK = 2 * DAY
DEPENDENCY_LOOKBACK = DAY
IDS_MAX = 100
TAGS_MAX = 32
TEXT_CHARS_MAX = 1000
TRACE_ID = re.compile(r"[0-9a-f]{1,32}", re.IGNORECASE)
INTEGER = re.compile(r"[0-9]{1,18}")
DURATION = re.compile(r"(?:[0-9]{1,15}(?:\.[0-9]{0,9})?(?:ns|us|µs|μs|ms|s|m|h|d|w))+")
PIECE = re.compile(r"([0-9.]+)([a-zµμ]+)")
UNITS = {
    "ns": 1,
    "us": MICROSECOND,
    "µs": MICROSECOND,
    "μs": MICROSECOND,
    "ms": MILLISECOND,
    "s": SECOND,
    "m": 60 * SECOND,
    "h": 3600 * SECOND,
    "d": DAY,  # the UI's lookback has days and weeks, Go's durations have not
    "w": 7 * DAY,
}


class BadQuery(ValueError):  # noqa: N818 - says what is the case
    """A parameter is missing or wrong. The message names it, says what it takes, and does not repeat what was sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """Which traces are wanted: those with a span for which all of this is true. Times are Unix nanoseconds."""

    service: str
    operation: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    start_nanos: int = 0
    end_nanos: int = NANOS_MAX
    duration_nanos_min: int = 0
    duration_nanos_max: int = NANOS_MAX
    limit: int = LIMIT


@dataclass(frozen=True, slots=True)
class Period:
    """From when to when, in Unix nanoseconds."""

    start_nanos: int
    end_nanos: int


def search_of(parameters: QueryParams, *, now_nanos: int) -> Search:
    """What is searched for; raises BadQuery."""
    service = text(parameters, "service")
    if not service:
        raise BadQuery("parameter 'service' is required")
    end = number(parameters, "end", MICROSECOND, now_nanos)
    lookback = LOOKBACK if parameters.get("start", "") else duration(parameters, "lookback", LOOKBACK)
    shortest = duration(parameters, "minDuration", 0)
    longest = duration(parameters, "maxDuration", NANOS_MAX)
    if longest < shortest:
        raise BadQuery("'maxDuration' should be greater than 'minDuration'")
    limit = number(parameters, "limit", 1, LIMIT)
    if not 0 < limit <= LIMIT_MAX:
        raise BadQuery(f"parameter 'limit' takes 1 to {LIMIT_MAX}")
    return Search(
        service=service,
        operation=text(parameters, "operation"),
        tags=tags_of(parameters),
        start_nanos=number(parameters, "start", MICROSECOND, max(0, end - lookback)),
        end_nanos=end,
        duration_nanos_min=shortest,
        duration_nanos_max=longest,
        limit=limit,
    )


def period_of(parameters: QueryParams, *, now_nanos: int) -> Period:
    """When the calls were made that dependencies are counted from: `lookback` before `endTs`, both milliseconds."""
    end = number(parameters, "endTs", MILLISECOND, now_nanos)
    return Period(max(0, end - number(parameters, "lookback", MILLISECOND, DEPENDENCY_LOOKBACK)), end)


def ids_of(parameters: QueryParams) -> Sequence[str]:
    """The traces that are asked for by their ids, none where it is a search; raises BadQuery."""
    found = parameters.getlist("traceID")
    if len(found) > IDS_MAX:
        raise BadQuery(f"parameter 'traceID' may stand {IDS_MAX} times")
    return list(dict.fromkeys(trace_id_of(text) for text in found))


def trace_id_of(text: str) -> str:
    """A trace's id in full; leading zeros may be left out. Raises BadQuery."""
    if not TRACE_ID.fullmatch(text):
        raise BadQuery("a trace id has at most 32 hex digits")
    return text.lower().zfill(32)


def text(parameters: QueryParams, name: str) -> str:
    """A text of bounded length."""
    found = parameters.get(name, "")
    if len(found) > TEXT_CHARS_MAX:
        raise BadQuery(f"parameter '{name}' may have {TEXT_CHARS_MAX} characters")
    return found


def number(parameters: QueryParams, name: str, unit: int, default: int) -> int:
    """A whole number of units, or the default where it is not given."""
    found = parameters.get(name, "")
    if not found:
        return default
    if not INTEGER.fullmatch(found):
        raise BadQuery(f"unable to parse param '{name}': it takes a whole number")
    return min(int(found) * unit, NANOS_MAX)


def duration(parameters: QueryParams, name: str, default: int) -> int:
    """Nanoseconds, of a duration such as 1.5s, 100ms or 1h30m."""
    found = parameters.get(name, "")
    if not found:
        return default
    if not DURATION.fullmatch(found):
        raise BadQuery(f"unable to parse param '{name}': it takes a duration such as 1.5s, 100ms or 1h30m")
    return min(round(sum(float(count) * UNITS[unit] for count, unit in PIECE.findall(found))), NANOS_MAX)


def tags_of(parameters: QueryParams) -> Mapping[str, str]:
    """The tags that a span must have: `tag=key:value`, and `tags` as a JSON object of texts."""
    found: dict[str, str] = {}
    for pair in parameters.getlist("tag"):
        key, colon, value = pair.partition(":")
        if not colon:
            raise BadQuery("malformed 'tag' parameter, expecting key:value")
        found[key] = value
    for document in parameters.getlist("tags"):
        found |= stated_in(document)
    if len(found) > TAGS_MAX:
        raise BadQuery(f"at most {TAGS_MAX} tags can be asked for")
    return found


def stated_in(document: str) -> dict[str, str]:
    """The tags of a JSON object; nothing stands for none, as the UI sends it."""
    try:
        found = json.loads(document) if document else {}
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise BadQuery("malformed 'tags' parameter, expecting a JSON object whose values are texts")
    return found
