"""A gateway with an area's workers behind it, shared by the tests of a module."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from verbund.policy import catalogue

from tests.support.collector import Collector, collecting
from tests.support.envoy import Gateway, gateway_settings, start_envoy
from tests.support.probe import service
from tests.support.tokens import Issuer
from tests.support.upstream import Pages, Worker, serving, serving_http

PROBE = service("tests.probe")
PORTAL = "https://portal.example"


@dataclass(frozen=True, slots=True)
class Mesh:
    """A gateway and what stands behind it. Both sockets of an area lead to one worker."""

    gateway: Gateway
    issuer: Issuer
    registry: Worker
    pages: Pages
    console: Pages
    collector: Collector

    def token(self, *roles: str, **claims: Any) -> str:
        """A token of CityLAB's system."""
        return self.issuer.token(roles=roles, **claims)


@contextmanager
def started(**changes: Any) -> Iterator[Mesh]:
    """A mesh with the catalogue's registry and the probe service behind its gateway."""
    areas = {**catalogue.AREAS, "registry": (*catalogue.AREAS["registry"], PROBE)}
    with tempfile.TemporaryDirectory(prefix="verbund-g-", dir="/tmp") as name, ExitStack() as stack:
        root = Path(name)
        issuer = Issuer(root)
        endpoint = root / "traces.sock"
        settings = gateway_settings(root, **({"trace_endpoint": f"unix:{endpoint}"} | changes))
        registry = Worker(areas["registry"])
        for socket in settings.sockets("registry", "grpc"):
            stack.enter_context(serving(registry, socket))
        pages = stack.enter_context(serving_http(settings.sockets("identity", "http")[0]))
        console = stack.enter_context(serving_http(settings.sockets("console", "http")[0]))
        collector = stack.enter_context(collecting(endpoint))
        gateway = stack.enter_context(start_envoy(settings, issuer.keys(), areas=areas))
        yield Mesh(gateway, issuer, registry, pages, console, collector)


@pytest.fixture(scope="module")
def shared() -> Iterator[Mesh]:
    """One mesh for a module's tests."""
    with started(cors_origins=(PORTAL,), workers=1) as mesh:
        yield mesh


@pytest.fixture
def mesh(shared: Mesh) -> Mesh:
    """The module's mesh, with nothing received yet and no special answers."""
    shared.registry.calls.clear()
    shared.registry.answers.clear()
    shared.pages.requests.clear()
    shared.console.requests.clear()
    return shared
