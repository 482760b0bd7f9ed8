"""What a query of Jaeger's API may ask."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as some
from starlette.datastructures import QueryParams
from verbund.traces.query import BadQuery, Period, Search, ids_of, period_of, search_of, trace_id_of
from verbund.traces.spans import NANOS_MAX

NOW = 1_800_000_000_000_000_000
SECOND = 1_000_000_000
DAY = 86_400 * SECOND


def search(query: str) -> Search:
    """What a query string searches for."""
    return search_of(QueryParams(query), now_nanos=NOW)


def test_a_search_as_the_ui_sends_it() -> None:
    """Times are microseconds, durations Go's, tags a JSON object of texts; what it does not need it may send empty."""
    found = search(
        "service=registry&operation=GetProject&limit=20&lookback=1h&start=1700000000000000&end=1700003600000000"
        "&minDuration=1.5ms&maxDuration=1h30m&tags=%7B%22error%22%3A%22true%22%7D&tag=http.route:/a:b"
    )
    assert found == Search(
        service="registry",
        operation="GetProject",
        tags={"error": "true", "http.route": "/a:b"},
        start_nanos=1_700_000_000 * SECOND,
        end_nanos=1_700_003_600 * SECOND,
        duration_nanos_min=1_500_000,
        duration_nanos_max=5400 * SECOND,
        limit=20,
    )


def test_what_is_left_out_has_jaegers_defaults() -> None:
    """A hundred traces of the last two days, or of the time to look back."""
    found = search("service=registry&operation=&minDuration=&maxDuration=&tags=&start=&end=")
    assert (found.limit, found.start_nanos, found.end_nanos) == (100, NOW - 2 * DAY, NOW)
    assert (found.duration_nanos_min, found.duration_nanos_max, found.tags) == (0, NANOS_MAX, {})
    assert search("service=registry&lookback=6h").start_nanos == NOW - DAY // 4
    assert search("service=registry&lookback=custom&start=1").start_nanos == 1000


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("", "'service' is required"),
        ("service=", "'service' is required"),
        ("service=" + "x" * 1001, "'service' may have 1000 characters"),
        ("service=x&limit=0", "'limit' takes 1 to 1500"),
        ("service=x&limit=1501", "'limit' takes 1 to 1500"),
        ("service=x&limit=-1", "'limit'"),
        ("service=x&start=yesterday", "'start'"),
        ("service=x&end=1e9", "'end'"),
        ("service=x&end=" + "9" * 19, "'end'"),
        ("service=x&end=\uff11", "'end'"),
        ("service=x&minDuration=5", "'minDuration': it takes a duration"),
        ("service=x&maxDuration=1,5s", "'maxDuration'"),
        ("service=x&minDuration=2s&maxDuration=1s", "greater than 'minDuration'"),
        ("service=x&lookback=custom", "'lookback'"),
        ("service=x&tag=error", "expecting key:value"),
        ("service=x&tags=error%3Dtrue", "expecting a JSON object"),
        ("service=x&tags=%5B%5D", "expecting a JSON object"),
        ("service=x&tags=%7B%22a%22%3A1%7D", "values are texts"),
        ("service=x&tags=" + "[" * 100_000, "expecting a JSON object"),
        ("service=x" + "".join(f"&tag=a{number}:b" for number in range(33)), "at most 32 tags"),
    ],
)
def test_what_is_wrong_is_said_by_name_and_not_repeated(query: str, said: str) -> None:
    """Nothing that a caller sent stands in the message."""
    with pytest.raises(BadQuery) as raised:
        search(query)
    assert said in str(raised.value)
    assert "yesterday" not in str(raised.value)


def test_ids_are_hex_and_may_lack_leading_zeros() -> None:
    """Jaeger's own clients leave them out; each trace is asked for once."""
    assert ids_of(QueryParams("traceID=AB&traceID=0ab&traceID=1")) == ["ab".zfill(32), "1".zfill(32)]
    for wrong in ("", "xyz", "a" * 33, "0x1", "\uff11"):
        with pytest.raises(BadQuery):
            trace_id_of(wrong)
    with pytest.raises(BadQuery, match="100 times"):
        ids_of(QueryParams("&".join(f"traceID={number}" for number in range(101))))


def test_dependencies_are_asked_for_in_milliseconds() -> None:
    """A time and how long before it; by default the last day."""
    stated = QueryParams("endTs=1700000000000&lookback=3600000")
    assert period_of(stated, now_nanos=NOW) == Period(1_699_996_400 * SECOND, 1_700_000_000 * SECOND)
    assert period_of(QueryParams(""), now_nanos=NOW) == Period(NOW - DAY, NOW)


@given(some.text(max_size=200))
def test_any_query_is_understood_or_refused(query: str) -> None:
    """Whatever stands there: a search within the bounds, or BadQuery."""
    for name in ("", "limit=", "start=", "minDuration=", "lookback=", "tags=", "traceID="):
        with contextlib.suppress(BadQuery):
            parameters = QueryParams(f"service=x&{name}{query}")
            ids_of(parameters)
            found = search_of(parameters, now_nanos=NOW)
            assert 0 < found.limit <= 1500
            assert 0 <= found.start_nanos <= NANOS_MAX
            assert 0 <= found.duration_nanos_min <= found.duration_nanos_max <= NANOS_MAX
