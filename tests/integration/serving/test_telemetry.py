"""What a trace tells of a call: one span with the right status, its parent, and the foreign trace as a link."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from verbund.exchange.v1 import upload_service_pb2_grpc
from verbund.registry.v1 import change_service_pb2 as changes
from verbund.registry.v1 import change_service_pb2_grpc as changes_grpc
from verbund.registry.v1 import project_service_pb2 as pb
from verbund.registry.v1 import project_service_pb2_grpc as grpc_pb
from verbund.serving import telemetry
from verbund.serving.area import Area
from verbund.serving.tokens import TokenVerifier

from tests.integration.serving.test_frame import PROJECT, Changes, Projects
from tests.integration.serving.test_streams import Uploads, pieces, streaming, unfinished
from tests.support.load import wait_until
from tests.support.serving import bearer, served
from tests.support.tokens import Issuer

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
FOREIGN = "00-11111111111111111111111111111111-2222222222222222-01"


class Spans:
    """The spans that ended, waited for: the last of them ends after the caller has its answer."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    def next(self) -> ReadableSpan:
        """The next span that ends."""
        wait_until(self._exporter.get_finished_spans, "no span ended")
        found = self._exporter.get_finished_spans()
        self._exporter.clear()
        return found[0]


@pytest.fixture
def spans() -> Spans:
    return Spans()


@pytest.fixture
def projects() -> Projects:
    return Projects()


@pytest.fixture
def issuer(tmp_path: Path) -> Issuer:
    return Issuer(tmp_path)


@pytest.fixture
def channel(
    issuer: Issuer, projects: Projects, spans: Spans, monkeypatch: pytest.MonkeyPatch
) -> Iterator[grpc.Channel]:
    tracer = spans.provider.get_tracer("test")
    monkeypatch.setattr(trace, "get_tracer", lambda *_, **__: tracer)

    def build(verifier: TokenVerifier) -> Area:
        feed = Changes(verifier)
        return Area(
            name="registry", servicers=[projects, feed], ready=lambda: True, drain=lambda: feed.watches.drain(2)
        )

    with served(build, issuer) as opened:
        yield opened


@pytest.mark.parametrize(
    ("kind", "status", "fault"),
    [
        ("test", "OK", False),
        ("absent", "NOT_FOUND", False),
        ("owner", "PERMISSION_DENIED", False),
        ("down", "UNAVAILABLE", True),
        ("late", "DEADLINE_EXCEEDED", True),
        ("crash", "INTERNAL", True),
    ],
)
def test_a_span_has_the_status_that_the_caller_sees(
    channel: grpc.Channel, issuer: Issuer, spans: Spans, kind: str, status: str, fault: bool
) -> None:
    """Refusals are the caller's and leave the span's status unset; faults are the service's."""
    stub = grpc_pb.ProjectServiceStub(channel)
    request = pb.GetProjectRequest(name=f"projects/citylab.{kind}")
    try:
        stub.GetProject(request, metadata=bearer(issuer.token()))
    except grpc.RpcError:
        assert kind != "test"
    span = spans.next()
    assert span.name == "verbund.registry.v1.ProjectService/GetProject"
    assert span.kind is trace.SpanKind.SERVER
    attributes = dict(span.attributes or {})
    assert attributes["rpc.system.name"] == "grpc"
    assert attributes["rpc.response.status_code"] == status
    assert (attributes.get("error.type") == status) is fault
    assert (span.status.status_code is trace.StatusCode.ERROR) is fault
    assert not span.events, "an exception's text may hold anything"


def test_a_span_of_a_caller_who_went_away_is_cancelled(
    channel: grpc.Channel, issuer: Issuer, spans: Spans, projects: Projects
) -> None:
    """Neither OK nor a fault."""
    stub, metadata = grpc_pb.ProjectServiceStub(channel), bearer(issuer.token())
    future = stub.GetProject.future(pb.GetProjectRequest(name="projects/citylab.wait"), metadata=metadata)
    wait_until(lambda: projects.calls, "the call does not arrive")
    future.cancel()
    stub.GetProject(pb.GetProjectRequest(name=PROJECT), metadata=metadata)  # the server reads it after the cancellation
    assert status_in(spans.next()) == "OK"
    projects.release.set()
    assert dict(spans.next().attributes or {})["rpc.response.status_code"] == "CANCELLED"


