"""Sessions in a real browser: what ends while somebody types, what ended elsewhere, and two tabs at once."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from verbund.console.routes import SESSION_COOKIES
from verbund.exchange.v1 import delivery_service_pb2 as deliveries
from verbund.exchange.v1.delivery_service_pb2_grpc import DeliveryServiceStub
from verbund.sdk.client import Client
from verbund.tour import sample as samples

from tests.support.browsing import (
    CHANCELLERY,
    DISTRICT,
    SUBJECT,
    Make,
    person_of,
    provider_button,
    seen,
    sent,
    signed_on,
    signed_out,
    typed_in,
)
from tests.support.home import Up
from tests.support.load import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("mesh"), pytest.mark.timeout(900)]

PROMISED_SECONDS = 60.0  # on a busy machine; the promise is two
TYPED = "Anlage 2 fehlt.\n<b>Bitte</b> \u201enachreichen\u201c & melden."
AGAIN = {
    "de": ("Neu anmelden (öffnet einen neuen Tab)", "Schließen Sie diesen Tab"),
    "en": ("Sign in again (opens a new tab)", "Close this tab"),
}


def cookies_gone(page: "Page", other: "Page") -> None:
    """The browser has nothing left of the session."""
    assert other
    for name in SESSION_COOKIES.values():
        page.context.clear_cookies(name=name)


def ended_elsewhere(page: "Page", other: "Page") -> None:
    """Another window signed out; this one has all its cookies still."""
    cookies = page.context.cookies()
    signed_out(other)
    page.context.clear_cookies()
    page.context.add_cookies([dict(each) for each in cookies])  # type: ignore[misc]  # as they were read


def expired(page: "Page", other: "Page") -> None:
    """So long ago that the token's cookies went by themselves, and the session meanwhile."""
    ended_elsewhere(page, other)
    for name in ("bearer_token", "oauth_hmac", "oauth_expires", "id_token"):
        page.context.clear_cookies(name=SESSION_COOKIES[name])


@pytest.mark.parametrize(("end", "locale"), [(cookies_gone, "de-DE"), (ended_elsewhere, "en-GB"), (expired, "de-DE")])
def test_what_was_typed_outlives_the_session(
    toured: dict[str, Any],
    running: Up,
    sample: samples.Sample,
    own_mailbox: str,
    make: Make,
    tmp_path: Path,
    end: Any,
    locale: str,
) -> None:
    """However the session ended: the page has what was typed; after a sign-on in a new tab, sending it again rejects
    the delivery, once, with that text.
    """
    address = sent(running, sample, own_mailbox, tmp_path / "order.pdf")
    context, language = make(locale), locale[:2]
    page, other = context.new_page(), context.new_page()
    signed_on(page, toured, CHANCELLERY, address)
    other.goto(f"{toured['gateway']}/console/")
    page.locator("#reason").select_option("INCOMPLETE")
    page.locator("#explanation").fill(TYPED)
    end(page, other)
    page.locator("button[value=reject]").click()
    page.get_by_role("alert").wait_for()
    assert page.locator("a[href='/console/signout']").count() == 0
    assert page.locator("#explanation").input_value() == TYPED
    assert page.locator("#reason").input_value() == "INCOMPLETE"
    seen(page, f"ended-{end.__name__}-{language}", language)
    link, done = AGAIN[language]
    with context.expect_page() as opened:
        page.get_by_role("link", name=link).click()
    beside = opened.value
    at_the_end(beside, toured, CHANCELLERY, "/console/signed-in")
    assert done in beside.inner_text("main")
    seen(beside, f"signed-in-{language}", language)
    beside.close()
    page.locator("button[value=reject]").click()
    page.wait_for_url(f"**{address}")
    assert "Bitte" in page.inner_text("main")
    with Client.from_home(running.home, sample.member("charlottenburg-wilmersdorf").system) as client:
        stub, name = DeliveryServiceStub(client.channel), name_of(address)
        found = stub.GetDelivery(deliveries.GetDeliveryRequest(name=name), timeout=20)
        listed = stub.ListTimelineEntries(deliveries.ListTimelineEntriesRequest(parent=name), timeout=20)
    assert (found.rejection.reason, found.rejection.explanation) == (deliveries.REJECTION_REASON_INCOMPLETE, TYPED)
    events = [entry.event for entry in listed.timeline_entries]
    assert events.count(deliveries.TIMELINE_EVENT_REJECTED) == 1


def name_of(address: str) -> str:
    """The delivery whose page stands at an address."""
    sender, _, delivery = address.removeprefix("/console/deliveries/").partition("/")
    return f"organisations/{sender}/deliveries/{delivery}"


