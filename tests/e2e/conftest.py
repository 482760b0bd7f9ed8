"""Who calls the session's mesh, what is there after a tour, and who comes with a browser."""

import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from verbund.exchange.v1 import mailbox_service_pb2 as mailboxes
from verbund.exchange.v1.mailbox_service_pb2_grpc import MailboxServiceStub
from verbund.sdk.client import Client
from verbund.tour import sample as samples
from verbund.tour.creation import created

from tests.support.asks import Callers
from tests.support.barriers import SHOTS
from tests.support.browsing import CHANCELLERY, HEIGHT, WIDTH, Make
from tests.support.chromium import ANSWER_MILLISECONDS_MAX
from tests.support.home import Up
from tests.support.load import admitted

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext


@pytest.fixture(scope="session")
def callers(running: Up) -> Iterator[Callers]:
    """Systems of four organisations, admitted to the session's mesh."""
    with admitted(running, owner="system", reader="viewer", stranger="system", repeater="system") as found:
        yield Callers(*found)


@pytest.fixture(scope="session")
def toured(running: Up, mesh: dict[str, Any]) -> dict[str, Any]:
    """What ready.json says of the session's mesh, with the tour's organisations, whose people can sign in."""
    running.tour()
    return mesh


@pytest.fixture(scope="module")
def sample() -> samples.Sample:
    """What the tour brings along."""
    return samples.read()


@pytest.fixture
def make(browser: "Browser") -> Iterator[Make]:
    """Makes people who have never been here, each with a language."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    contexts: list[BrowserContext] = []

    def made(locale: str) -> "BrowserContext":
        context = browser.new_context(
            ignore_https_errors=True, locale=locale, viewport={"width": WIDTH, "height": HEIGHT}
        )
        context.set_default_timeout(ANSWER_MILLISECONDS_MAX)
        contexts.append(context)
        return context

    yield made
    for context in contexts:
        context.close()


@pytest.fixture(scope="module")
def own_mailbox(toured: dict[str, Any], running: Up, sample: samples.Sample) -> str:
    """A mailbox of the chancellery, whose people decide on what arrives there."""
    assert toured
    request = mailboxes.CreateMailboxRequest(
        parent=CHANCELLERY, mailbox_id="browser", mailbox=mailboxes.Mailbox(title="Test"), request_id=str(uuid.uuid4())
    )
    with Client.from_home(running.home, sample.member("senatskanzlei").system) as client:
        created(lambda: MailboxServiceStub(client.channel).CreateMailbox(request, timeout=20))
    return f"{CHANCELLERY}/mailboxes/browser"
