"""In a cluster services listen with mutual TLS: who may connect is a list of names, and nobody else is answered."""

import datetime as dt
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from verbund.serving.area import Area
from verbund.serving.settings import ServingSettings
from verbund.serving.worker import Worker, verifier_of

from tests.integration.serving.test_frame import PROJECT, Projects, get, refused
from tests.support.tokens import ISSUER, Issuer


@dataclass
class Authority:
    """A certificate authority of the test's own."""

    directory: Path

    def __post_init__(self) -> None:
        """Makes the authority's key and certificate."""
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
        self.certificate = self.sign(self.name, self.key.public_key(), ca=True)
        self.file = self.directory / "ca.pem"
        self.file.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    def sign(
        self, name: x509.Name, key: ec.EllipticCurvePublicKey, *, ca: bool = False, dns: str = ""
    ) -> x509.Certificate:
        """A certificate, good for an hour."""
        now = dt.datetime.now(dt.UTC)
        builder = x509.CertificateBuilder(self.name, name, key, x509.random_serial_number())
        builder = builder.not_valid_before(now - dt.timedelta(minutes=1))
        builder = builder.not_valid_after(now + dt.timedelta(hours=1))
        builder = builder.add_extension(x509.BasicConstraints(ca, None), critical=True)
        if dns:
            names: list[x509.GeneralName] = [x509.DNSName(dns), x509.IPAddress(ip_address("127.0.0.1"))]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def issue(self, dns: str) -> tuple[Path, Path]:
        """The files of a key and its certificate for a name."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, dns)])
        certificate = self.sign(subject, key.public_key(), dns=dns)
        files = self.directory / f"{dns}.key", self.directory / f"{dns}.pem"
        files[0].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        files[1].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return files


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def issuer(tmp_path: Path) -> Issuer:
    return Issuer(tmp_path)


@pytest.fixture
def address(authority: Authority, issuer: Issuer) -> Iterator[str]:
    """A service that the name `gateway` may connect to."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    key, certificate = authority.issue("registry")
    settings = ServingSettings(
        issuer=ISSUER,
        jwks_file=issuer.jwks_file,
        revocations_file=issuer.revocations_file,
        listen=f"127.0.0.1:{port}",
        tls_key_file=key,
        tls_certificate_file=certificate,
        tls_client_ca_file=authority.file,
        tls_client_names=("gateway",),
    )
    area = Area(name="registry", servicers=[Projects()], ready=lambda: True)
    with Worker(area, settings, verifier_of(settings), 0):
        yield settings.listen


def channel(address: str, authority: Authority, client: str | None) -> grpc.Channel:
    """A channel with the certificate of `client`, or with none."""
    key, certificate = (path.read_bytes() for path in authority.issue(client)) if client else (None, None)
    return grpc.secure_channel(address, grpc.ssl_channel_credentials(authority.file.read_bytes(), key, certificate))


def test_a_listed_name_is_answered(address: str, authority: Authority, issuer: Issuer) -> None:
    """With its certificate and a token."""
    with channel(address, authority, "gateway") as opened:
        assert get(opened, issuer.token()).name == PROJECT


def test_a_name_that_is_not_listed_is_refused(address: str, authority: Authority, issuer: Issuer) -> None:
    """A certificate of the same authority and a good token do not suffice."""
    with channel(address, authority, "somebody") as opened:
        assert refused(lambda: get(opened, issuer.token())).code is grpc.StatusCode.UNAUTHENTICATED


def test_without_a_certificate_there_is_no_connection(address: str, authority: Authority, issuer: Issuer) -> None:
    """Neither over TLS nor without."""
    with channel(address, authority, None) as opened:
        assert refused(lambda: get(opened, issuer.token(), timeout=60)).code is grpc.StatusCode.UNAVAILABLE
    with grpc.insecure_channel(address) as opened:
        assert refused(lambda: get(opened, issuer.token(), timeout=60)).code is grpc.StatusCode.UNAVAILABLE


def test_a_foreign_authority_is_not_believed(
    address: str, authority: Authority, issuer: Issuer, tmp_path: Path
) -> None:
    """Whoever issues a certificate for the right name needs the right key too."""
    (tmp_path / "foreign").mkdir()
    foreign = Authority(tmp_path / "foreign")
    key, certificate = (path.read_bytes() for path in foreign.issue("gateway"))
    credentials = grpc.ssl_channel_credentials(authority.file.read_bytes(), key, certificate)
    with grpc.secure_channel(address, credentials) as opened:
        assert refused(lambda: get(opened, issuer.token(), timeout=60)).code is grpc.StatusCode.UNAVAILABLE
