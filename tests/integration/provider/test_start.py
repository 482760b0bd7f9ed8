"""The provider's process: what it keeps, what it says, and where it refuses to run."""

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from verbund.embedded import certificates
from verbund.provider.main import Server, build
from verbund.provider.settings import ProviderSettings
from verbund.tour.signing_in import sign_in

from tests.integration.provider.visitor import CHANCELLERY, USERNAME, Clock, Provider, Visitor, running, settings_in

WAIT_SECONDS_MAX = 30.0


def environment(settings: ProviderSettings, **more: str) -> dict[str, str]:
    """The settings as a process is given them."""
    own = {
        "VERBUND_PROVIDER_DIRECTORY": str(settings.directory),
        "VERBUND_PROVIDER_CERTIFICATE_FILE": str(settings.certificate_file),
        "VERBUND_PROVIDER_KEY_FILE": str(settings.key_file),
        "VERBUND_PROVIDER_PORT": str(settings.port),
    }
    return {name: value for name, value in os.environ.items() if not name.startswith("VERBUND_")} | own | more


@contextmanager
def process(settings: ProviderSettings) -> Iterator[Path]:
    """The provider by itself, until SIGTERM; its log."""
    log = settings.directory / "log"
    with (
        log.open("w") as out,
        subprocess.Popen(
            [sys.executable, "-m", "verbund.provider"], env=environment(settings), stdout=out, stderr=subprocess.STDOUT
        ) as started,
    ):
        end = time.monotonic() + WAIT_SECONDS_MAX
        while '"event":"ready"' not in log.read_text():
            assert started.poll() is None, log.read_text()
            assert time.monotonic() < end
            time.sleep(0.02)
        try:
            yield log
        finally:
            started.send_signal(signal.SIGTERM)
            assert started.wait(WAIT_SECONDS_MAX) == 0


@pytest.mark.parametrize("stage", ["production", "Production", "staging", ""])
def test_it_does_not_start_where_real_work_is_done(tmp_path: Path, stage: str) -> None:
    """Run by itself too; the message says what, who and how. Only `trial` is a trial."""
    settings = settings_in(tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "verbund.provider"],
        env=environment(settings, VERBUND_EMBEDDED_STAGE=stage),
        capture_output=True,
        text=True,
        timeout=WAIT_SECONDS_MAX,
        check=False,
    )
    assert done.returncode == 2
    assert "The built-in OpenID provider does not start where VERBUND_EMBEDDED_STAGE is" in done.stderr
    assert "The operator of this mesh can mend this: start with --idp none and register" in done.stderr
    assert not list(tmp_path.glob("*.json"))


def test_no_secret_stands_in_the_log(tmp_path: Path) -> None:
    """Neither passwords nor codes, tokens, states, names or queries; one line a request says what happened."""
    settings = settings_in(tmp_path)
    with process(settings) as log:
        provider = Provider(settings)
        visitor = Visitor(provider)
        code = visitor.code()
        given = visitor.exchange(code).json()
        visitor.exchange(code)
        visitor.userinfo(given["access_token"])
        visitor.login(visitor.authorize(prompt="login"), username="somebody", password="wrong-and-private")
        visitor.authorize(redirect_uri="https://evil.example/")
        visitor.browser.get(f"{visitor.issuer}/nothing/at-all?secret=yes")
        visitor.close()
        sign_in(visitor.issuer, ca=provider.ca, username=USERNAME, password=provider.password())
    text = log.read_text()
    secrets = [code, given["access_token"], given["id_token"], visitor.state, visitor.nonce, visitor.verifier]
    secrets += [person["password"] for person in provider.people()]
    secrets += ["wrong-and-private", "somebody", USERNAME, "evil", "secret", "at-all", "49152"]
    assert not [secret for secret in secrets if secret in text]
    lines = [json.loads(line) for line in text.splitlines()]
    assert {line["event"] for line in lines} == {"ready", "request", "sign-in", "refused", "stopped"}
    assert {line["outcome"] for line in lines if line["event"] == "sign-in"} == {"done", "wrong"}
    served = {(line["route"], line["status"]) for line in lines if line["event"] == "request"}
    assert {("/senatskanzlei/login", 303), ("/senatskanzlei/token", 400), ("", 404)} <= served


