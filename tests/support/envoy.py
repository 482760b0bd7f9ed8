"""A real gateway in front of real sockets: certificates, keys and tokens of a test mesh, and Envoy on loopback."""

import contextlib
import datetime
import ipaddress
import socket
import ssl
import subprocess
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey

from verbund_gateway import engine, writer
from verbund_gateway.render import render
from verbund_gateway.settings import GatewaySettings

READY_SECONDS_MAX = 15


@dataclass(slots=True)
class Issuer:
    """A token service's keys: what signs, and what the gateway is told."""

    url: str = "https://127.0.0.1:8443"
    key: ECKey = field(default_factory=lambda: ECKey.generate_key("P-256", auto_kid=True))

    def jwks(self) -> dict[str, Any]:
        """The public key set."""
        return {"keys": [{**self.key.as_dict(private=False), "alg": "ES256", "use": "sig"}]}

    def token(self, *roles: str, key: ECKey | OctKey | None = None, header: Mapping[str, str] | None = None, **claims: Any) -> str:
        """A token for a system with `roles`; a claim given as None is left out."""
        now = int(time.time())
        stated = {
            "iss": self.url,
            "aud": "verbund",
            "sub": "organisations/citylab-berlin/systems/portal",
            "org": "organisations/citylab-berlin",
            "roles": list(roles),
            "acr": "low",
            "jti": str(uuid.uuid4()),
            "iat": now,
            "exp": now + 300,
        } | claims
        protected = {"alg": "ES256", "typ": "at+jwt", "kid": self.key.kid} | dict(header or {})
        return jwt.encode(protected, {k: v for k, v in stated.items() if v is not None}, key or self.key, algorithms=["ES256", "HS256"])


@dataclass(frozen=True, slots=True)
class Gateway:
    """A running gateway."""

    settings: GatewaySettings
    issuer: Issuer
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"https://127.0.0.1:{self.settings.port}"

    def trust(self) -> ssl.SSLContext:
        """A client's TLS context."""
        return ssl.create_default_context(cafile=str(self.settings.certificate_file))

    def client(self, *roles: str, http2: bool = False, **claims: Any) -> httpx.Client:
        """An HTTP client, with a token of these roles where any is named."""
        headers = {"authorization": f"Bearer {self.issuer.token(*roles, **claims)}"} if roles else {}
        return httpx.Client(base_url=self.url, verify=self.trust(), headers=headers, http2=http2, timeout=20, trust_env=False)

    def channel(self) -> grpc.Channel:
        """A gRPC channel over TLS."""
        return secure_channel(self.settings.certificate_file, self.settings.port)

    def metadata(self, *roles: str, **claims: Any) -> list[tuple[str, str]]:
        """gRPC metadata with a token."""
        return [("authorization", f"Bearer {self.issuer.token(*roles, **claims)}")]


def secure_channel(certificate: Path, port: int) -> grpc.Channel:
    """A channel to 127.0.0.1 of its own, sharing no connection with any other."""
    credentials = grpc.ssl_channel_credentials(certificate.read_bytes())
    return grpc.secure_channel(f"127.0.0.1:{port}", credentials, options=[("grpc.use_local_subchannel_pool", 1)])


def gateway_settings(root: Path, **changes: Any) -> GatewaySettings:
    """Settings of a gateway that lives below `root`, on a free port, with a new certificate."""
    sockets = root / "run"
    sockets.mkdir(parents=True, exist_ok=True)
    certificate, key = self_signed(root)
    known = {"directory": root / "gateway", "socket_directory": sockets, "certificate_file": certificate, "key_file": key, "port": free_port()}
    return GatewaySettings(**(known | changes))


def free_port() -> int:
    """A port of 127.0.0.1 that nobody uses at present."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def self_signed(directory: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 and its key, PEM files in `directory`."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "gateway")])
    now = datetime.datetime.now(datetime.UTC)
    addresses = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.IPv4Address("127.0.0.1")), x509.DNSName("localhost")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(addresses, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = directory / "server.pem", directory / "server.key"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    paths[1].write_bytes(pem)
    return paths


@contextlib.contextmanager
def start_envoy(settings: GatewaySettings, issuer: Issuer, **rendering: Any) -> Iterator[Gateway]:
    """A gateway that is ready; it is gone at the end."""
    writer.write(settings.directory, render(settings, issuer.jwks(), **rendering))
    log = settings.directory.parent / "gateway.log"
    with log.open("ab") as output, subprocess.Popen(engine.command(settings.directory, settings), stdout=output, stderr=subprocess.STDOUT) as process:
        try:
            wait_until_ready(settings, process, log)
            yield Gateway(settings, issuer, process, log)
        finally:
            process.kill()


def wait_until_ready(settings: GatewaySettings, process: subprocess.Popen[bytes], log: Path) -> None:
    """Waits until the admin interface says that Envoy is live and the listener is open; fails with Envoy's log."""
    end = time.monotonic() + READY_SECONDS_MAX
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(httpx.HTTPError), admin(settings) as client:
            if client.get("/ready").text.strip() == "LIVE" and client.get("/listeners").text.strip():
                return
        time.sleep(0.02)
    raise AssertionError(f"Envoy did not become ready: {log.read_text()[-4000:]}")


def admin(settings: GatewaySettings) -> httpx.Client:
    """A client of Envoy's admin interface."""
    return httpx.Client(transport=httpx.HTTPTransport(uds=str(settings.admin_socket)), base_url="http://admin", timeout=5)
