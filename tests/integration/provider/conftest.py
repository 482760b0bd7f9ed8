"""A provider of its own for each test: none is kept waiting for the wrong passwords of another."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.integration.provider.visitor import CHANCELLERY, Provider, Visitor, running, settings_in

Visit = Callable[..., Visitor]


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[Provider]:
    """A running provider."""
    with running(settings_in(tmp_path)) as found:
        yield found


@pytest.fixture
def visit(provider: Provider) -> Iterator[Visit]:
    """Makes visitors, each with a browser of their own."""
    with ExitStack() as stack:

        def made(provider_id: str = CHANCELLERY) -> Visitor:
            visitor = Visitor(provider, provider_id)
            stack.callback(visitor.close)
            return visitor

        yield made


@pytest.fixture
def visitor(visit: Visit) -> Visitor:
    """A visitor of the Senate Chancellery's provider."""
    return visit()
