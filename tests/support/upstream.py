"""Small real servers that stand where an area's workers would: they record what arrives and answer what a test says."""

import socketserver
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2
from verbund.serving import infrastructure
from verbund.serving.http import HEALTH_PATH


@dataclass(frozen=True, slots=True)
class Received:
    """One call as it arrived."""

    method: str
    metadata: dict[str, str]
    request: Message


Answer = Callable[[Message, grpc.ServicerContext], Any]


@dataclass(slots=True)
class Worker:
    """A gRPC server of some services. A method answers an empty message, unless `answers` has its full path."""

    services: Sequence[ServiceDescriptor]
    calls: list[Received] = field(default_factory=list)
    answers: dict[str, Answer] = field(default_factory=dict)

    def methods(self) -> dict[str, MethodDescriptor]:
        """The methods by their paths."""
        return {
            f"/{service.full_name}/{method.name}": method for service in self.services for method in service.methods
        }

    def handler(self) -> grpc.GenericRpcHandler:
        """The handler of every method."""
        worker = self

        class Handler(grpc.GenericRpcHandler):
            def service(self, details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[Any, Any] | None":
                method = worker.methods().get(str(details.method))
                return worker.method_handler(str(details.method), method) if method else None

        return Handler()

    def method_handler(self, path: str, method: MethodDescriptor) -> "grpc.RpcMethodHandler[Any, Any]":
        """The handler of one method."""

        def answer(request: Message, context: grpc.ServicerContext) -> Any:
            known = self.answers.get(path)
            return known(request, context) if known else None

        def unary(request: Message, context: grpc.ServicerContext) -> Any:
            self.record(path, request, context)
            return answer(request, context) or GetMessageClass(method.output_type)()

        def stream(request: Message, context: grpc.ServicerContext) -> Iterator[Any]:
            self.record(path, request, context)
            yield from answer(request, context) or [GetMessageClass(method.output_type)()]

        make = grpc.unary_stream_rpc_method_handler if method.server_streaming else grpc.unary_unary_rpc_method_handler
        return make(
            stream if method.server_streaming else unary,
            request_deserializer=GetMessageClass(method.input_type).FromString,
            response_serializer=lambda message: message.SerializeToString(),
        )

    def record(self, path: str, request: Message, context: grpc.ServicerContext) -> None:
        """Keeps what arrived."""
        metadata = {
            key: value if isinstance(value, str) else value.decode("latin-1")
            for key, value in context.invocation_metadata()
        }
        self.calls.append(Received(path, metadata, request))


@contextmanager
def serving(worker: Worker, socket: Path) -> Iterator[Worker]:
    """The worker on a Unix socket."""
    server = grpc.server(
        ThreadPoolExecutor(16), handlers=[worker.handler()], options=[("grpc.max_receive_message_length", 64 << 20)]
    )
    infrastructure.add_health(server).set("", health_pb2.HealthCheckResponse.SERVING)
    server.add_insecure_port(f"unix:{socket}")
    server.start()
    try:
        yield worker
    finally:
        server.stop(0).wait()


@dataclass(slots=True)
class Pages:
    """A plain HTTP server on a Unix socket; it answers 200 and remembers each request, but those for its health."""

    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)


@contextmanager
def serving_http(socket: Path) -> Iterator[Pages]:
    """The server, until the end of the block."""
    pages = Pages()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_request(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", "0")))
            if self.path != HEALTH_PATH:
                pages.requests.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}))
            self.send_response(200)
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        do_GET = do_POST = handle_request  # noqa: N815 - the names that http.server calls

        def address_string(self) -> str:
            return "gateway"

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    with socketserver.ThreadingUnixStreamServer(str(socket), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield pages
        finally:
            server.shutdown()
            thread.join()