def test_people_and_keys_are_the_same_after_a_restart(tmp_path: Path) -> None:
    """Passwords, identifiers and signatures hold; who had signed in signs in again."""
    settings = settings_in(tmp_path)
    with running(settings) as provider:
        first = Visitor(provider)
        token = first.exchange(first.code()).json()["id_token"]
        password, cookies = provider.password(), first.browser.cookies
        claims = first.claims(token)
        first.close()
    with running(settings) as provider:
        second = Visitor(provider)
        second.browser.cookies = cookies
        assert provider.password() == password
        assert second.claims(token) == claims
        page = second.authorize()
        assert page.status_code == 200
        assert second.claims(second.exchange(second.code()).json()["id_token"])["sub"] == claims["sub"]
        second.close()


def test_what_it_keeps_is_private_and_differs_between_homes(tmp_path: Path) -> None:
    """0600, and no password, identifier or key is packed with the program."""
    kept = []
    for name in ("one", "other"):
        directory = tmp_path / name
        directory.mkdir()
        build(settings_in(directory), Clock())
        file = directory / f"{CHANCELLERY}.json"
        assert file.stat().st_mode & 0o777 == 0o600
        kept.append(json.loads(file.read_text()))
    for username, account in kept[0]["people"].items():
        assert account["password"] != kept[1]["people"][username]["password"]
        assert account["subject"] != kept[1]["people"][username]["subject"]
    assert kept[0]["key"]["d"] != kept[1]["key"]["d"]


def test_a_busy_port_is_said_by_name(tmp_path: Path) -> None:
    """Exit code 3, and which setting to change."""
    settings = settings_in(tmp_path)
    with socket.create_server(("127.0.0.1", settings.port)):
        done = subprocess.run(
            [sys.executable, "-m", "verbund.provider"],
            env=environment(settings),
            capture_output=True,
            text=True,
            timeout=WAIT_SECONDS_MAX,
            check=False,
        )
    assert done.returncode == 3
    assert f"Port {settings.port} (VERBUND_PROVIDER_PORT) is in use." in done.stderr


def test_a_renewed_certificate_is_used_without_a_restart(tmp_path: Path) -> None:
    """New connections get the new one."""
    settings, now = settings_in(tmp_path), datetime.now(UTC)
    certificates.make_server(tmp_path, certificates.LOOPBACK, now - timedelta(days=61), server=certificates.PROVIDER)
    trust = ssl.create_default_context(cafile=tmp_path / "ca.pem")

    def serial() -> str:
        with (
            socket.create_connection(("127.0.0.1", settings.port)) as plain,
            trust.wrap_socket(plain, server_hostname="127.0.0.1") as secure,
        ):
            return str((secure.getpeercert() or {})["serialNumber"])

    with Server(build(settings, Clock()), settings) as server:
        server.wait_until_serving()
        before = serial()
        server.follow_certificate()
        assert serial() == before
        assert certificates.ensure(tmp_path, [], now, provider=True)
        server.follow_certificate()
        assert serial() != before


def test_old_versions_of_tls_are_refused(tmp_path: Path) -> None:
    """TLS 1.2 is the least."""
    settings = settings_in(tmp_path)
    with running(settings):
        old = ssl.create_default_context(cafile=tmp_path / "ca.pem")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # that it is old is the point
            old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
        with socket.create_connection(("127.0.0.1", settings.port)) as plain, pytest.raises(ssl.SSLError):
            old.wrap_socket(plain, server_hostname="127.0.0.1")
