"""Who calls the session's mesh."""

from collections.abc import Iterator

import pytest

from tests.support.asks import Callers
from tests.support.home import Up
from tests.support.load import admitted


@pytest.fixture(scope="session")
def callers(running: Up) -> Iterator[Callers]:
    """Systems of four organisations, admitted to the session's mesh."""
    with admitted(running, owner="system", reader="viewer", stranger="system", repeater="system") as found:
        yield Callers(*found)
