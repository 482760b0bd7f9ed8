"""What is refused of an upload before its content comes, and how often the way to an answer asks PostgreSQL."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from google.api.httpbody_pb2 import HttpBody
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from verbund.exchange.v1 import upload_service_pb2 as pb
from verbund.exchange.v1.delivery_service_pb2 import SubmitDeliveryRequest
from verbund.exchange.v1.delivery_service_pb2_grpc import DeliveryServiceStub
from verbund.exchange.v1.upload_service_pb2_grpc import UploadServiceStub

from tests.integration.exchange.files import exchanging, messages
from tests.integration.exchange.mesh import Mesh, running
from tests.support.members import refused
from tests.support.serving import bearer

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_a_document_too_many_is_refused_before_its_content_comes(database_dsn: str, tmp_path: Path) -> None:
    """Nobody sends what cannot be kept; what is there already is answered as before."""
    release = threading.Event()

    def waiting(name: str) -> Iterator[pb.UploadDocumentRequest]:
        yield next(messages(name, b"x"))
        release.wait(60)
        yield pb.UploadDocumentRequest(content=HttpBody(data=b"y"))

    with exchanging(database_dsn, tmp_path, VERBUND_EXCHANGE_DOCUMENTS_MAX="1") as exchange:
        draft = exchange.draft()
        first = exchange.upload(f"{draft}/documents/a", b"x")
        with refused("STATE_FORBIDS") as found:
            exchange.stub().UploadDocument(
                waiting(f"{draft}/documents/b"), metadata=bearer(exchange.token()), timeout=60
            )
        release.set()
        assert found[0].metadata["type"] == "DOCUMENTS_MAX"
        assert exchange.upload(f"{draft}/documents/a", b"x") == first


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """Where the spans of the test's worker end."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("test")
    monkeypatch.setattr(trace, "get_tracer", lambda *_, **__: tracer)
    return exporter


@pytest.fixture
def mesh(spans: InMemorySpanExporter, database_dsn: str, tmp_path: Path) -> Iterator[Mesh]:
    """A worker whose every call can be traced."""
    assert spans is not None
    with running(database_dsn, tmp_path) as found:
        yield found


def test_the_way_to_an_answer_is_no_longer_than_it_was(mesh: Mesh, spans: InMemorySpanExporter) -> None:
    """An upload asks PostgreSQL five times: what decides, begin, the delivery, the content, commit. To submit takes
    four. Whoever adds one changes this on purpose.
    """
    draft = mesh.district.begin(mesh.mailbox)
    token = mesh.issuer.token("ba-charlottenburg-wilmersdorf", roles=("system",))
    metadata = (*bearer(token), ("traceparent", TRACEPARENT))

    def asked(call: Callable[[], object]) -> list[str]:
        spans.clear()
        call()
        return [span.name.removeprefix("postgresql ") for span in spans.get_finished_spans() if span.name[0] == "p"]

    upload = UploadServiceStub(mesh.channel).UploadDocument
    found = asked(lambda: upload(messages(f"{draft.name}/documents/a", b"x"), metadata=metadata, timeout=20))
    assert found == ["SELECT", "BEGIN", "SELECT", "SELECT", "COMMIT"]
    submit, request = DeliveryServiceStub(mesh.channel).SubmitDelivery, SubmitDeliveryRequest(name=draft.name)
    found = asked(lambda: submit(request, metadata=metadata, timeout=20))
    assert found == ["BEGIN", "SELECT", "SELECT", "COMMIT"]
