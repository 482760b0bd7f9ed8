"""What is seen of a request to the OAuth routes: one span in the gateway's trace, one line, and no secret in either."""

import asyncio
from collections.abc import Iterator, MutableMapping
from typing import Any

import pytest
import structlog
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from verbund.serving.http import Receive, Scope, Send, observed

from tests.integration.identity.mesh import Mesh, running
from tests.support.load import wait_until

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
UNSAMPLED = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
FOREIGN = "00-11111111111111111111111111111111-2222222222222222-01"


class Spans:
    """The spans that ended, waited for: the request's own ends after the caller has its answer."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.tracer = provider.get_tracer("test")

    def until(self, kind: SpanKind) -> list[ReadableSpan]:
        """The spans of one trace, when its last has ended."""
        wait_until(lambda: any(span.kind is kind for span in self._exporter.get_finished_spans()), "no span ended")
        found = list(self._exporter.get_finished_spans())
        self._exporter.clear()
        return found


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Spans:
    found = Spans()
    monkeypatch.setattr(trace, "get_tracer", lambda *_, **__: found.tracer)
    return found


@pytest.fixture
def mesh(spans: Spans, database_dsn: str) -> Iterator[Mesh]:
    assert spans
    with running(database_dsn) as found:
        yield found


def test_a_request_is_one_span_with_its_statements_below(mesh: Mesh, spans: Spans) -> None:
    """In the gateway's trace, whose id goes back; what a partner sent is a link."""
    headers = {"traceparent": PARENT, "x-external-traceparent": FOREIGN}
    answer = mesh.http.post("/oauth2/token", data=mesh.operator.form(), headers=headers)
    found = spans.until(SpanKind.SERVER)
    [request] = [span for span in found if span.kind is SpanKind.SERVER]
    assert request.name == "POST /oauth2/token"
    assert request.parent is not None
    assert (f"{request.parent.trace_id:032x}", f"{request.parent.span_id:016x}") == tuple(PARENT.split("-")[1:3])
    assert [f"{link.context.trace_id:032x}" for link in request.links] == [FOREIGN.split("-")[1]]
    assert request.context is not None
    assert answer.headers["traceresponse"] == f"00-{PARENT.split('-')[1]}-{request.context.span_id:016x}-01"
    assert dict(request.attributes or {}) == {
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "http.route": "/oauth2/token",
        "url.scheme": "http",
    }
    statements = [span for span in found if span.kind is SpanKind.CLIENT]
    assert {f"postgresql {verb}" for verb in ("SELECT", "INSERT", "COMMIT")} <= {span.name for span in statements}
    assert all(span.parent and span.parent.span_id == request.context.span_id for span in statements)


def test_nothing_secret_is_seen(mesh: Mesh, spans: Spans) -> None:
    """Neither assertion nor token, neither in a span nor in a line, whether it is granted, refused or revoked."""
    with structlog.testing.capture_logs() as lines:
        form = mesh.operator.form()
        token = mesh.http.post("/oauth2/token", data=form, headers={"traceparent": PARENT}).json()["access_token"]
        mesh.http.post("/oauth2/token", data=form, headers={"traceparent": PARENT})
        again = mesh.operator.form() | {"token": token}
        assert mesh.http.post("/oauth2/revoke", data=again, headers={"traceparent": PARENT}).status_code == 200
        wait_until(lambda: len(statuses(lines)) == 3, "a request is not told")
    shown = "".join(span.to_json() for span in spans.until(SpanKind.SERVER)) + repr(lines)
    assert statuses(lines) == [200, 401, 200]
    for secret in (token, form["client_assertion"], again["client_assertion"]):
        for part in secret.split("."):
            assert part not in shown


def statuses(lines: list[MutableMapping[str, Any]]) -> list[int]:
    """What the requests were answered with, by their lines."""
    return [line["status"] for line in list(lines) if line["event"] == "request"]


def test_a_refusal_is_no_fault_and_a_path_that_is_not_there_has_no_name(mesh: Mesh, spans: Spans) -> None:
    """What a stranger types into the path never becomes a span's name."""
    for path, status, name in (("/oauth2/token", 400, "POST /oauth2/token"), ("/secret-in-path", 404, "POST")):
        assert mesh.http.post(path, headers={"traceparent": PARENT}).status_code in (400, 404)
        [request] = [span for span in spans.until(SpanKind.SERVER) if span.kind is SpanKind.SERVER]
        assert (request.name, request.status.status_code) == (name, StatusCode.UNSET)
        assert (request.attributes or {})["http.response.status_code"] == status
        assert "secret-in-path" not in request.to_json()


def test_what_is_not_sampled_is_not_recorded(mesh: Mesh) -> None:
    """The gateway decides; the id goes back all the same."""
    answer = mesh.http.get("/oauth2/jwks", headers={"traceparent": UNSAMPLED})
    assert answer.headers["traceresponse"].startswith(UNSAMPLED[:36])
    assert answer.headers["traceresponse"].endswith("-00")


@pytest.mark.parametrize("starts", [False, True])
def test_a_crash_is_told_to_the_log_only(spans: Spans, starts: bool) -> None:
    """The caller gets a constant text, or where its answer had begun one that breaks off."""
    sent: list[MutableMapping[str, Any]] = []

    async def application(_scope: Scope, _receive: Receive, send: Send) -> None:
        if starts:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise ZeroDivisionError("a secret cause")

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": b""}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    async def served() -> None:
        await observed(application, "test")(scope, receive, send)

    scope = {"type": "http", "method": "GET", "scheme": "http", "path": "/", "headers": []}
    with structlog.testing.capture_logs() as lines:
        asyncio.run(served())
    assert [line["event"] for line in lines] == ["request failed", "request"]
    assert [message.get("status") for message in sent] == ([200, None] if starts else [500, None])
    assert bool(sent[-1].get("more_body")) is starts
    assert "secret" not in repr(sent)
    [request] = spans.until(SpanKind.SERVER)
    assert request.status.status_code is StatusCode.ERROR
    assert "secret" not in request.to_json()
