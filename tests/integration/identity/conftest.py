"""A running identity for each test file: tests make organisations of their own in it."""

from collections.abc import Iterator

import pytest

from tests.integration.identity.inviting import Invitations
from tests.integration.identity.mesh import Mesh, Metadata, running
from tests.integration.identity.signing_in import SignIns, signing_in
from tests.integration.identity.signing_on import SignOns, signing_on
from tests.support.home_provider import HomeProvider, home_provider
from tests.support.postgres import Cluster


@pytest.fixture(scope="module")
def mesh(postgres: Cluster) -> Iterator[Mesh]:
    """One worker, over a database of the file's own."""
    name = postgres.create(template="template")
    with running(f"postgresql:///{name}?host={postgres.directory}") as found:
        yield found
    postgres.drop(name)


@pytest.fixture(scope="module")
def operator(mesh: Mesh) -> Metadata:
    """Who runs the mesh."""
    return mesh.as_(mesh.operator)


@pytest.fixture(scope="module")
def administrator(mesh: Mesh) -> Metadata:
    """Of CityLAB."""
    return mesh.as_(mesh.register(mesh.admit("citylab"), "administration", "admin"))


@pytest.fixture(scope="module")
def invitations(mesh: Mesh, operator: Metadata) -> Invitations:
    """Of those who run the mesh."""
    return Invitations(mesh, operator)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HomeProvider]:
    """Where people sign in."""
    with home_provider(tmp_path_factory.mktemp("home")) as found:
        yield found


@pytest.fixture(scope="module")
def sign_ins(postgres: Cluster, home: HomeProvider) -> Iterator[SignIns]:
    """Identity, whose CityLAB trusts the provider, over a database of the file's own."""
    name = postgres.create(template="template")
    with signing_in(f"postgresql:///{name}?host={postgres.directory}", home) as found:
        yield found
    postgres.drop(name)


@pytest.fixture(scope="module")
def sign_ons(postgres: Cluster, home: HomeProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SignOns]:
    """Identity, whose CityLAB trusts the provider, with a console, over a database of the file's own."""
    name = postgres.create(template="template")
    dsn = f"postgresql:///{name}?host={postgres.directory}"
    with signing_on(dsn, home, tmp_path_factory.mktemp("console")) as found:
        yield found
    postgres.drop(name)
