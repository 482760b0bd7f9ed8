"""Who calls the session's mesh, and what is there after a tour."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.asks import Callers
from tests.support.home import Up
from tests.support.load import admitted


@pytest.fixture(scope="session")
def callers(running: Up) -> Iterator[Callers]:
    """Systems of four organisations, admitted to the session's mesh."""
    with admitted(running, owner="system", reader="viewer", stranger="system", repeater="system") as found:
        yield Callers(*found)


@pytest.fixture(scope="session")
def toured(running: Up, mesh: dict[str, Any]) -> dict[str, Any]:
    """What ready.json says of the session's mesh, with the tour's organisations, whose people can sign in."""
    tour = [sys.executable, "-m", "verbund", "tour", "--json"]
    subprocess.run(tour, env=running.environment(), capture_output=True, timeout=120, check=True)
    return mesh
