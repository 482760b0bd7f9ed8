"""A small real mesh for the client: a token endpoint and a gRPC service, over TLS, on loopback."""

import json
import ssl
import threading
import urllib.parse
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.message import Message
from joserfc import jwt
from joserfc.jwk import Key
from verbund.registry.v1 import project_service_pb2 as pb

from tests.support.envoy import self_signed

SYSTEM = "organisations/citylab-berlin/systems/portal"
KINDS: dict[str, type[Message]] = {"GetProject": pb.GetProjectRequest, "UpdateProject": pb.UpdateProjectRequest}


@dataclass
class Endpoint:
    """A token endpoint that checks the assertion with the system's public key."""

    key: Key
    url: str = ""
    life_seconds: int = 300
    failing: bool = False
    assertions: list[dict[str, Any]] = field(default_factory=list)
    forms: list[dict[str, str]] = field(default_factory=list)
    """What was asked for."""
    held: threading.Event | None = None
    """Answers wait for it, where it is given."""

    def answer(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """The status and body for a request."""
        if self.held is not None:
            assert self.held.wait(20)
        if self.failing:
            return 401, {"error": "invalid_client", "error_description": "unknown"}
        self.forms.append(form)
        if "client_assertion" in form:
            assertion = jwt.decode(form["client_assertion"], self.key, algorithms=["ES256", "Ed25519", "PS256"])
            assert assertion.header["kid"] == self.key.thumbprint()
            self.assertions.append(assertion.claims)
        token = f"token-{len(self.forms)}"
        return 200, {"access_token": token, "expires_in": self.life_seconds, "token_type": "Bearer"}


@contextmanager
def endpoint_serving(endpoint: Endpoint, certificate: tuple[Path, Path]) -> Iterator[Endpoint]:
    """The endpoint over TLS; other paths answer with the header `authorization` that they got."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            form = dict(urllib.parse.parse_qsl(body))
            self.reply(*endpoint.answer(form))

        def do_GET(self) -> None:
            self.reply(200, {"authorization": self.headers["authorization"]})

        def reply(self, status: int, body: dict[str, Any]) -> None:
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        endpoint.url = f"https://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield endpoint
        finally:
            server.shutdown()
            thread.join()


@dataclass
class Projects:
    """A service that says who called, and is down for as many calls as it is told."""

    calls: list[tuple[str, str]] = field(default_factory=list)
    down_for: int = 0
    address: str = ""

    def answer(self, request: pb.GetProjectRequest, context: grpc.ServicerContext) -> pb.Project:
        """Answers Get and Update alike."""
        metadata = {key: str(value) for key, value in context.invocation_metadata()}
        self.calls.append((type(request).__name__, metadata["authorization"]))
        if self.down_for:
            self.down_for -= 1
            context.abort(grpc.StatusCode.UNAVAILABLE, "down")
        return pb.Project(name="projects/x.y")


@contextmanager
def projects_serving(projects: Projects, certificate: tuple[Path, Path]) -> Iterator[Projects]:
    """The service over TLS."""
    methods: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
        name: grpc.unary_unary_rpc_method_handler(
            projects.answer, request_deserializer=kind.FromString, response_serializer=pb.Project.SerializeToString
        )
        for name, kind in KINDS.items()
    }
    server = grpc.server(ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler("verbund.registry.v1.ProjectService", methods)]
    )
    chain, key = certificate[0].read_bytes(), certificate[1].read_bytes()
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(key, chain)]))
    server.start()
    projects.address = f"https://127.0.0.1:{port}"
    try:
        yield projects
    finally:
        server.stop(0).wait()


def new_certificate(directory: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 and its key."""
    directory.mkdir(exist_ok=True)
    return self_signed(directory)
