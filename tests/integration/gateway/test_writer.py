"""Configuration is written whole, and only what Envoy accepts."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from verbund.policy import catalogue
from verbund_gateway import writer
from verbund_gateway.clusters import clusters
from verbund_gateway.render import Files, render
from verbund_gateway.settings import GatewaySettings

from tests.integration.gateway.conftest import Mesh, started
from tests.integration.gateway.test_keys import becomes, signed
from tests.support.dialects import info, status_of_json
from tests.support.envoy import gateway_settings
from tests.support.tokens import Issuer


@pytest.fixture
def settings(tmp_path: Path) -> GatewaySettings:
    return gateway_settings(tmp_path)


@pytest.fixture
def files(settings: GatewaySettings, tmp_path: Path) -> Files:
    """A good configuration."""
    return render(settings, Issuer(tmp_path).keys())


def broken(files: Files, name: str) -> Any:
    """The first resource of a file, to break."""
    file = files[name]
    assert isinstance(file, dict)
    return file["resources"][0]


@pytest.mark.parametrize(
    "name", ["listeners.json", "clusters.json", "routes.json", "authentication.json", "certificates.json"]
)
def test_refused_by_envoy(settings: GatewaySettings, files: Files, name: str) -> None:
    """A mistake in any file is found before any file is replaced."""
    writer.write(settings.directory, files)
    before = {path.name: path.read_bytes() for path in settings.directory.iterdir()}
    broken(files, name)["mistake"] = True
    with pytest.raises(writer.ConfigurationError, match="mistake"):
        writer.write(settings.directory, files)
    assert {path.name: path.read_bytes() for path in settings.directory.iterdir()} == before


def test_unknown_descriptor(settings: GatewaySettings, files: Files) -> None:
    """So are protos that do not hold what is routed."""
    files["descriptors.binpb"] = b""
    with pytest.raises(writer.ConfigurationError):
        writer.write(settings.directory, files)


def test_only_the_user_reads_it(settings: GatewaySettings, files: Files) -> None:
    """The files are for the user that runs the gateway."""
    writer.write(settings.directory, files, validate=False)
    modes = {path.stat().st_mode & 0o077 for path in (settings.directory, *settings.directory.iterdir())}
    assert modes == {0}


@pytest.fixture
def mesh() -> Iterator[Mesh]:
    with started(workers=1) as mesh:
        yield mesh


def test_new_policy_without_a_restart(mesh: Mesh) -> None:
    """Routes that were replaced count, without a restart and without a break."""
    settings = mesh.gateway.settings
    token = signed(mesh, mesh.issuer.key)
    assert becomes(mesh, token, 200)
    without = render(settings, mesh.issuer.keys(), areas={"identity": catalogue.AREAS["identity"]})
    writer.put(settings.directory / "routes.json", without["routes.json"])
    assert becomes(mesh, token, 404)


def test_nonsense_leaves_the_old_one(mesh: Mesh) -> None:
    """A file that Envoy cannot use changes nothing."""
    path = mesh.gateway.settings.directory / "routes.json"
    writer.put(path, {"resources": [{"nonsense": True}]})
    writer.put(mesh.gateway.settings.directory / "authentication.json", json.loads("{}"))
    assert becomes(mesh, signed(mesh, mesh.issuer.key), 200)
    with mesh.gateway.client() as client:
        assert info(status_of_json(client.get("/v1/projects"))).reason == "NO_TOKEN"


def test_clusters_name_sockets(settings: GatewaySettings) -> None:
    """Each worker has a socket of its own."""
    (cluster,) = clusters(settings, ["registry"], [])
    found = [
        endpoint["endpoint"]["address"]["pipe"]["path"]
        for endpoint in cluster["load_assignment"]["endpoints"][0]["lb_endpoints"]
    ]
    assert found == [str(path) for path in settings.sockets("registry", "grpc")]
