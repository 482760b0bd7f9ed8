"""A real gateway: Envoy on loopback, before whatever sockets a test puts behind it."""

import datetime as dt
import ipaddress
import json
import ssl
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import grpc
import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from verbund.embedded import ports
from verbund_gateway import engine, writer
from verbund_gateway.render import render
from verbund_gateway.settings import GatewaySettings

READY_SECONDS_MAX = 60


@dataclass(frozen=True, slots=True)
class Gateway:
    """A running gateway."""

    settings: GatewaySettings
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"https://127.0.0.1:{self.settings.port}"

    def client(self, token: str = "", **headers: str) -> httpx.Client:
        """An HTTP client over one connection, with a token where one is given."""
        trust = ssl.create_default_context(cafile=str(self.settings.certificate_file))
        known = {"authorization": f"Bearer {token}"} if token else {}
        return httpx.Client(base_url=self.url, verify=trust, headers=known | headers, timeout=20, trust_env=False)

    def channel(self) -> grpc.Channel:
        """A gRPC channel that shares no connection with any other."""
        credentials = grpc.ssl_channel_credentials(self.settings.certificate_file.read_bytes())
        options = [("grpc.use_local_subchannel_pool", 1)]
        return grpc.secure_channel(f"127.0.0.1:{self.settings.port}", credentials, options=options)

    def statistic(self, name: str) -> int:
        """One of Envoy's counters or gauges; 0 where it was never counted."""
        text = engine.ask(self.settings.admin_socket, f"/stats?format=json&filter=^{name}$")
        return sum(found.get("value", 0) for found in json.loads(text)["stats"])

    def accessed(self, trace_id: str) -> dict[str, Any]:
        """The access log's line of a trace, once it was written."""
        end = time.monotonic() + READY_SECONDS_MAX
        while time.monotonic() < end:
            for line in self.log.read_text().splitlines():
                if trace_id in line and '"event":"request"' in line:
                    found: dict[str, Any] = json.loads(line)
                    return found
            time.sleep(0.05)
        raise AssertionError(f"no line of {trace_id} in the access log")


def gateway_settings(root: Path, **changes: Any) -> GatewaySettings:
    """Settings of a gateway that lives below `root`, on a free port, with a new certificate."""
    sockets = root / "run"
    sockets.mkdir(parents=True, exist_ok=True)
    certificate, key = self_signed(root)
    settings = GatewaySettings(
        directory=root / "gateway",
        socket_directory=sockets,
        certificate_file=certificate,
        key_file=key,
        port=ports.free_port("127.0.0.1"),
    )
    return replace(settings, **changes)


def self_signed(directory: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 and its key, PEM files in `directory`."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "gateway")])
    now = dt.datetime.now(dt.UTC)
    address = x509.IPAddress(ipaddress.IPv4Address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = directory / "server.pem", directory / "server.key"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return paths


@contextmanager
def start_envoy(settings: GatewaySettings, jwks: Mapping[str, Any], **rendering: Any) -> Iterator[Gateway]:
    """A gateway that is ready; it is gone at the end."""
    writer.write(settings.directory, render(settings, jwks, **rendering))
    log = settings.directory.parent / "gateway.log"
    command = engine.command(settings.directory, settings)
    with log.open("ab") as output, subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT) as process:
        try:
            wait_until_ready(settings, process, log)
            yield Gateway(settings, process, log)
        finally:
            process.kill()


def wait_until_ready(settings: GatewaySettings, process: subprocess.Popen[bytes], log: Path) -> None:
    """Waits until the gateway is ready; fails with Envoy's log."""
    end = time.monotonic() + READY_SECONDS_MAX
    while time.monotonic() < end and process.poll() is None:
        if engine.ready(settings):
            return
        time.sleep(0.02)
    raise AssertionError(f"Envoy did not become ready: {log.read_text()[-4000:]}")
