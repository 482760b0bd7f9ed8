"""Spans reach any OTLP receiver, and calls go on without one."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.integration.gateway.conftest import Mesh, started

WAIT_SECONDS_MAX = 60


@contextmanager
def receiver() -> Iterator[tuple[int, list[tuple[str, str, bytes]]]]:
    """An OTLP receiver over HTTP: its port, and the path, key and body of what arrived."""
    arrived: list[tuple[str, str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = b""
            while size := int(self.rfile.readline(), 16):  # Envoy sends chunks
                body += self.rfile.read(size + 2)[:-2]
            self.rfile.readline()
            arrived.append((self.path, self.headers.get("x-key", ""), body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server.server_address[1], arrived
        finally:
            server.shutdown()
            thread.join()


def called(mesh: Mesh) -> str:
    """The trace id of an answered call."""
    with mesh.gateway.client(mesh.token("viewer")) as client:
        answer = client.get("/v1/projects/a.b")
    assert answer.status_code == 200
    return answer.headers["x-trace-id"]


def test_over_http() -> None:
    """A backend that takes OTLP over HTTP gets the spans at its path, with its key."""
    with receiver() as (port, arrived):
        where = {
            "trace_endpoint": f"127.0.0.1:{port}",
            "trace_protocol": "http/protobuf",
            "trace_path": "/otlp/v1/traces",
        }
        with started(workers=1, trace_headers=("x-key=secret%21",), **where) as mesh:
            trace_id = called(mesh)
            end = time.monotonic() + WAIT_SECONDS_MAX
            while not arrived and time.monotonic() < end:
                time.sleep(0.02)
        path, key, body = arrived[0]
    assert (path, key) == ("/otlp/v1/traces", "secret!")
    assert trace_id in {
        span.trace_id.hex()
        for group in ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in group.scope_spans
        for span in scope.spans
    }


def test_sampling() -> None:
    """What is not sampled has a trace id all the same, and services are told not to record either."""
    with started(workers=1, trace_percent=0.0) as mesh:
        trace_id = called(mesh)
        traceparent = mesh.registry.calls[0].metadata["traceparent"]
    assert traceparent.startswith(f"00-{trace_id}-")
    assert traceparent.endswith("-00")
    assert mesh.collector.spans() == []


def test_no_receiver() -> None:
    """Calls go on where nobody takes their spans, and every export that fails is counted."""
    with started(workers=1, trace_endpoint="127.0.0.1:9") as mesh:
        for _ in range(50):
            called(mesh)
        end = time.monotonic() + WAIT_SECONDS_MAX
        while time.monotonic() < end and not mesh.gateway.statistic("cluster.traces.upstream_rq_5xx"):
            time.sleep(0.05)
        assert mesh.gateway.statistic("cluster.traces.upstream_rq_5xx") > 0
