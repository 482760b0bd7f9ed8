"""The receiver: real exporters, a real process, and what it acknowledged after its death."""

import contextlib
import gzip
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as otlp
from opentelemetry.proto.trace.v1 import trace_pb2
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.trace import Link, SpanContext
from verbund.traces.reader import Reader
from verbund.traces.spans import TEXT_CHARS_MAX
from verbund.traces.tree import tree_of

CHILD = """
import os, sys
from verbund.traces.main import run
sys.exit(run(os.environ, int(sys.argv[1])))
"""


@dataclass
class Process:
    """The receiver in a process of its own."""

    socket: Path
    database: Path
    popen: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when it said that it is ready."""
        reading, writing = os.pipe()
        settings = {"VERBUND_TRACES_SOCKET": str(self.socket), "VERBUND_TRACES_DATABASE": str(self.database)}
        self.popen = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(writing)], env=os.environ | settings, pass_fds=[writing]
        )
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            assert pipe.read(1) == b"1"

    def end(self, number: signal.Signals) -> int:
        """The exit code after the signal."""
        assert self.popen is not None
        self.popen.send_signal(number)
        return self.popen.wait(60)


@pytest.fixture
def receiver() -> Iterator[Process]:
    """A started receiver; its socket needs a short path."""
    with tempfile.TemporaryDirectory() as directory:
        process = Process(Path(directory) / "traces.grpc.sock", Path(directory) / "traces.sqlite")
        process.start()
        yield process
        if process.popen is not None and process.popen.poll() is None:
            process.end(signal.SIGKILL)


@pytest.fixture
def channel(receiver: Process) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(f"unix:{receiver.socket}") as channel:
        yield channel


def finished_spans(number: int) -> list[ReadableSpan]:
    """A root and its children, as an instrumented service makes them."""
    provider = TracerProvider(resource=Resource.create({"service.name": "registry"}))
    tracer = provider.get_tracer("test")
    linked = SpanContext(trace_id=7, span_id=8, is_remote=True)
    with tracer.start_as_current_span("GET /v1/projects", links=[Link(linked)]) as root:
        children = [tracer.start_span(f"SELECT {index}") for index in range(number - 1)]
        for child in children:
            child.end()
    return [span for span in (root, *children) if isinstance(span, ReadableSpan)]


def one_span(trace: int = 1) -> otlp.ExportTraceServiceRequest:
    """The smallest request."""
    span = trace_pb2.Span(trace_id=trace.to_bytes(16, "big"), span_id=b"\x01" * 8, name="AAAA")
    group = trace_pb2.ResourceSpans(scope_spans=[trace_pb2.ScopeSpans(spans=[span])])
    return otlp.ExportTraceServiceRequest(resource_spans=[group])


def export_raw(channel: grpc.Channel, message: bytes) -> otlp.ExportTraceServiceResponse:
    """Sends bytes as they are."""
    call = channel.unary_unary(
        "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        request_serializer=bytes,
        response_deserializer=otlp.ExportTraceServiceResponse.FromString,
    )
    return call(message, timeout=20)


def export(channel: grpc.Channel, request: otlp.ExportTraceServiceRequest) -> otlp.ExportTraceServiceResponse:
    """Sends a request."""
    return export_raw(channel, request.SerializeToString())


def test_what_a_service_exports_is_drawn_as_its_tree(receiver: Process) -> None:
    """OpenTelemetry's own exporter, a compressed batch: one whole tree with service, children and link."""
    exporter = OTLPSpanExporter(f"unix:{receiver.socket}", insecure=True, compression=grpc.Compression.Gzip)
    spans = finished_spans(400)
    assert exporter.export(spans) is SpanExportResult.SUCCESS
    exporter.shutdown()
    with Reader(receiver.database) as reader:
        tree = tree_of(reader.trace(f"{spans[0].context.trace_id:032x}"))
    assert (tree.whole, len(tree.spans), list(tree.services)) == (True, 400, ["registry"])
    root = tree.roots[0].span
    assert root is not None
    assert (root.name, root.links[0].trace_id, root.links[0].span_id) == ("GET /v1/projects", f"{7:032x}", f"{8:016x}")