def at_the_end(page: "Page", mesh: dict[str, Any], organisation: str, path: str) -> None:
    """Goes on from wherever the sign-on stands to the page at its end: at home the person may be known still."""
    wanted = mesh["gateway"] + path
    ask = page.locator("#password").or_(provider_button(page, organisation))
    page.wait_for_load_state()
    if page.url != wanted and provider_button(page, organisation).count():
        provider_button(page, organisation).click()
        page.wait_for_load_state()
    if page.url != wanted:
        ask.first.wait_for()
        typed_in(page, person_of(mesh, organisation))
        page.locator("button[type=submit]:not(.second)").click()
    page.wait_for_url(wanted)


def test_a_session_that_ended_elsewhere_is_over_here(toured: dict[str, Any], make: Make) -> None:
    """Signed out in one browser, the next click in another one says so; its link leads over the sign-on to the page
    that was wanted.
    """
    here, there = make("de-DE"), make("de-DE")
    page, other = here.new_page(), there.new_page()
    signed_on(page, toured, DISTRICT)
    there.add_cookies([dict(each) for each in here.cookies()])  # type: ignore[misc]  # as they were read
    other.goto(f"{toured['gateway']}/console/")
    assert other.url == f"{toured['gateway']}/console/"
    cookies = here.cookies()
    signed_out(other)
    wanted = f"{toured['gateway']}/console/projects?q=Hardenberg"

    def over() -> bool:
        here.add_cookies([dict(each) for each in cookies])  # type: ignore[misc]  # as they were read
        page.goto(wanted)
        return "Ihre Anmeldung ist beendet" in page.title()

    wait_until(over, "the session goes on", seconds_max=PROMISED_SECONDS)
    assert page.url == wanted
    seen(page, "over-de", "de")
    page.get_by_role("link", name="Neu anmelden und diese Seite öffnen").click()
    at_the_end(page, toured, DISTRICT, "/console/projects?q=Hardenberg")
    assert page.get_by_role("link", name="Abmelden").is_visible()


def test_two_tabs_sign_on_at_once(toured: dict[str, Any], make: Make) -> None:
    """Both were sent home before anybody signed in there; each ends at its own page, signed in."""
    context, gateway = make("de-DE"), toured["gateway"]
    pages = {"/console/": context.new_page(), "/console/projects": context.new_page()}
    for path, page in pages.items():
        page.goto(gateway + path)
        provider_button(page, DISTRICT).wait_for()
    for page in pages.values():
        provider_button(page, DISTRICT).click()
        page.locator("#password").wait_for()
    for path, page in pages.items():
        typed_in(page, person_of(toured, DISTRICT))
        page.locator("button[type=submit]:not(.second)").click()
        page.wait_for_url(gateway + path)
    for path, page in pages.items():
        page.goto(gateway + path)
        assert page.url == gateway + path
        assert page.get_by_role("link", name="Abmelden").is_visible()


def test_signed_out_in_one_tab_is_signed_out_in_the_other(toured: dict[str, Any], make: Make) -> None:
    """The other one shows nothing any more, neither by a click nor by going back."""
    context, gateway = make("de-DE"), toured["gateway"]
    one, other = context.new_page(), context.new_page()
    signed_on(one, toured, DISTRICT)
    for path in ("/console/projects", "/console/"):
        other.goto(gateway + path)
    assert SUBJECT in other.content() or other.get_by_role("heading", name="Übersicht").is_visible()
    signed_out(one)
    other.go_back()
    for _ in range(3):
        assert not other.url.startswith(f"{gateway}/console/")
        assert other.get_by_role("link", name="Abmelden").count() == 0
        other.goto(f"{gateway}/console/projects")
    assert re.search(r"/oauth2/|/senatskanzlei/|/charlottenburg-wilmersdorf/", other.url)


def test_tabs_that_were_left_open_go_on_together(toured: dict[str, Any], make: Make) -> None:
    """When the token's cookies have gone, all tabs get new ones at the same time, and none is signed out."""
    context, gateway = make("de-DE"), toured["gateway"]
    first = context.new_page()
    signed_on(first, toured, DISTRICT)
    tabs = [first, *(context.new_page() for _ in range(3))]
    for name in ("bearer_token", "oauth_hmac", "oauth_expires", "id_token"):
        context.clear_cookies(name=SESSION_COOKIES[name])
    for tab in tabs:  # begun, and not waited for
        tab.evaluate("address => { location.href = address }", f"{gateway}/console/projects")
    for tab in tabs:
        tab.wait_for_url(f"{gateway}/console/projects")
        assert tab.get_by_role("link", name="Abmelden").is_visible()
    for tab in tabs:
        tab.goto(f"{gateway}/console/")
        assert tab.url == f"{gateway}/console/"
