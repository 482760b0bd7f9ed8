"""Sign-on while a provider is away, or says no: the person is told who, why, and when to try again."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import httpx
import pytest

from tests.integration.identity.signing_on import SignOns, Visitor, publish
from tests.support.home_provider import HomeProvider, home_provider

ORGANISATION = "organisations/amt"
AWAY_SECONDS_MAX = 60
UNAVAILABLE, SEE_OTHER = httpx.codes.SERVICE_UNAVAILABLE, httpx.codes.SEE_OTHER


class Mortal:
    """A provider of one organisation's own, until it is stopped."""

    def __init__(self, sign_ons: SignOns, stack: ExitStack) -> None:
        self.sign_ons = sign_ons
        self.stack = stack
        self.provider: HomeProvider = stack.enter_context(home_provider(sign_ons.home.directory))
        self.at_home = SignOns(sign_ons.mesh, self.provider)
        self.at_home.administrators = sign_ons.administrators

    def stop(self) -> None:
        """Nothing listens there any more."""
        self.stack.close()

    def sent(self, visitor: Visitor) -> httpx.Response:
        """What the mesh answers to somebody who wants to sign in there."""
        return visitor.authorize(login_hint=ORGANISATION, ui_locales="en")


@pytest.fixture
def mortal(sign_ons: SignOns) -> Iterator[Mortal]:
    """An organisation whose provider the test may stop."""
    with ExitStack() as stack:
        found = Mortal(sign_ons, stack)
        publish(found.provider)
        active = found.at_home.activate(found.at_home.draft("home-" + str(time.time_ns()), organisation=ORGANISATION))
        yield found
        found.at_home.suspend(active.name)


def names_who_and_when(answer: httpx.Response) -> bool:
    """Whether the page says whose provider is away, who can mend that, and when to try again."""
    assert int(answer.headers["retry-after"]) > 0
    said = ("cannot be reached", "Amt", "IT department", f"in {answer.headers['retry-after']} seconds")
    return answer.status_code == UNAVAILABLE and all(each in answer.text for each in said)


def until(found: Callable[[], httpx.Response], status: int) -> httpx.Response:
    """The first answer with this status."""
    end = time.monotonic() + AWAY_SECONDS_MAX
    while (answer := found()).status_code != status:
        assert time.monotonic() < end, answer.text
        time.sleep(0.05)
    return answer


def test_a_provider_that_dies_after_a_sign_on_gets_no_more_browsers(sign_ons: SignOns, mortal: Mortal) -> None:
    """What it said of itself a moment ago sends nobody to where a browser would show an error of its own."""
    visitor = sign_ons.visitor()
    sent = mortal.sent(visitor)
    back = visitor.get("/oauth2/callback", **mortal.at_home.at_home(sent.headers["location"]))
    assert (sent.status_code, back.status_code) == (SEE_OTHER, SEE_OTHER)
    mortal.stop()
    answer = until(lambda: mortal.sent(sign_ons.visitor()), UNAVAILABLE)
    assert names_who_and_when(answer)
    assert "location" not in answer.headers


def test_a_provider_that_dies_while_somebody_is_there_is_named(sign_ons: SignOns, mortal: Mortal) -> None:
    """The person came back with a code that nobody takes any more."""
    visitor = sign_ons.visitor()
    said = mortal.at_home.at_home(mortal.sent(visitor).headers["location"])
    mortal.stop()
    assert names_who_and_when(visitor.get("/oauth2/callback", **said))
    assert "__Host-verbund-session" not in visitor.cookies


def test_a_provider_that_dies_is_no_way_out_either(sign_ons: SignOns, mortal: Mortal) -> None:
    """Who signs out is signed out, and is not sent to where nobody answers."""
    visitor = sign_ons.visitor()
    visitor.get("/oauth2/callback", **mortal.at_home.at_home(mortal.sent(visitor).headers["location"]))
    mortal.stop()
    until(lambda: mortal.sent(sign_ons.visitor()), UNAVAILABLE)
    assert visitor.post("/oauth2/logout", confirmed="yes").headers["location"] == "/oauth2/signed-out"
