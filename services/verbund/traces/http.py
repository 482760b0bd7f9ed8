"""Jaeger's query API over the trace store, for Jaeger's UI and Grafana (its cmd/query/app/http_handler.go)."""

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from verbund.serving.call import Call
from verbund.serving.guarded import Handler, guarded
from verbund.serving.http import ASGIApp, observed
from verbund.serving.tokens import TokenVerifier
from verbund.traces import jaeger
from verbund.traces.query import BadQuery, ids_of, period_of, search_of, text, trace_id_of
from verbund.traces.reader import SPANS_MAX, Reader
from verbund.traces.routes import AREA, ROUTES

AT_ONCE_MAX = 4
WAIT_SECONDS_MAX = 10.0
LOCAL_NAMES = ("127.0.0.1", "localhost")

Question = Callable[[Reader, Request], dict[str, Any]]


class Unknown(Exception):  # noqa: N818 - says what is the case
    """There is nothing of that name."""


class Queries:
    """Answers from the store, a few at a time; each reads it over a connection of its own."""

    def __init__(
        self,
        database: Path,
        *,
        at_once_max: int = AT_ONCE_MAX,
        wait_seconds_max: float = WAIT_SECONDS_MAX,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._database = database
        self._free = threading.BoundedSemaphore(at_once_max)
        self._wait_seconds_max = wait_seconds_max
        self._clock = clock
        self.questions: Mapping[str, Question] = {
            "traces.services.list": services,
            "traces.services.operations": operations_of_service,
            "traces.operations.list": operations,
            "traces.traces.search": self._search,
            "traces.traces.get": trace,
            "traces.dependencies.list": self._dependencies,
        }

    def answer(self, question: Question, request: Request) -> Response:
        """The answer to a question, or Jaeger's form of an error."""
        if not self._free.acquire(timeout=self._wait_seconds_max):
            return answered(jaeger.refusal(503, "too many queries at the same time"), 503)
        try:
            with Reader(self._database) as reader:
                return answered(question(reader, request))
        except BadQuery as error:
            return answered(jaeger.refusal(400, str(error)), 400)
        except Unknown as error:
            return answered(jaeger.refusal(404, str(error)), 404)
        finally:
            self._free.release()

    def _search(self, reader: Reader, request: Request) -> dict[str, Any]:
        """The traces that are named, or those that are searched for."""
        named = ids_of(request.query_params)
        wanted = named or reader.matching(search_of(request.query_params, now_nanos=self._clock()))
        found: list[dict[str, Any]] = []
        errors: list[dict[str, Any]] = []
        left = SPANS_MAX
        for trace_id in wanted:
            spans = reader.trace(trace_id)
            left -= len(spans)
            if left < 0:
                errors.append({"msg": f"an answer has at most {SPANS_MAX} spans; ask for fewer traces"})
                break
            if spans:
                found.append(jaeger.trace_of(spans))
            elif named:
                errors.append({"msg": "trace not found", "traceID": trace_id})
        return jaeger.document(found, errors=errors or None)

    def _dependencies(self, reader: Reader, request: Request) -> dict[str, Any]:
        """Which services call which."""
        period = period_of(request.query_params, now_nanos=self._clock())
        found = reader.dependencies(period)
        return jaeger.document(
            [{"parent": call.parent, "child": call.child, "callCount": call.calls} for call in found]
        )


def services(reader: Reader, _request: Request) -> dict[str, Any]:
    """The names of the services."""
    found = reader.services()
    return jaeger.document(found, total=len(found))


def operations(reader: Reader, request: Request) -> dict[str, Any]:
    """What a service's spans are called, with their kinds; `spanKind` chooses one."""
    service = text(request.query_params, "service")
    if not service:
        raise BadQuery("parameter 'service' is required")
    kind = text(request.query_params, "spanKind")
    found = [
        {"name": operation.name, "spanKind": operation.kind if operation.kind in jaeger.KINDS else ""}
        for operation in reader.operations(service)
        if kind in ("", operation.kind)
    ]
    return jaeger.document(found, total=len(found))


def operations_of_service(reader: Reader, request: Request) -> dict[str, Any]:
    """The same by name only, at the path at which the UI looks for it."""
    service, _, rest = request.path_params["path"].rpartition("/")
    if not service or rest != "operations":
        raise Unknown("page not found")
    found = list(dict.fromkeys(operation.name for operation in reader.operations(service)))
    return jaeger.document(found, total=len(found))


def trace(reader: Reader, request: Request) -> dict[str, Any]:
    """One trace."""
    spans = reader.trace(trace_id_of(request.path_params["path"]))
    if not spans:
        raise Unknown("trace not found")
    return jaeger.document([jaeger.trace_of(spans)])


def answered(document: Mapping[str, Any], status: int = 200) -> Response:
    """An answer in JSON; traces grow, so nobody keeps it."""
    return Response(orjson.dumps(document), status, {"Cache-Control": "no-store"}, "application/json")


def application(queries: Queries, verifier: TokenVerifier) -> ASGIApp:
    """The API for the gateway: the caller is an operator."""

    def handler(question: Question) -> Handler:
        def handle(request: Request, _call: Call) -> Response:
            return queries.answer(question, request)

        return handle

    handlers = {name: handler(question) for name, question in queries.questions.items()}
    return guarded(ROUTES, handlers, verifier)


def local_application(queries: Queries) -> ASGIApp:
    """The API for whoever is on this machine, without a token. A foreign page cannot reach it by a name of its own."""

    def endpoint(question: Question) -> Callable[[Request], Any]:
        async def handle(request: Request) -> Response:
            return await run_in_threadpool(queries.answer, question, request)

        return handle

    routes = [
        Route(
            f"{route.path}{{path:path}}" if route.path.endswith("/") else route.path,
            endpoint(queries.questions[route.rule.name]),
            methods=list(route.methods),
        )
        for route in ROUTES
    ]
    names = Middleware(TrustedHostMiddleware, allowed_hosts=LOCAL_NAMES)
    return observed(Starlette(routes=routes, middleware=[names]), AREA)
