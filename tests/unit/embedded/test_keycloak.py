"""Keycloak before it is started: what the machine lacks, what is fetched, what is to stand in it."""

import stat
from pathlib import Path
from typing import Any

import pytest
from verbund.embedded import postgres
from verbund.embedded.home import Home
from verbund.embedded.keycloak import choice, program, realms, server
from verbund.embedded.keycloak.credentials import Secrets
from verbund.embedded.keycloak.settings import KeycloakSettings
from verbund.embedded.keycloak.setup import covers, merged
from verbund.embedded.settings import for_parts
from verbund.embedded.users import caller
from verbund.failure import ExitCode, Failure
from verbund.provider import sample
from verbund.settings import SettingError

HOME = Home(Path("/srv/mesh"), Path("/srv/mesh"), caller(), Path("/srv/mesh/run"))
SETTINGS = KeycloakSettings()
SECRET = "a-secret-of-the-broker"


def tool(folder: Path, name: str, script: str) -> None:
    """Puts a program on a PATH of its own."""
    path = folder / "bin" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def surroundings(folder: Path) -> dict[str, str]:
    """An environment that has only what the test put there."""
    (folder / "bin").mkdir(exist_ok=True)
    return {"PATH": str(folder / "bin"), "HOME": str(folder), "XDG_CACHE_HOME": str(folder)}


