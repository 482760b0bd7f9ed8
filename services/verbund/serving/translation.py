"""Refusals on the wire: the one place where an exception becomes a gRPC status."""

from typing import Any

import grpc
import structlog
from grpc_status import rpc_status
from opentelemetry import trace

from verbund.serving.refusals import Answered, Fault, Refusal
from verbund.serving.rpc import Behaviour, Gone, Rpc
from verbund.serving.status import status_of

log = structlog.get_logger(__name__)


class Refusals:
    """Turns refusals into `google.rpc.Status`, and everything unforeseen into INTERNAL with a constant text."""

    def wrap(self, rpc: Rpc, behaviour: Behaviour) -> Behaviour:
        """Calls `behaviour`; whatever it raises reaches the caller as a status with a reason."""

        def translated(request: Any, context: grpc.ServicerContext, *rest: Any) -> Any:
            try:
                return behaviour(request, context, *rest)
            except Answered as answered:
                return answered.answer
            except Gone:
                raise
            except Refusal as refusal:
                abort(context, refusal)
            except Exception:
                log.exception("fault", method=rpc.name)
                abort(context, Fault())

        return translated


def abort(context: grpc.ServicerContext, refusal: Refusal) -> None:
    """Ends the call with the refusal's status; raises what gRPC's own abort raises."""
    trace.get_current_span().set_attribute("verbund.reason", refusal.reason)
    context.abort_with_status(rpc_status.to_status(status_of(refusal, trace_id=trace_id_of())))


def trace_id_of() -> str:
    """The id of the current trace, in hexadecimal digits."""
    return f"{trace.get_current_span().get_span_context().trace_id:032x}"
