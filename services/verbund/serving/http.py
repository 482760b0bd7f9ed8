"""A span and a log line for every request of an area's HTTP routes, as `telemetry.py` has them for calls."""

import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import structlog
from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, StatusCode

from verbund.serving.telemetry import EXTERNAL, W3C, external_link

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

HEALTH_PATH = "/healthz"
FAULT = 500
CARRIED = ("traceparent", "tracestate", EXTERNAL)
FAULT_BODY = b'{"code":13,"message":"The mesh failed.","details":[]}'

log = structlog.get_logger("request")


def observed(application: ASGIApp, area: str) -> ASGIApp:
    """The application with a span around each request, and `traceresponse` on each answer.

    Names follow the stable conventions for HTTP. Query, headers and bodies never enter a span or a line.
    """
    tracer = trace.get_tracer("verbund.serving.http")

    async def observing(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await application(scope, receive, send)
            return
        await Request(tracer, area, scope, send).run(application, receive)

    return observing


def telling_health(application: ASGIApp, healthy: Callable[[], bool]) -> ASGIApp:
    """The application with the path at which the gateway asks whether to send it requests; nobody else reaches it."""

    async def telling(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != HEALTH_PATH:
            await application(scope, receive, send)
            return
        status = 200 if healthy() else 503
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    return telling


class Request:
    """One request while it is served."""

    def __init__(self, tracer: trace.Tracer, area: str, scope: Scope, send: Send) -> None:
        self._tracer = tracer
        self._area = area
        self._scope = scope
        self._send = send
        self._status = 0
        self._complete = False
        self._broken = False
        self._started_ns = time.perf_counter_ns()

    async def run(self, application: ASGIApp, receive: Receive) -> None:
        """Serves it; what the application did not catch becomes a 500 whose cause is in the log only."""
        carried = headers_of(self._scope)
        attributes = {"http.request.method": self._scope["method"], "url.scheme": self._scope["scheme"]}
        span = self._tracer.start_span(
            self._scope["method"], W3C.extract(carried), SpanKind.SERVER, attributes, links=external_link(carried)
        )
        with trace.use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
            try:
                await application(self._scope, receive, self._answering(span))
            except Exception:
                log.exception("request failed", area=self._area)
                await self._fail(span)
            finally:
                self._finish(span)

    def _answering(self, span: Span) -> Send:
        """Sends the answer on, with the span's ids (W3C Trace Context, level 2)."""
        context = span.get_span_context()
        ids = f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._status = message["status"]
                message = {**message, "headers": [*message.get("headers", ()), (b"traceresponse", ids.encode())]}
            self._complete = message["type"] == "http.response.body" and not message.get("more_body", False)
            await self._send(message)

        return send

    async def _fail(self, span: Span) -> None:
        if self._status:
            self._broken = not self._complete
            return  # an answer that has begun breaks off
        send = self._answering(span)
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(FAULT_BODY)).encode())]
        await send({"type": "http.response.start", "status": FAULT, "headers": headers})
        await send({"type": "http.response.body", "body": FAULT_BODY})

    def _finish(self, span: Span) -> None:
        """Names the span by its route, which a path that nobody serves has not, and writes the line."""
        context = span.get_span_context()
        route = str(getattr(self._scope.get("route"), "path", ""))
        broken = self._broken or not self._status
        if route:
            span.set_attribute("http.route", route)
            span.update_name(f"{self._scope['method']} {route}")
        if self._status:
            span.set_attribute("http.response.status_code", self._status)
        if broken or self._status >= FAULT:
            span.set_attribute("error.type", "broken" if broken else str(self._status))
            span.set_status(StatusCode.ERROR)
        log.info(
            "request",
            method=self._scope["method"],
            route=route,
            status=self._status,
            duration_ms=round((time.perf_counter_ns() - self._started_ns) / 1e6, 2),
            trace_id=f"{context.trace_id:032x}",
            span_id=f"{context.span_id:016x}",
        )


def headers_of(scope: Scope) -> dict[str, str]:
    """The headers that carry the trace."""
    found = ((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"])
    return {name: value for name, value in found if name in CARRIED}