def test_a_span_of_a_call_that_was_late_says_so(
    channel: grpc.Channel, issuer: Issuer, spans: Spans, projects: Projects
) -> None:
    """DEADLINE_EXCEEDED, though the servicer answered in the end."""
    stub, metadata = grpc_pb.ProjectServiceStub(channel), bearer(issuer.token())
    with pytest.raises(grpc.RpcError):
        stub.GetProject(pb.GetProjectRequest(name="projects/citylab.wait"), metadata=metadata, timeout=2)
    wait_until(lambda: projects.calls[0].remaining_seconds() < 0, "the service has more time than its caller")
    stub.GetProject(pb.GetProjectRequest(name=PROJECT), metadata=metadata)  # the server reads it after the end
    assert status_in(spans.next()) == "OK"
    projects.release.set()
    assert dict(spans.next().attributes or {})["rpc.response.status_code"] == "DEADLINE_EXCEEDED"


def test_a_watch_has_one_span_that_ends_with_it(channel: grpc.Channel, issuer: Issuer, spans: Spans) -> None:
    """OK where the service ended it, CANCELLED where the reader left."""
    stub = changes_grpc.ChangeServiceStub(channel)
    now = int(time.time())
    token = issuer.token(iat=now - 10, exp=now + 3)
    list(stub.WatchChanges(changes.WatchChangesRequest(), metadata=bearer(token)))
    assert dict(spans.next().attributes or {})["rpc.response.status_code"] == "OK"
    stream = stub.WatchChanges(changes.WatchChangesRequest(), metadata=bearer(issuer.token()))
    next(stream)
    stream.cancel()
    assert dict(spans.next().attributes or {})["rpc.response.status_code"] == "CANCELLED"


def test_the_gateway_is_the_parent_and_a_partners_trace_a_link(
    channel: grpc.Channel, issuer: Issuer, spans: Spans, projects: Projects
) -> None:
    """The trace goes on from `traceparent`; what the gateway kept of a partner's own trace is a link only."""
    metadata = (*bearer(issuer.token()), ("traceparent", PARENT), (telemetry.EXTERNAL, FOREIGN))
    grpc_pb.ProjectServiceStub(channel).GetProject(pb.GetProjectRequest(name=PROJECT), metadata=metadata)
    span = spans.next()
    assert span.parent is not None
    assert f"{span.parent.span_id:016x}" == PARENT.split("-")[2]
    assert projects.calls[0].trace_id == PARENT.split("-")[1]
    assert [f"{link.context.trace_id:032x}" for link in span.links] == [FOREIGN.split("-")[1]]


def test_no_secret_enters_a_span(channel: grpc.Channel, issuer: Issuer, spans: Spans) -> None:
    """Neither the token nor the request is in any attribute."""
    token = issuer.token()
    grpc_pb.ProjectServiceStub(channel).GetProject(pb.GetProjectRequest(name=PROJECT), metadata=bearer(token))
    written = spans.next().to_json()
    assert token not in written
    assert PROJECT not in written


def test_a_span_of_an_upload_ends_with_it(issuer: Issuer, spans: Spans, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole, refused in its middle, or left by its caller: one span, when it is over, with what became of it."""
    tracer = spans.provider.get_tracer("test")
    monkeypatch.setattr(trace, "get_tracer", lambda *_, **__: tracer)
    uploads, release = Uploads(), threading.Event()
    metadata = bearer(issuer.token())
    with streaming(uploads, issuer) as channel:
        stub = upload_service_pb2_grpc.UploadServiceStub(channel)
        stub.UploadDocument(pieces(b"a", b"b"), metadata=metadata)
        assert status_in(spans.next()) == "OK"
        with pytest.raises(grpc.RpcError):
            stub.UploadDocument(pieces(b"a", b"refuse"), metadata=metadata)
        assert status_in(spans.next()) == "NOT_FOUND"
        call = stub.UploadDocument.future(unfinished(release, b"a"), metadata=metadata)
        for _ in range(3):
            assert uploads.begun.acquire(timeout=60)
        call.cancel()
        assert status_in(spans.next()) == "CANCELLED"
    with streaming(uploads, issuer, stream_pace_seconds=0.5) as channel, pytest.raises(grpc.RpcError):
        upload_service_pb2_grpc.UploadServiceStub(channel).UploadDocument(unfinished(release, b"a"), metadata=metadata)
    assert status_in(spans.next()) == "RESOURCE_EXHAUSTED"
    release.set()


def status_in(span: ReadableSpan) -> object:
    """What became of the call."""
    return dict(span.attributes or {})["rpc.response.status_code"]
