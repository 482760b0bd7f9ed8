"""What is kept of a span that somebody sent."""

import contextlib
import json
from typing import Any

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as some
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1 import trace_pb2 as otlp
from verbund.traces.receiver import read
from verbund.traces.repair import repaired
from verbund.traces.spans import ATTRIBUTES_CHARS_MAX, NAME_CHARS_MAX, TEXT_CHARS_MAX, Span, spans_of

IDS: dict[str, Any] = {"trace_id": b"\x01" * 16, "span_id": b"\x02" * 8}


def request_of(*spans: otlp.Span) -> ExportTraceServiceRequest:
    """A request of one service."""
    name = KeyValue(key="service.name", value=AnyValue(string_value="registry"))
    group = otlp.ResourceSpans(resource=Resource(attributes=[name]), scope_spans=[otlp.ScopeSpans(spans=spans)])
    return ExportTraceServiceRequest(resource_spans=[group])


def kept(span: otlp.Span) -> Span:
    """What is kept of one span."""
    spans, refused = spans_of(request_of(span))
    assert not refused
    return spans[0]


def text(key: str, value: str) -> KeyValue:
    """An attribute."""
    return KeyValue(key=key, value=AnyValue(string_value=value))


@pytest.mark.parametrize(
    "ids",
    [
        {"trace_id": b"", "span_id": b"\x02" * 8},
        {"trace_id": b"\x01" * 15, "span_id": b"\x02" * 8},
        {"trace_id": b"\x00" * 16, "span_id": b"\x02" * 8},
        {"trace_id": b"\x01" * 16, "span_id": b"\x00" * 8},
        {"trace_id": b"\x01" * 16, "span_id": b"\x02" * 9},
        {"trace_id": b"\x01" * 16, "span_id": b"\x02" * 8, "parent_span_id": b"\x03"},
    ],
)
def test_a_span_with_malformed_ids_is_refused_and_its_neighbours_are_kept(ids: dict[str, Any]) -> None:
    """Ids are of W3C's length and not all zero; one bad span costs no other."""
    spans, refused = spans_of(request_of(otlp.Span(**ids), otlp.Span(**IDS, name="good")))
    assert ([span.name for span in spans], refused) == (["good"], 1)


def test_a_parent_of_zeros_is_none() -> None:
    """Some senders write a root's parent as zeros."""
    assert kept(otlp.Span(**IDS, parent_span_id=b"\x00" * 8)).parent_id == ""


def test_a_huge_span_is_cut_and_says_so() -> None:
    """No sender can fill the store with one span."""
    attributes = [text(f"{number}", "x" * 100_000) for number in range(1000)]
    span = kept(otlp.Span(**IDS, name="n" * 10_000, attributes=attributes, status=otlp.Status(message="m" * 100_000)))
    assert len(span.name) == NAME_CHARS_MAX
    assert len(span.message) == TEXT_CHARS_MAX
    assert len(json.dumps(span.attributes)) < 2 * ATTRIBUTES_CHARS_MAX
    assert span.shortened >= 1000 - len(span.attributes)


def test_values_become_json() -> None:
    """Every value that OTLP knows can be written as JSON; infinity and NaN as text, deep nesting as null."""
    nested = AnyValue(int_value=7)
    for _ in range(20):
        nested = AnyValue(array_value=ArrayValue(values=[nested]))
    values = {
        "int": AnyValue(int_value=2**62),
        "infinite": AnyValue(double_value=float("inf")),
        "not a number": AnyValue(double_value=float("nan")),
        "bytes": AnyValue(bytes_value=b"secret"),
        "nothing": AnyValue(),
        "deep": nested,
    }
    span = kept(otlp.Span(**IDS, attributes=[KeyValue(key=key, value=value) for key, value in values.items()]))
    assert json.loads(json.dumps(span.attributes, allow_nan=False)) == {
        "int": 2**62,
        "infinite": "inf",
        "not a number": "nan",
        "bytes": "6 bytes",
        "nothing": None,
        "deep": [[[[None]]]],
    }


def test_times_and_kinds_out_of_range_are_bounded() -> None:
    """A time beyond what the database holds, an end before its start, a kind nobody knows."""
    span = kept(otlp.Span(**IDS, kind=77, start_time_unix_nano=2**64 - 1, end_time_unix_nano=5))  # type: ignore[arg-type]
    assert (span.kind, span.start_nanos, span.duration_nanos) == ("unspecified", 2**63 - 1, 0)


def test_broken_text_costs_no_span_of_its_batch() -> None:
    """A stranger's header that is no UTF-8 arrives in an attribute: it is replaced, and all spans are kept."""
    bad = otlp.Span(**IDS, name="bad", attributes=[text("user_agent.original", "AAAA")])
    sent = request_of(otlp.Span(trace_id=b"\x03" * 16, span_id=b"\x04" * 8, name="good"), bad)
    broken = sent.SerializeToString().replace(b"AAAA", b"\xff\xfe\x80A")
    with pytest.raises(DecodeError):
        ExportTraceServiceRequest.FromString(broken)
    spans, refused = spans_of(read(broken))
    assert ([span.name for span in spans], refused) == (["good", "bad"], 0)
    assert spans[1].attributes == {"user_agent.original": "���A"}


def test_mending_changes_nothing_that_is_whole() -> None:
    """A request with sound text comes out as it went in."""
    sent = request_of(otlp.Span(**IDS, name="Bürgerhaushalt", attributes=[text("größe", "ß")]))
    assert ExportTraceServiceRequest.FromString(repaired(sent.SerializeToString())) == sent


@given(some.binary(max_size=300))
def test_any_bytes_are_read_or_refused(message: bytes) -> None:
    """Whatever arrives: a request, or DecodeError, and nothing else."""
    with contextlib.suppress(DecodeError):
        spans_of(read(message))
