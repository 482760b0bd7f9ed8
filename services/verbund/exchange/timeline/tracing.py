"""The traces of a delivery: each later step's span is linked to the one in which the delivery began."""

from opentelemetry import trace
from opentelemetry.trace import SpanContext, TraceFlags

from verbund.exchange.deliveries.domain import Origin


def origin_of_span() -> Origin:
    """The span that is current, for a delivery that begins in it."""
    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return Origin()
    return Origin(f"{context.trace_id:032x}", f"{context.span_id:016x}")


def link_to(origin: Origin) -> None:
    """Links the current span to a delivery's origin, where that lies in another trace."""
    span = trace.get_current_span()
    if not origin.trace_id or not span.is_recording():
        return
    trace_id = int(origin.trace_id, 16)
    if span.get_span_context().trace_id != trace_id:
        flags = TraceFlags(TraceFlags.SAMPLED)
        span.add_link(SpanContext(trace_id, int(origin.span_id, 16), is_remote=True, trace_flags=flags))
