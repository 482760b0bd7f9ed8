"""The gateway's certificate is made, kept, renewed, and good for nothing else."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509 import DNSName
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError
from verbund.embedded import certificates

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def verify(directory: Path, name: str, at: datetime) -> None:
    """Checks the served chain as a client would (RFC 5280); raises VerificationError."""
    ca = x509.load_pem_x509_certificate((directory / "ca.pem").read_bytes())
    server = x509.load_pem_x509_certificates((directory / "server.pem").read_bytes())[0]
    PolicyBuilder().store(Store([ca])).time(at).build_server_verifier(DNSName(name)).verify(server, [])


def test_a_client_that_trusts_the_authority_trusts_the_gateway(tmp_path: Path) -> None:
    """The certificate is good for localhost and the names that are given, by the rules of RFC 5280."""
    assert certificates.ensure(tmp_path, ["mesh.berlin.example"], NOW)
    verify(tmp_path, "localhost", NOW)
    verify(tmp_path, "mesh.berlin.example", NOW + timedelta(days=certificates.SERVER_DAYS - 1))
    with pytest.raises(VerificationError):
        verify(tmp_path, "bank.example", NOW)


def test_the_authority_cannot_sign_for_anybody_else(tmp_path: Path) -> None:
    """Who trusts it in a browser trusts it for the gateway's own names only (RFC 5280, name constraints)."""
    certificates.ensure(tmp_path, [], NOW)
    certificates.make_server(tmp_path, ["bank.example"], NOW)
    with pytest.raises(VerificationError):
        verify(tmp_path, "bank.example", NOW)


def test_what_is_good_is_kept_and_what_runs_out_is_renewed(tmp_path: Path) -> None:
    """Nothing is written while 30 days are left; then the server's certificate is made anew, the authority stays."""
    certificates.ensure(tmp_path, [], NOW)
    files = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert not certificates.ensure(tmp_path, [], NOW + timedelta(days=59))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == files
    later = NOW + timedelta(days=61)
    assert certificates.ensure(tmp_path, [], later)
    assert (tmp_path / "ca.pem").read_bytes() == files["ca.pem"]
    verify(tmp_path, "localhost", later + timedelta(days=80))


def test_a_new_name_of_the_gateway_is_taken_up(tmp_path: Path) -> None:
    """A changed address leads to a certificate with it, on the next start."""
    certificates.ensure(tmp_path, [], NOW)
    assert certificates.ensure(tmp_path, ["192.0.2.7", "new.example"], NOW)
    verify(tmp_path, "new.example", NOW)


def test_private_keys_are_private(tmp_path: Path) -> None:
    """Nobody but the owner can read them."""
    certificates.ensure(tmp_path, [], NOW)
    assert {path.name: path.stat().st_mode & 0o077 for path in tmp_path.glob("*.key")} == {"ca.key": 0, "server.key": 0}
