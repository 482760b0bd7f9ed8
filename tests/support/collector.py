"""A small real OTLP receiver that keeps the spans it was sent."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as pb
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as services
from opentelemetry.proto.trace.v1.trace_pb2 import Span

WAIT_SECONDS_MAX = 60


@dataclass(slots=True)
class Collector(services.TraceServiceServicer):
    """What arrived, in order."""

    exports: list[pb.ExportTraceServiceRequest] = field(default_factory=list)

    def Export(  # noqa: N802 - the proto's name
        self, request: pb.ExportTraceServiceRequest, _context: grpc.ServicerContext
    ) -> pb.ExportTraceServiceResponse:
        """Takes an export."""
        self.exports.append(request)
        return pb.ExportTraceServiceResponse()

    def spans(self) -> list[Span]:
        """Every span so far."""
        return [
            span
            for export in self.exports
            for group in export.resource_spans
            for scope in group.scope_spans
            for span in scope.spans
        ]

    def wait_for(self, trace_id: str) -> Span:
        """The first span of a trace, once it arrived."""
        end = time.monotonic() + WAIT_SECONDS_MAX
        while time.monotonic() < end:
            for span in self.spans():
                if span.trace_id.hex() == trace_id:
                    return span
            time.sleep(0.05)
        raise AssertionError(f"no span of the trace {trace_id} arrived within {WAIT_SECONDS_MAX} s")


@contextmanager
def collecting(address: Path | str) -> Iterator[Collector]:
    """A receiver on a Unix socket or on host:port, until the end of the block."""
    server = grpc.server(ThreadPoolExecutor(2))
    collector = Collector()
    services.add_TraceServiceServicer_to_server(collector, server)  # type: ignore[no-untyped-call]
    server.add_insecure_port(f"unix:{address}" if isinstance(address, Path) else address)
    server.start()
    try:
        yield collector
    finally:
        server.stop(0).wait()
