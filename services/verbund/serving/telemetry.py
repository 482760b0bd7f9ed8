"""A span and a log line for every call, on the OpenTelemetry API; the exporter is what the OTEL_* settings say.

Names follow the stable conventions for RPC. Payload, personal data and token never enter a span or a line.
"""

import time
from collections.abc import Mapping
from typing import Any

import grpc
import structlog
from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.trace import Link, Span, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from verbund.serving.rpc import Behaviour, Gone, Rpc
from verbund.serving.watches import Stream

# Codes that mean a fault of the service, as the conventions for server spans have it; the others are the caller's.
FAULTS = frozenset(
    {
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DATA_LOSS,
    }
)
W3C = TraceContextTextMapPropagator()
EXTERNAL = "x-external-traceparent"  # what a partner sent: kept as a link, never as a parent

log = structlog.get_logger("call")


class Telemetry:
    """The outermost interceptor: whatever happens inside is seen, and named by its right status."""

    def __init__(self, tracer: trace.Tracer) -> None:
        self._tracer = tracer

    def wrap(self, rpc: Rpc, behaviour: Behaviour) -> Behaviour:
        """Calls `behaviour` inside a span that ends with the call or the stream."""
        attributes = {"rpc.system.name": "grpc", "rpc.method": rpc.name}

        def observed(request: Any, context: grpc.ServicerContext, *rest: Any) -> Any:
            started = time.perf_counter_ns()
            metadata = {key: value for key, value in context.invocation_metadata() if isinstance(value, str)}
            span = self._tracer.start_span(
                rpc.name, W3C.extract(metadata), SpanKind.SERVER, attributes, links=external_link(metadata)
            )
            # gRPC runs each call in a context of its own, so there is nothing to detach.
            contexts.attach(trace.set_span_in_context(span))
            try:
                answer = behaviour(request, context, *rest)
            except BaseException as error:
                finish(rpc, span, code_of(context, failed=not isinstance(error, Gone)), started)
                raise
            if rpc.watching:
                stream: Stream = rest[0]
                stream.on_close(lambda: finish(rpc, span, code_of(context, ended=stream.ended), started))
            else:
                finish(rpc, span, code_of(context), started)
            return answer

        return observed


def code_of(context: grpc.ServicerContext, *, failed: bool = False, ended: bool = False) -> grpc.StatusCode:
    """The status that the caller sees, also where it went away or its deadline passed.

    `failed`: the behaviour raised; `ended`: the service ended the stream.
    """
    code: Any = context.code()  # type: ignore[attr-defined]
    if code is not None:
        return code if isinstance(code, grpc.StatusCode) else CODES[code]
    if failed:
        return grpc.StatusCode.UNKNOWN
    if ended or context.is_active():
        return grpc.StatusCode.OK
    remaining = context.time_remaining()
    return grpc.StatusCode.DEADLINE_EXCEEDED if remaining is not None and remaining <= 0 else grpc.StatusCode.CANCELLED


CODES = {code.value[0]: code for code in grpc.StatusCode}


def finish(rpc: Rpc, span: Span, code: grpc.StatusCode, started_ns: int) -> None:
    """Ends the span with its status, and writes the call's one line."""
    if span.is_recording():
        span.set_attribute("rpc.response.status_code", code.name)
        if code in FAULTS:
            span.set_attribute("error.type", code.name)
            span.set_status(StatusCode.ERROR)
    milliseconds = (time.perf_counter_ns() - started_ns) / 1e6
    context = span.get_span_context()
    log.info(
        "call",
        method=rpc.name,
        code=code.name,
        duration_ms=round(milliseconds, 2),
        trace_id=f"{context.trace_id:032x}",
        span_id=f"{context.span_id:016x}",
    )
    span.end()


def external_link(metadata: Mapping[str, str]) -> list[Link]:
    """The link to the trace that a partner sent, where the gateway kept one."""
    foreign = metadata.get(EXTERNAL)
    if foreign is None:
        return []
    found = trace.get_current_span(W3C.extract({"traceparent": foreign})).get_span_context()
    return [Link(found)] if found.is_valid else []
