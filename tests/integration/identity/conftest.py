"""A running identity for each test file: tests make organisations of their own in it."""

from collections.abc import Iterator

import pytest

from tests.integration.identity.mesh import Mesh, running
from tests.support.postgres import Cluster


@pytest.fixture(scope="module")
def mesh(postgres: Cluster) -> Iterator[Mesh]:
    """One worker, over a database of the file's own."""
    name = postgres.create(template="template")
    with running(f"postgresql:///{name}?host={postgres.directory}") as found:
        yield found
    postgres.drop(name)