def test_what_was_acknowledged_survives_the_end_of_the_process(receiver: Process) -> None:
    """Kill -9 in the middle of exporting: every acknowledged span is there, and the next process goes on."""
    acknowledged: list[int] = []

    def send(channel: grpc.Channel, numbers: range) -> None:
        with contextlib.suppress(grpc.RpcError):
            for number in numbers:
                export(channel, one_span(number))
                acknowledged.append(number)
                if len(acknowledged) == 100:
                    receiver.end(signal.SIGKILL)

    with grpc.insecure_channel(f"unix:{receiver.socket}") as channel, ThreadPoolExecutor(8) as pool:
        list(pool.map(send, [channel] * 8, [range(start, 100_000, 8) for start in range(1, 9)]))
    receiver.start()
    with Reader(receiver.database) as reader:
        missing = [number for number in acknowledged if not reader.trace(f"{number:032x}")]
    assert len(acknowledged) >= 100
    assert not missing
    with grpc.insecure_channel(f"unix:{receiver.socket}") as channel:
        export(channel, one_span(100_001))


def test_it_stops_cleanly_and_leaves_nothing(receiver: Process, channel: grpc.Channel) -> None:
    """SIGTERM: exit code 0, no socket, no write-ahead log."""
    export(channel, one_span())
    assert receiver.end(signal.SIGTERM) == 0
    assert [path.name for path in receiver.database.parent.iterdir()] == ["traces.sqlite"]


def test_malformed_ids_are_counted_and_said(receiver: Process, channel: grpc.Channel) -> None:
    """OTLP's partial success tells the sender how many spans were not kept; the store counts them."""
    request = one_span()
    request.resource_spans[0].scope_spans[0].spans.add(trace_id=b"short", span_id=b"\x01" * 8)
    response = export(channel, request)
    assert response.partial_success.rejected_spans == 1
    with Reader(receiver.database) as reader:
        assert reader.counts() == {"stored": 1, "refused": 1}


def test_text_that_is_no_utf8_is_kept_with_a_mark(receiver: Process, channel: grpc.Channel) -> None:
    """Over the wire: stored, not refused."""
    export_raw(channel, one_span().SerializeToString().replace(b"AAAA", b"\xff\xfeAA"))
    with Reader(receiver.database) as reader:
        assert reader.trace(f"{1:032x}")[0].name == "��AA"


@pytest.mark.parametrize(
    ("message", "code"),
    [(b"\xff" * 100, grpc.StatusCode.INVALID_ARGUMENT), (bytes(9 * 1024 * 1024), grpc.StatusCode.RESOURCE_EXHAUSTED)],
)
def test_garbage_and_too_much_are_refused_and_the_next_is_served(
    channel: grpc.Channel, message: bytes, code: grpc.StatusCode
) -> None:
    """The sender is told, and nobody else notices."""
    with pytest.raises(grpc.RpcError) as refused:
        export_raw(channel, message)
    assert refused.value.code() == code
    assert export(channel, one_span()) == otlp.ExportTraceServiceResponse()


def test_a_large_request_is_taken_and_its_span_is_cut(receiver: Process, channel: grpc.Channel) -> None:
    """Up to the setting's 8 MiB; what is kept of it is small."""
    request = one_span()
    request.resource_spans[0].scope_spans[0].spans[0].attributes.add(key="huge").value.string_value = "x" * 7_000_000
    export(channel, request)
    with Reader(receiver.database) as reader:
        kept = reader.trace(f"{1:032x}")[0]
    assert len(str(kept.attributes["huge"])) == TEXT_CHARS_MAX
    assert kept.shortened == 1


def test_a_compression_bomb_is_refused(receiver: Process) -> None:
    """The bound counts what comes out, not what came in."""
    bomb = bytes(64 * 1024 * 1024)
    assert len(gzip.compress(bomb, 1)) < 8 * 1024 * 1024
    with (
        grpc.insecure_channel(f"unix:{receiver.socket}", compression=grpc.Compression.Gzip) as channel,
        pytest.raises(grpc.RpcError) as refused,
    ):
        export_raw(channel, bomb)
    assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
