"""An exchange for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.exchange.mesh import Mesh, running


@pytest.fixture
def mesh(database_dsn: str, tmp_path: Path) -> Iterator[Mesh]:
    """A worker on a database of the test's own."""
    with running(database_dsn, tmp_path) as found:
        yield found
