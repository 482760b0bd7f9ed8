"""The gateway's certificate and the built-in provider's, signed by an authority that this home makes for itself."""

import ipaddress
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from verbund.files import replace

CA_DAYS = 3650
SERVER_DAYS = 90
RENEW_DAYS = 30
BACKDATED = timedelta(hours=1)  # clocks of clients differ
LOOPBACK = ("localhost", "127.0.0.1", "::1")
GATEWAY, PROVIDER = "server", "provider"  # what the files are called
TITLES = {GATEWAY: "Verbund gateway", PROVIDER: "Verbund built-in provider"}


def ensure(directory: Path, names: Sequence[str], now: datetime, *, provider: bool = False) -> bool:
    """Makes or renews what is missing, runs out within 30 days or lacks a name; whether anything was written.

    `names` are DNS names and addresses of the gateway besides those of this machine's loopback. The authority may
    sign for no other DNS name: whoever trusts it in a browser trusts it for no site of the Internet.
    """
    wanted = tuple(dict.fromkeys((*LOOPBACK, *names)))
    ca = read(directory / "ca.pem")
    if ca is None or expires_soon(ca, now) or not permits(ca, wanted):
        ca = make_authority(directory, wanted, now)
    servers = {GATEWAY: wanted, **({PROVIDER: LOOPBACK} if provider else {})}
    stale = [server for server in servers if not is_good(read(directory / f"{server}.pem"), ca, servers[server], now)]
    for server in stale:
        make_server(directory, servers[server], now, server=server)
    return bool(stale)


def is_good(server: x509.Certificate | None, ca: x509.Certificate, names: Sequence[str], now: datetime) -> bool:
    """Whether a certificate is the authority's, lasts, and has the names."""
    if server is None or expires_soon(server, now) or not set(general_names(names)) <= names_of(server):
        return False
    try:
        server.verify_directly_issued_by(ca)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def make_authority(directory: Path, names: Sequence[str], now: datetime) -> x509.Certificate:
    """Writes ca.key and ca.pem; the authority's certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Verbund, this machine's own authority")])
    permitted = dns_names(names)
    certificate = (
        builder(subject, subject, key.public_key(), now, CA_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage(certify=True), critical=True)
        .add_extension(x509.NameConstraints(permitted_subtrees=permitted, excluded_subtrees=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    replace(directory / "ca.key", pem_of(key))
    replace(directory / "ca.pem", certificate.public_bytes(serialization.Encoding.PEM))
    return certificate


def make_server(directory: Path, names: Sequence[str], now: datetime, *, server: str = GATEWAY) -> None:
    """Writes a server's key, and its certificate with the authority's after it."""
    authority = x509.load_pem_x509_certificate((directory / "ca.pem").read_bytes())
    signer = serialization.load_pem_private_key((directory / "ca.key").read_bytes(), None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, TITLES[server])])
    certificate = (
        builder(subject, authority.subject, key.public_key(), now, SERVER_DAYS)
        .add_extension(x509.SubjectAlternativeName(general_names(names)), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage(certify=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .sign(signer, hashes.SHA256())
    )
    replace(directory / f"{server}.key", pem_of(key))
    chain = [certificate.public_bytes(serialization.Encoding.PEM), (directory / "ca.pem").read_bytes()]
    replace(directory / f"{server}.pem", b"".join(chain))


def builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, days: int
) -> x509.CertificateBuilder:
    """What every certificate states."""
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + timedelta(days=days))
    )


def usage(*, certify: bool) -> x509.KeyUsage:
    """An authority signs certificates, a server signs handshakes."""
    return x509.KeyUsage(
        digital_signature=not certify,
        key_cert_sign=certify,
        crl_sign=certify,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def general_names(names: Sequence[str]) -> list[x509.GeneralName]:
    """Addresses and DNS names, as certificates write them."""
    return [general_name(name) for name in names]


def general_name(name: str) -> x509.GeneralName:
    """An address where `name` is one, a DNS name otherwise."""
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def dns_names(names: Sequence[str]) -> list[x509.GeneralName]:
    """What the authority is bound to. BoringSSL, and so every gRPC client, refuses bounds on addresses."""
    return [name for name in general_names(names) if isinstance(name, x509.DNSName)]


def permits(ca: x509.Certificate, names: Sequence[str]) -> bool:
    """Whether the authority may sign for all `names`, and every client can read its bounds."""
    constraints = ca.extensions.get_extension_for_class(x509.NameConstraints).value
    permitted = set(constraints.permitted_subtrees or ())
    return set(dns_names(names)) <= permitted and all(isinstance(name, x509.DNSName) for name in permitted)


def names_of(certificate: x509.Certificate) -> set[x509.GeneralName]:
    """The names that a certificate is for."""
    return set(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)


def expires_soon(certificate: x509.Certificate, now: datetime) -> bool:
    """Whether a certificate runs out within the days that renewal takes place before."""
    return certificate.not_valid_after_utc - now < timedelta(days=RENEW_DAYS)


def read(path: Path) -> x509.Certificate | None:
    """The first certificate of a file, None where the file is missing or broken."""
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError):
        return None


def pem_of(key: ec.EllipticCurvePrivateKey) -> bytes:
    """A private key, unencrypted: it lies in a directory that nobody else can enter."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
