"""A span as the store keeps it, and what is kept of a span that somebody sent."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import TypeAlias

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1 import trace_pb2 as otlp

Value: TypeAlias = "str | bool | int | float | list[Value] | dict[str, Value] | None"

# A span describes one operation; what is larger than this is not a description. Counted in characters and pieces.
NAME_CHARS_MAX = 300
TEXT_CHARS_MAX = 2000
ATTRIBUTES_CHARS_MAX = 16_000
PIECES_MAX = 64
DEPTH_MAX = 4
NANOS_MAX = 2**63 - 1  # what SQLite holds; the year 2262

TRACE_ID_BYTES = 16
SPAN_ID_BYTES = 8
UNKNOWN_SERVICE = "unknown"
STATUSES = {otlp.Status.STATUS_CODE_OK: "ok", otlp.Status.STATUS_CODE_ERROR: "error"}


@dataclass(frozen=True, slots=True)
class Link:
    """Another trace's span that this one has to do with."""

    trace_id: str
    span_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One operation. Ids are lower-case hex, `parent_id` is empty for a root; times are Unix nanoseconds."""

    trace_id: str
    span_id: str
    parent_id: str
    service: str
    name: str
    kind: str
    start_nanos: int
    end_nanos: int
    status: str = "unset"
    message: str = ""
    attributes: Mapping[str, Value]
    links: Sequence[Link] = ()
    shortened: int = 0  # how many attributes, links and events were cut or left out, here or by the sender

    @property
    def duration_nanos(self) -> int:
        """How long it took; 0 where the sender's clock went backwards."""
        return max(0, self.end_nanos - self.start_nanos)


def spans_of(request: ExportTraceServiceRequest) -> tuple[list[Span], int]:
    """The spans of an OTLP request that can be kept, and how many cannot, for their ids are none."""
    kept: list[Span] = []
    refused = 0
    for group in request.resource_spans:
        service = service_of(group.resource.attributes)
        for sent in (sent for scope in group.scope_spans for sent in scope.spans):
            span = span_of(sent, service)
            if span is None:
                refused += 1
            else:
                kept.append(span)
    return kept, refused


def service_of(attributes: Iterable[KeyValue]) -> str:
    """The name of the service that a resource describes."""
    found = next((pair.value.string_value for pair in attributes if pair.key == "service.name"), "")
    return found[:NAME_CHARS_MAX] or UNKNOWN_SERVICE


def span_of(sent: otlp.Span, service: str) -> Span | None:
    """What is kept of one span; None where its ids are malformed."""
    parent = sent.parent_span_id if any(sent.parent_span_id) else b""
    if not is_id(sent.trace_id, TRACE_ID_BYTES) or not is_id(sent.span_id, SPAN_ID_BYTES):
        return None
    if parent and len(parent) != SPAN_ID_BYTES:
        return None
    attributes, cut = attributes_of(sent.attributes)
    links = [link for link in sent.links if is_id(link.trace_id, TRACE_ID_BYTES) and is_id(link.span_id, SPAN_ID_BYTES)]
    return Span(
        trace_id=sent.trace_id.hex(),
        span_id=sent.span_id.hex(),
        parent_id=parent.hex(),
        service=service,
        name=sent.name[:NAME_CHARS_MAX],
        kind=kind_of(sent.kind),
        start_nanos=min(sent.start_time_unix_nano, NANOS_MAX),
        end_nanos=min(sent.end_time_unix_nano, NANOS_MAX),
        status=STATUSES.get(sent.status.code, "unset"),
        message=sent.status.message[:TEXT_CHARS_MAX],
        attributes=attributes,
        links=[Link(link.trace_id.hex(), link.span_id.hex()) for link in links[:PIECES_MAX]],
        # The mesh's own spans have no events, and none are kept.
        shortened=cut + sent.dropped_attributes_count + max(0, len(sent.links) - PIECES_MAX) + len(sent.events),
    )


def is_id(value: bytes, length: int) -> bool:
    """Whether these bytes are an id: of the right length, not all zero (W3C Trace Context)."""
    return len(value) == length and any(value)


def kind_of(number: int) -> str:
    """The kind of a span in one lower-case word; a number that OTLP does not know is as good as none."""
    value = otlp.Span.SpanKind.DESCRIPTOR.values_by_number.get(number)
    return value.name.removeprefix("SPAN_KIND_").lower() if value else "unspecified"


def attributes_of(pairs: Sequence[KeyValue]) -> tuple[dict[str, Value], int]:
    """The attributes within the bounds, and how many were cut or left out."""
    found: dict[str, Value] = {}
    cut = max(0, len(pairs) - PIECES_MAX)
    left = ATTRIBUTES_CHARS_MAX
    for pair in pairs[:PIECES_MAX]:
        key = pair.key[:NAME_CHARS_MAX]
        value = value_of(pair.value)
        size = len(key) + len(str(value))
        if size > left:
            cut += 1
            continue
        left -= size
        cut += len(pair.value.string_value) > TEXT_CHARS_MAX
        found[key] = value
    return found, cut


def value_of(value: AnyValue, *, depth: int = 0) -> Value:
    """An attribute's value as JSON has it. Recursion ends at DEPTH_MAX."""
    kind = value.WhichOneof("value")
    if kind in ("bool_value", "int_value"):
        found: Value = getattr(value, kind)
    elif kind == "string_value":
        found = value.string_value[:TEXT_CHARS_MAX]
    elif kind == "double_value":  # JSON has no infinity, and no NaN
        found = value.double_value if isfinite(value.double_value) else str(value.double_value)
    elif kind == "bytes_value":
        found = f"{len(value.bytes_value)} bytes"
    elif kind == "array_value" and depth < DEPTH_MAX:
        found = [value_of(item, depth=depth + 1) for item in value.array_value.values[:PIECES_MAX]]
    elif kind == "kvlist_value" and depth < DEPTH_MAX:
        pairs = value.kvlist_value.values[:PIECES_MAX]
        found = {pair.key[:NAME_CHARS_MAX]: value_of(pair.value, depth=depth + 1) for pair in pairs}
    else:
        found = None
    return found
