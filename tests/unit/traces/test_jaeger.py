"""A trace in Jaeger's JSON."""

from typing import Any

from verbund.traces import jaeger
from verbund.traces.spans import Link, Span

TRACE, OTHER = "4bf92f3577b34da6a3ce929d0e0e4736", "ab" * 16


def span(number: int, **other: Any) -> Span:
    """A span whose ids are numbers."""
    fields = {"service": "registry", "name": "GetProject", "kind": "server", "parent_id": "", "attributes": {}} | other
    return Span(trace_id=TRACE, span_id=f"{number:016x}", start_nanos=5_000_999, end_nanos=7_001_000, **fields)


def tags(found: dict[str, Any]) -> dict[str, tuple[str, Any]]:
    """The tags of a span by their keys."""
    return {tag["key"]: (tag["type"], tag["value"]) for tag in found["tags"]}


def test_a_trace_has_every_field_that_jaeger_has() -> None:
    """As Jaeger's own server writes a trace that came by OTLP: parent and links are references, times microseconds."""
    spans = [
        span(1, service="gateway", kind="server"),
        span(2, parent_id=f"{1:016x}", links=[Link(OTHER, "cd" * 8)], kind="internal"),
        span(3, parent_id=f"{2:016x}", kind="unspecified"),
    ]
    reference = {"refType": "CHILD_OF", "traceID": TRACE, "spanID": f"{1:016x}"}
    link = {"refType": "FOLLOWS_FROM", "traceID": OTHER, "spanID": "cd" * 8}
    found = jaeger.trace_of(spans)
    assert found["spans"][1] == {
        "traceID": TRACE,
        "spanID": f"{2:016x}",
        "operationName": "GetProject",
        "references": [reference, link],
        "startTime": 5_000,
        "duration": 2_000,
        "tags": [{"key": "span.kind", "type": "string", "value": "internal"}],
        "logs": [],
        "processID": "p2",
        "warnings": None,
    }
    assert (found["spans"][0]["references"], found["spans"][2]["tags"]) == ([], [])
    assert [each["processID"] for each in found["spans"]] == ["p1", "p2", "p2"]
    assert {key: value for key, value in found.items() if key != "spans"} == {
        "traceID": TRACE,
        "processes": {"p1": {"serviceName": "gateway", "tags": []}, "p2": {"serviceName": "registry", "tags": []}},
        "warnings": None,
    }


def test_tags_have_types() -> None:
    """Numbers that JavaScript would spoil are texts; what has no type of its own is JSON."""
    attributes = {"text": "größe", "yes": True, "count": 7, "huge": 2**60, "share": 0.5, "list": ["a", 1], "none": None}
    assert tags(jaeger.span_of(span(1, attributes=attributes, kind="client"), "p1")) == {
        "text": ("string", "größe"),
        "yes": ("bool", True),
        "count": ("int64", 7),
        "huge": ("int64", str(2**60)),
        "share": ("float64", 0.5),
        "list": ("string", '["a",1]'),
        "none": ("string", ""),
        "span.kind": ("string", "client"),
    }


def test_an_error_is_marked_as_jaeger_marks_it() -> None:
    """The UI colours what has the tag `error`; what was left out of a span is said beside it."""
    found = jaeger.span_of(span(1, status="error", message="the database is down", shortened=3), "p1")
    assert tags(found) == {
        "span.kind": ("string", "server"),
        "otel.status_code": ("string", "ERROR"),
        "error": ("bool", True),
        "otel.status_description": ("string", "the database is down"),
    }
    assert found["warnings"] == ["3 attributes, links or events were left out"]
    assert tags(jaeger.span_of(span(1, status="ok"), "p1"))["otel.status_code"] == ("string", "OK")


def test_a_search_names_values_as_texts() -> None:
    """As people type them into the UI; every tag has to fit."""
    found = span(1, status="error", attributes={"http.response.status_code": 503, "yes": True})
    assert jaeger.has_tags(found, {})
    assert jaeger.has_tags(found, {"error": "true", "http.response.status_code": "503", "yes": "true"})
    assert not jaeger.has_tags(found, {"error": "true", "http.response.status_code": "500"})
    assert not jaeger.has_tags(found, {"no": ""})
