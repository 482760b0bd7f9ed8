"""HTTP routes under the rules that methods have: the caller is known, the rule holds, a refusal has the mesh's shape.

Handlers are plain functions `(request, call) -> Response` and raise refusals, as servicers do.
"""

import inspect
import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import structlog
from google.protobuf.json_format import MessageToJson
from opentelemetry import trace
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from verbund.policy.table import HttpRoute, PolicyError
from verbund.policy.v1 import policy_pb2
from verbund.serving.authentication import ANYBODY, BEARER
from verbund.serving.authorisation import check
from verbund.serving.call import Call, Principal
from verbund.serving.http import ASGIApp, observed
from verbund.serving.refusals import Fault, Invalid, Refusal, Unauthenticated
from verbund.serving.status import CHALLENGES, http_status_of, retry_seconds_of, status_of
from verbund.serving.tokens import TokenVerifier
from verbund.serving.translation import trace_id_of

Handler = Callable[[Request, Call], Response] | Callable[[Request, Call], Awaitable[Response]]
Refusing = Callable[[Request, Refusal], Response]
DEADLINE_SECONDS = 30.0

log = structlog.get_logger(__name__)


def guarded(
    routes: Sequence[HttpRoute],
    handlers: Mapping[str, Handler],
    verifier: TokenVerifier,
    *,
    deadline_seconds: float = DEADLINE_SECONDS,
    refusing: Refusing | None = None,
) -> ASGIApp:
    """The ASGI application of an area's routes, each with its span; `handlers` are by the names of the rules.

    What is below a path that ends in a slash is in `request.path_params["path"]`. A synchronous handler runs in a
    thread. `refusing` writes refusals where not JSON but a page is to say them. The handler of a route that
    `refuses_itself` meets nobody's calls too, and refuses them. Raises PolicyError where a rule has no handler, or a
    handler no rule.
    """
    names = [route.rule.name for route in routes]
    if set(names) != set(handlers):
        raise PolicyError(f"rules and handlers differ: {', '.join(sorted(set(names) ^ set(handlers)))}")
    doors = [
        Route(
            f"{route.path}{{path:path}}" if route.path.endswith("/") else route.path,
            Door(route, handlers[route.rule.name], verifier, deadline_seconds, refusing or in_json).open,
            methods=list(route.methods),
        )
        for route in routes
    ]
    return observed(Starlette(routes=doors, exception_handlers={HTTPException: not_served}), routes[0].area)


class Door:
    """One route: who comes in, and what becomes of what its handler raises."""

    def __init__(
        self, route: HttpRoute, handler: Handler, verifier: TokenVerifier, deadline_seconds: float, refusing: Refusing
    ) -> None:
        self._rule = route.rule
        self._refuses_itself = route.refuses_itself
        self._handler: Any = handler
        self._waited_for = inspect.iscoroutinefunction(handler)
        self._verifier = verifier
        self._deadline_seconds = deadline_seconds
        self._refusing = refusing

    async def open(self, request: Request) -> Response:
        """The handler's answer, or its refusal; what is neither is a fault whose cause is in the log only."""
        try:
            call = self._call(request)
            if self._waited_for:
                answer: Response = await self._handler(request, call)
                return answer
            return await run_in_threadpool(self._handler, request, call)
        except Refusal as refusal:
            return self._refusing(request, refusal)
        except ClientDisconnect:
            return Response(status_code=400)  # which nobody reads
        except Exception:
            log.exception("fault", rule=self._rule.name)
            return self._refusing(request, Fault())

    def _call(self, request: Request) -> Call:
        """The call; raises Unauthenticated, or Forbidden where the rule does not let the caller in."""
        principal = self._principal(request)
        if principal is not ANYBODY:
            check(self._rule, principal)
        return Call(
            principal=principal,
            rule=self._rule,
            method=self._rule.name,
            deadline=time.monotonic() + self._deadline_seconds,
            trace_id=trace_id_of(),
        )

    def _principal(self, request: Request) -> Principal:
        if self._rule.audience == policy_pb2.AUDIENCE_PUBLIC:
            return ANYBODY
        try:
            return self._verifier.verify(token_of(request))
        except Unauthenticated:
            if self._refuses_itself:
                return ANYBODY
            raise


def token_of(request: Request) -> str:
    """The bearer token of a request; raises Unauthenticated where there is none, or two."""
    values = request.headers.getlist("authorization")
    if not values:
        raise Unauthenticated("NO_TOKEN")
    if len(values) > 1 or values[0][: len(BEARER)].lower() != BEARER:
        raise Unauthenticated("TOKEN_INVALID")
    return values[0][len(BEARER) :].strip()


def in_json(_request: Request, refusal: Refusal) -> Response:
    """The refusal as programs read it."""
    return refused(refusal)


def refused(refusal: Refusal) -> Response:
    """The refusal as the gateway and the transcoder write one: `google.rpc.Status` in JSON."""
    trace.get_current_span().set_attribute("verbund.reason", refusal.reason)
    status = status_of(refusal, trace_id=trace_id_of())
    headers = {"Cache-Control": "no-store"}
    if refusal.reason in CHALLENGES:
        headers["WWW-Authenticate"] = CHALLENGES[refusal.reason]
    if (seconds := retry_seconds_of(refusal)) is not None:
        headers["Retry-After"] = str(seconds)
    body = json.dumps(json.loads(MessageToJson(status, sort_keys=True)), separators=(",", ":"))
    return Response(body, http_status_of(status.code), headers, "application/json")


def not_served(_request: Request, error: Exception) -> Response:
    """What Starlette refuses itself: a path or method that no route has."""
    assert isinstance(error, HTTPException)
    answer = refused(Refusal("UNKNOWN_METHOD") if error.status_code in (404, 405) else Invalid())
    answer.status_code = error.status_code
    return answer
