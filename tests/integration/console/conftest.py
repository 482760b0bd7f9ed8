"""A console with its services for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.console.desk import Desk, running


@pytest.fixture
def desk(database_dsn: str, tmp_path: Path) -> Iterator[Desk]:
    """On a database of the test's own."""
    with running(database_dsn, tmp_path) as found:
        yield found
