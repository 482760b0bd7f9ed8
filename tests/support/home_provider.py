"""A real OpenID provider over TLS that mints whatever it is told to, the hostile above all."""

import base64
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from joserfc.jwk import ECKey, KeySet, OctKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry
from verbund.embedded import certificates

CLIENT = "verbund"
Key = ECKey | OKPKey | RSAKey | OctKey
ALGORITHMS = {"EC": ("ES256",), "OKP": ("Ed25519",), "RSA": ("RS256", "PS256"), "oct": ("HS256",)}


@dataclass
class HomeProvider:
    """Some issuers on one server: what it serves can be changed at any time, by path."""

    directory: Path
    key: Key = field(default_factory=lambda: RSAKey.generate_key(2048, auto_kid=True))
    documents: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    answers: dict[str, Callable[[dict[str, str]], tuple[int, Any]]] = field(default_factory=dict)
    forms: list[dict[str, str]] = field(default_factory=list)
    delay_seconds: float = 0.0
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def ca_file(self) -> Path:
        """The throw-away authority that vouches for it."""
        return self.directory / "ca.pem"

    @property
    def url(self) -> str:
        """Where it lies."""
        return f"https://127.0.0.1:{self.server.server_address[1]}"

    def issuer(self, at: str = "home") -> str:
        """One of its issuers."""
        return f"{self.url}/{at}"

    def publish(self, *keys: Key, at: str = "home", **configuration: Any) -> str:
        """Serves discovery and keys of an issuer; the issuer. `configuration` replaces what discovery says."""
        issuer = self.issuer(at)
        stated = {"issuer": issuer, "jwks_uri": f"{issuer}/keys"} | configuration
        self.serve(f"/{at}/.well-known/openid-configuration", stated)
        self.serve(f"/{at}/keys", KeySet(list(keys or (self.key,))).as_dict(private=False))
        return issuer

    def serve(self, path: str, content: Any, *, status: int = 200) -> None:
        """Serves a document, JSON unless it is bytes."""
        self.documents[path] = (status, content if isinstance(content, bytes) else json.dumps(content).encode())

    def token(
        self,
        subject: str = "anna",
        *,
        at: str = "home",
        key: Key | None = None,
        header: Mapping[str, Any] | None = None,
        **claims: Any,
    ) -> str:
        """An ID token; a claim or header member given as None is left out."""
        signing, now = key or self.key, int(time.time())
        stated = {
            "iss": self.issuer(at),
            "aud": CLIENT,
            "sub": subject,
            "iat": now,
            "exp": now + 600,
            "name": subject.title(),
            "email": f"{subject}@example.org",
            "roles": ["staff"],
        } | claims
        protected = {"alg": ALGORITHMS[signing.key_type][0], "typ": "JWT", "kid": signing.kid} | dict(header or {})
        return signed(without_none(protected), json.dumps(without_none(stated)), signing)

    @cached_property
    def server(self) -> ThreadingHTTPServer:
        """The listening server."""
        certificates.ensure(self.directory, [], datetime.now(UTC))
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler_of(self))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.directory / "server.pem", self.directory / "server.key")
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        return server


def signed(header: Mapping[str, Any], payload: str, key: Key) -> str:
    """A compact JWS of any header and payload; a header that lies about the algorithm changes nothing of it."""
    stated = header.get("alg")
    fitting = stated if stated in ALGORITHMS.get(key.key_type, ()) else ALGORITHMS[key.key_type][0]
    parts = f"{encoded(json.dumps(dict(header)).encode())}.{encoded(payload.encode())}"
    return f"{parts}.{encoded(JWSRegistry.algorithms[fitting].sign(parts.encode(), key))}"


def encoded(content: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def without_none(stated: Mapping[str, Any]) -> dict[str, Any]:
    """What is stated, without what is left out."""
    return {name: value for name, value in stated.items() if value is not None}


def handler_of(provider: HomeProvider) -> type[BaseHTTPRequestHandler]:
    """What answers requests."""

    class Handler(BaseHTTPRequestHandler):
        """Serves the provider's documents."""

        def do_GET(self) -> None:
            provider.asked.append(self.path)
            time.sleep(provider.delay_seconds)
            status, content = provider.documents.get(self.path, (404, b""))
            self.send_response(status)
            for name, value in provider.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_POST(self) -> None:
            form = dict(parse_qsl(self.rfile.read(int(self.headers["content-length"])).decode()))
            provider.forms.append(form)
            provider.asked.append(self.path)
            answer = provider.answers.get(self.path)
            status, stated = answer(form) if answer else (404, {})
            content = json.dumps(stated).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's own name
            """Says nothing."""

    return Handler


@contextmanager
def home_provider(directory: Path) -> Iterator[HomeProvider]:
    """A provider that serves one issuer, until the end of the block."""
    directory.mkdir(parents=True, exist_ok=True)
    provider = HomeProvider(directory)
    provider.server.handle_error = lambda *_: None  # type: ignore[method-assign] # a client that leaves
    thread = threading.Thread(target=provider.server.serve_forever, kwargs={"poll_interval": 0.02}, name="provider")
    thread.start()
    try:
        provider.publish()
        yield provider
    finally:
        provider.server.shutdown()
        provider.server.server_close()
        thread.join()