def obtained(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Failure:
    """What `obtain` says of a machine that lacks something."""
    monkeypatch.setattr(program, "place", lambda _environment: folder / "programs")
    with pytest.raises(Failure) as found:
        program.obtain(caller(), surroundings(folder), lambda _line: None)
    assert found.value.code is ExitCode.ENVIRONMENT
    assert not list((folder / "programs").glob("*"))
    return found.value


def test_a_machine_without_java_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to install, and the way without."""
    told = obtained(tmp_path, monkeypatch)
    assert "needs Java 17 or later, and there is no `java`" in told.what
    assert "apt install" in told.remedy
    assert "`verbund up` has a provider of its own" in told.remedy


def test_a_java_that_is_too_old_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which one it is, and that another can be named."""
    tool(tmp_path, "java", "echo 'openjdk version \"11.0.27\" 2025-04-15' >&2")
    assert obtained(tmp_path, monkeypatch).what.endswith("java is Java 11.")


def test_a_machine_without_maven_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only where Keycloak is not there yet: then Java is enough."""
    tool(tmp_path, "java", "echo 'openjdk version \"25\" 2025-09-16' >&2")
    assert "there is no `mvn`" in obtained(tmp_path, monkeypatch).what
    built = tmp_path / "programs" / f"keycloak-{program.identity()}"
    built.mkdir(parents=True)
    found = program.obtain(caller(), surroundings(tmp_path), lambda _line: None)
    assert (found.java, found.directory) == (tmp_path / "bin" / "java", built)


def test_what_maven_says_is_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its first error, not its whole output."""
    tool(tmp_path, "java", "echo 'openjdk version \"17.0.15\"' >&2")
    tool(tmp_path, "mvn", "echo '[INFO] Scanning'; echo '[ERROR] Unknown host'; echo '[ERROR] more'; exit 1")
    assert obtained(tmp_path, monkeypatch).what.endswith("[ERROR] Unknown host")


def test_another_file_than_ours_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the repository vouches for: the digest in the code decides."""
    tool(tmp_path, "java", "echo 'openjdk version \"17.0.15\"' >&2")
    tool(tmp_path, "mvn", 'for last; do :; done; echo evil > "${last#-DoutputDirectory=}/' + program.ARCHIVE + '"')
    told = obtained(tmp_path, monkeypatch)
    assert "is not that file" in told.what
    assert program.SHA256 in told.what


def test_ports_are_three_different_ones() -> None:
    """Said before anything is fetched or made."""
    with pytest.raises(SettingError, match="each needs one of its own"):
        choice.check({"VERBUND_GATEWAY_PORT": "8446"})
    with pytest.raises(SettingError, match="HEAP_MIB_MAX"):
        choice.check({"VERBUND_KEYCLOAK_HEAP_MIB_MAX": "64"})


def test_invented_people_do_no_real_work() -> None:
    """In production it does not start, as the built-in provider does not."""
    with pytest.raises(Failure, match="Keycloak does not start where VERBUND_EMBEDDED_STAGE is production"):
        choice.check({"VERBUND_EMBEDDED_STAGE": "production"})


def test_secrets_are_kept_private(tmp_path: Path) -> None:
    """0600, random, the same at the next start; in the one file that Keycloak reads, and in no argument."""
    home = Home(tmp_path, tmp_path, caller(), tmp_path / "run")
    secrets = Secrets.ensure(home)
    assert secrets == Secrets.ensure(home)
    file = tmp_path / "keycloak" / "secrets.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    values = {secrets.administrator, secrets.database, secrets.broker}
    assert len(values) == 3
    started_with = " ".join([*server.arguments(HOME.path, SETTINGS), *server.environment(HOME.path).values()])
    assert not [value for value in values if value in started_with]
    assert f"db-password={secrets.database}\n" in server.configuration(HOME, SETTINGS, secrets)
    file.write_text('["broken"]')
    with pytest.raises(Failure, match="is broken"):
        Secrets.ensure(home)


def test_it_listens_on_loopback_and_looks_for_nobody() -> None:
    """TLS only, one address, one name, no cluster."""
    stated = server.configuration(HOME, SETTINGS, Secrets(administrator="a", database="b", broker="c")).splitlines()
    assert {"http-host=127.0.0.1", "http-enabled=false", "cache=local"} <= set(stated)
    assert "hostname=https://127.0.0.1:8445" in stated


def test_postgresql_lets_a_guest_into_its_own_database_only(tmp_path: Path) -> None:
    """Without one it listens nowhere; with one the first rules are the guest's, and name one role and one database."""
    home = Home(tmp_path, tmp_path, caller(), tmp_path / "run")
    home.postgres.mkdir()
    home.run.mkdir()
    postgres.write_configuration(home)
    assert "listen_addresses = ''" in (home.postgres / "postgresql.conf").read_text()
    assert (home.postgres / "pg_hba.conf").read_text() == postgres.HOST_BASED_ACCESS
    postgres.write_configuration(home, postgres.Guest("keycloak", 8446))
    assert "listen_addresses = '127.0.0.1'\nport = 8446\n" in (home.postgres / "postgresql.conf").read_text()
    lines = (home.postgres / "pg_hba.conf").read_text().splitlines()
    assert [line for line in lines if line.startswith("host")] == ["host keycloak keycloak 127.0.0.1/32 scram-sha-256"]
    assert lines.index("local verbund keycloak reject") < lines.index(postgres.HOST_BASED_ACCESS.strip())


def test_identity_reaches_keycloak() -> None:
    """As it reaches the built-in provider, by the home's authority; that provider's own settings are not set."""
    given = for_parts(HOME, {}, provider=False, keycloak=True)
    assert given["VERBUND_IDENTITY_PROVIDER_CA_FILE"] == str(HOME.tls / "ca.pem")
    assert not [name for name in given if name.startswith("VERBUND_PROVIDER_")]


@pytest.fixture(name="wanted")
def wanted_realms() -> dict[str, realms.Realm]:
    """The realms of the sample, by name."""
    found = realms.wanted(sample.read(), SETTINGS, gateway="https://127.0.0.1:8443", secret=SECRET)
    return {realm.name: realm for realm in found}


def test_the_district_is_reached_through_a_broker(wanted: dict[str, realms.Realm]) -> None:
    """Its people have accounts in the upstream realm only, which stands first and knows no client of the mesh."""
    assert list(wanted) == ["senatskanzlei", "charlottenburg-wilmersdorf-haus", "charlottenburg-wilmersdorf"]
    home, broker = wanted["charlottenburg-wilmersdorf-haus"], wanted["charlottenburg-wilmersdorf"]
    assert home.people
    assert not broker.people
    assert home.client["clientId"] != "verbund"
    assert home.client["publicClient"] is False
    assert broker.upstream is not None
    assert broker.upstream["config"]["issuer"].endswith("/realms/charlottenburg-wilmersdorf-haus")
    [back] = home.client["redirectUris"]
    assert back.endswith("/realms/charlottenburg-wilmersdorf/broker/haus/endpoint")


def test_every_client_signs_in_with_code_and_pkce_only(wanted: dict[str, realms.Realm]) -> None:
    """And sends people back to this machine, or to the gateway, and nowhere else."""
    for realm in wanted.values():
        client = realm.client
        assert client["attributes"]["pkce.code.challenge.method"] == "S256"
        assert client["standardFlowEnabled"]
        assert not client["implicitFlowEnabled"]
        assert not client["directAccessGrantsEnabled"]
        hosts = ("https://127.0.0.1:8443/", "https://127.0.0.1:8445/", "http://127.0.0.1/", "http://[::1]/")
        assert all(uri.startswith(hosts) for uri in client["redirectUris"])
        assert client["attributes"][realms.AFTER_LOGOUT].startswith(hosts[:2])


@pytest.mark.parametrize(
    ("found", "wanted", "covered"),
    [
        ({"a": 1, "b": 2}, {"a": 1}, True),
        ({"a": {"x": "1", "y": "2"}}, {"a": {"x": "1"}}, True),
        ({"a": {"x": "1"}}, {"a": {"x": "2"}}, False),
        ({"a": ["2", "1"]}, {"a": ["1", "2"]}, True),
        ({"a": ["1", "2", "3"]}, {"a": ["1", "2"]}, False),
        ({}, {"a": False}, False),
        ({"config": {"clientSecret": "*****"}}, {"config": {"clientSecret": SECRET}}, True),
    ],
)
def test_what_stands_is_left_alone(found: Any, wanted: Any, *, covered: bool) -> None:
    """More may stand than is wanted; a masked secret is no difference, lists that allow more are one."""
    assert covers(found, wanted) is covered


def test_a_change_keeps_what_it_does_not_name() -> None:
    """Also inside of what it names."""
    assert merged({"id": 7, "attributes": {"kept": "1", "old": "2"}}, {"attributes": {"old": "3"}}) == {
        "id": 7,
        "attributes": {"kept": "1", "old": "3"},
    }
