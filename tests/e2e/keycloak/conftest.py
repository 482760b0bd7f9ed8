"""One mesh with a real Keycloak, for all tests of this folder: its start takes minutes on a busy machine."""

import os
from collections.abc import Iterator
from typing import Any

import pytest
from keycloak import KeycloakAdmin
from verbund.embedded import home as homes
from verbund.embedded import ports
from verbund.embedded.home import Home
from verbund.embedded.keycloak import program
from verbund.embedded.keycloak.credentials import Secrets
from verbund.embedded.keycloak.settings import KeycloakSettings
from verbund.embedded.keycloak.setup import connect
from verbund.failure import EnvironmentFailure

from tests.support.home import Up, place, standing
from tests.support.lacking import lacking

START_SECONDS_MAX = 600.0


@pytest.fixture(scope="package")
def ports_given() -> dict[str, str]:
    """Ports that nobody else has."""
    names = ("VERBUND_KEYCLOAK_PORT", "VERBUND_KEYCLOAK_DATABASE_PORT")
    return {name: str(ports.free_port("127.0.0.1")) for name in names}


@pytest.fixture(scope="package")
def settings(ports_given: dict[str, str]) -> KeycloakSettings:
    """The settings of the running Keycloak."""
    return KeycloakSettings.of(ports_given)


@pytest.fixture(scope="package")
def running(ports_given: dict[str, str]) -> Iterator[Up]:
    """A mesh with Keycloak in a new home: the one start of it in the whole suite."""
    try:
        java = program.find_java(os.environ)
        program.find_maven(os.environ)
    except EnvironmentFailure as error:
        lacking(error.what)
    assert java
    with place() as directory:
        up = Up(directory, start_seconds_max=START_SECONDS_MAX)
        with standing(up, "--idp", "keycloak", **ports_given):
            yield up


@pytest.fixture(scope="package")
def home(running: Up) -> Home:
    """Its home."""
    return homes.find(running.home)


@pytest.fixture(scope="package")
def secrets(home: Home) -> Secrets:
    """What only the home knows."""
    return Secrets.ensure(home)


@pytest.fixture(scope="package")
def admin(home: Home, settings: KeycloakSettings, secrets: Secrets) -> KeycloakAdmin:
    """Keycloak's administration."""
    return connect(settings.url, home.tls / "ca.pem", secrets.administrator)


@pytest.fixture(scope="package")
def tour(running: Up, ports_given: dict[str, str]) -> dict[str, dict[str, Any]]:
    """The steps of a tour that succeeds, by name: after it, the mesh trusts both organisations' providers."""
    return {step["step"]: step for step in running.tour(**ports_given)["steps"]}
