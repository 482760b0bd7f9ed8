"""Traces in the JSON of Jaeger's query API, as its own server translates what came by OTLP. Pure."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from verbund.traces.spans import Span, Value

SAFE_INTEGER_MAX = 2**53 - 1  # beyond, JavaScript loses digits
KINDS = frozenset({"client", "consumer", "internal", "producer", "server"})


def document(data: Any, *, total: int = 0, errors: Sequence[Mapping[str, Any]] | None = None) -> dict[str, Any]:
    """Every answer's frame."""
    return {"data": data, "total": total, "limit": 0, "offset": 0, "errors": errors}


def refusal(code: int, message: str) -> dict[str, Any]:
    """The answer to what cannot be answered."""
    return document(None, errors=[{"code": code, "msg": message}])


def trace_of(spans: Sequence[Span]) -> dict[str, Any]:
    """One trace, of at least one span."""
    services = list(dict.fromkeys(span.service for span in spans))
    processes = {service: f"p{number}" for number, service in enumerate(services, 1)}
    return {
        "traceID": spans[0].trace_id,
        "spans": [span_of(span, processes[span.service]) for span in spans],
        "processes": {key: {"serviceName": service, "tags": []} for service, key in processes.items()},
        "warnings": None,
    }


def span_of(span: Span, process: str) -> dict[str, Any]:
    """One span; times are microseconds."""
    return {
        "traceID": span.trace_id,
        "spanID": span.span_id,
        "operationName": span.name,
        "references": list(references_of(span)),
        "startTime": span.start_nanos // 1000,
        "duration": span.duration_nanos // 1000,
        "tags": [tag_of(key, value) for key, value in tags_of(span).items()],
        "logs": [],
        "processID": process,
        "warnings": [f"{span.shortened} attributes, links or events were left out"] if span.shortened else None,
    }


def references_of(span: Span) -> Iterable[dict[str, str]]:
    """The parent first, then what the span links to."""
    if span.parent_id:
        yield {"refType": "CHILD_OF", "traceID": span.trace_id, "spanID": span.parent_id}
    for link in span.links:
        yield {"refType": "FOLLOWS_FROM", "traceID": link.trace_id, "spanID": link.span_id}


def tags_of(span: Span) -> dict[str, Value]:
    """The attributes, and what OTLP has fields for and Jaeger has tags."""
    found = dict(span.attributes)
    if span.kind in KINDS:
        found["span.kind"] = span.kind
    if span.status != "unset":
        found["otel.status_code"] = span.status.upper()
    if span.status == "error":
        found["error"] = True
    if span.message:
        found["otel.status_description"] = span.message
    return found


def tag_of(key: str, value: Value) -> dict[str, Any]:
    """A tag with its type; what is no single value is a text of JSON."""
    match value:
        case bool():
            return {"key": key, "type": "bool", "value": value}
        case int():
            safe = abs(value) <= SAFE_INTEGER_MAX
            return {"key": key, "type": "int64", "value": value if safe else str(value)}
        case float():
            return {"key": key, "type": "float64", "value": value}
        case _:
            return {"key": key, "type": "string", "value": text_of(value)}


def text_of(value: Value) -> str:
    """A value as a search names it: true, 200, a text as it is, and JSON for the rest."""
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def has_tags(span: Span, wanted: Mapping[str, str]) -> bool:
    """Whether a span has all these tags."""
    tags = tags_of(span) if wanted else {}
    return all(key in tags and text_of(tags[key]) == value for key, value in wanted.items())
