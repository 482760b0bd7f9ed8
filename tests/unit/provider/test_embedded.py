"""What `verbund up` gives the built-in provider, and what it gives others because of it."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509 import DNSName
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError
from verbund.embedded import certificates, settings
from verbund.embedded.home import Home
from verbund.embedded.settings import EmbeddedSettings
from verbund.embedded.users import caller
from verbund.provider.settings import PREFIX, ProviderSettings
from verbund.settings import SettingError, load

HOME = Home(Path("/srv/mesh"), Path("/srv/mesh"), caller(), Path("/srv/mesh/run"))
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_the_provider_finds_its_place_in_the_home() -> None:
    """Its settings are complete, it may send browsers back to the gateway, and its files lie beside no system's key."""
    found = load(ProviderSettings, settings.for_parts(HOME, {"VERBUND_GATEWAY_PORT": "9443"}), prefix=PREFIX)
    assert found.directory == HOME.provider != HOME.keys
    assert found.certificate_file == HOME.tls / "provider.pem"
    assert found.redirect_uris == ("https://127.0.0.1:9443/oauth2/callback",)
    assert found.post_logout_redirect_uris == ("https://127.0.0.1:9443/",)


def test_identity_reaches_the_built_in_provider_and_no_other_private_address() -> None:
    """Without the built-in provider identity keeps away from this machine's addresses, unless the operator says so."""
    ca, private = "VERBUND_IDENTITY_PROVIDER_CA_FILE", "VERBUND_IDENTITY_PROVIDER_PRIVATE_ADDRESSES"
    given = settings.for_parts(HOME, {})
    assert (given[ca], given[private]) == (str(HOME.tls / "ca.pem"), "true")
    alone = settings.for_parts(HOME, {}, provider=False)
    assert not {ca, private} & alone.keys()
    assert settings.for_parts(HOME, {ca: "/etc/own.pem"}, provider=False)[ca] == "/etc/own.pem"


def test_gateway_and_provider_need_a_port_each() -> None:
    """The same one for both is refused before anything starts."""
    assert settings.provider_port({}) == 8444
    with pytest.raises(SettingError, match="VERBUND_PROVIDER_PORT and VERBUND_GATEWAY_PORT are both 8444"):
        settings.provider_port({"VERBUND_GATEWAY_PORT": "8444"})
    with pytest.raises(SettingError, match="VERBUND_PROVIDER_PORT takes a whole number"):
        settings.provider_port({"VERBUND_PROVIDER_PORT": "many"})


@pytest.mark.parametrize("stage", ["trial", "production"])
def test_there_are_two_stages(stage: str) -> None:
    """A third is a mistake in writing, and ends the start."""
    assert load(EmbeddedSettings, {"VERBUND_EMBEDDED_STAGE": stage}, prefix="VERBUND_EMBEDDED_").stage == stage
    with pytest.raises(SettingError, match=r"^VERBUND_EMBEDDED_STAGE takes trial or production"):
        load(EmbeddedSettings, {"VERBUND_EMBEDDED_STAGE": stage.upper()}, prefix="VERBUND_EMBEDDED_")


def test_the_provider_has_a_certificate_for_this_machine_only(tmp_path: Path) -> None:
    """Whoever has its key cannot stand for the gateway elsewhere."""
    certificates.ensure(tmp_path, ["mesh.berlin.example"], NOW, provider=True)
    verify(tmp_path, "localhost")
    with pytest.raises(VerificationError):
        verify(tmp_path, "mesh.berlin.example")
    assert (tmp_path / "provider.key").read_bytes() != (tmp_path / "server.key").read_bytes()
    assert (tmp_path / "provider.key").stat().st_mode & 0o077 == 0


def test_a_certificate_of_an_earlier_authority_is_made_anew(tmp_path: Path) -> None:
    """The authority changed while the mesh ran without the provider."""
    certificates.ensure(tmp_path, [], NOW, provider=True)
    certificates.ensure(tmp_path, ["mesh.berlin.example"], NOW)
    with pytest.raises(VerificationError):
        verify(tmp_path, "localhost")
    assert certificates.ensure(tmp_path, ["mesh.berlin.example"], NOW, provider=True)
    verify(tmp_path, "localhost")
    assert not certificates.ensure(tmp_path, ["mesh.berlin.example"], NOW, provider=True)


def verify(directory: Path, name: str) -> None:
    """Checks the provider's chain as a client would; raises VerificationError."""
    ca = x509.load_pem_x509_certificate((directory / "ca.pem").read_bytes())
    leaf = x509.load_pem_x509_certificates((directory / "provider.pem").read_bytes())[0]
    PolicyBuilder().store(Store([ca])).time(NOW).build_server_verifier(DNSName(name)).verify(leaf, [])
