"""Sign-on through the whole mesh where a person does not know the way, or something is wrong."""

import re
from collections.abc import Iterator
from html import unescape
from typing import Any

import httpx
import pytest
from verbund.tour.signing_in import form_of

from tests.support.home import Up
from tests.support.signing_on import new_browser, shown

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("mesh")]

ADDRESS = "projektleitung@charlottenburg-wilmersdorf.example.org"
LINK = re.compile(r'<a href="([^"]+)" lang="de" hreflang="de">')


@pytest.fixture
def browser(toured: dict[str, Any]) -> Iterator[httpx.Client]:
    """A browser that was never here, and reads English."""
    with new_browser(toured) as client:
        yield client


def typed(browser: httpx.Client, address: str) -> httpx.Response:
    """The page that an address leads to."""
    page, _ = shown(browser, browser.get("/console/"))
    assert "Which organisation do you work for?" in page.text
    form = page.text.partition('name="form" value="')[2].partition('"')[0]
    fields = {"form": form, "email": address, "ui_locales": "en"}
    origin = {"origin": str(browser.base_url).rstrip("/")}
    return shown(browser, browser.post("/oauth2/organisation", data=fields, headers=origin))[0]


def other(browser: httpx.Client, page: httpx.Response) -> httpx.Response:
    """The same page in German."""
    link = LINK.search(page.text)
    assert link is not None
    return browser.get(unescape(link[1]))


def test_an_address_of_the_sample_leads_to_its_own_login(browser: httpx.Client, toured: dict[str, Any]) -> None:
    """A newcomer types it and arrives at the built-in provider of that organisation; and stands in no URL of ours."""
    page = typed(browser, ADDRESS.upper())
    assert form_of(page).fields
    issuers = {each["issuer"] for each in toured["people"] if each["organisation"].endswith("wilmersdorf")}
    assert [issuer for issuer in issuers if str(page.url).startswith(issuer)]


@pytest.mark.parametrize("domain", ["unknown.example", "unbekanntes-bürgeramt.example"])
def test_an_address_that_leads_nowhere_is_told(browser: httpx.Client, domain: str) -> None:
    """The list remains; also where the domain has umlauts, which no part learns to read after it gave its rights up."""
    page = typed(browser, f"somebody@{domain}")
    assert page.status_code == httpx.codes.OK
    assert "No organisation is known for this address" in page.text
    assert 'name="provider"' in page.text


def test_no_log_holds_an_address(browser: httpx.Client, running: Up) -> None:
    """Neither the gateway's nor anybody's, whether it led somewhere or not."""
    for name in ("once-only-leads@senatskanzlei.example.org", "once-only-lost@unknown.example"):
        typed(browser, name)
        browser.cookies.clear()
    for log in (running.home / "log").iterdir():
        assert b"once-only" not in log.read_bytes(), log.name


def test_what_is_wrong_is_told_in_the_other_language(browser: httpx.Client) -> None:
    """The link of the page leads through the gateway to the same page in German; so does that of one in the form."""
    page = browser.get("/oauth2/authorize", params={"client_id": "nobody"})
    there = other(browser, page)
    assert (page.status_code, there.status_code) == (httpx.codes.BAD_REQUEST, httpx.codes.BAD_REQUEST)
    assert "is not known" in page.text
    assert "ist nicht bekannt" in there.text
    origin = {"origin": str(browser.base_url).rstrip("/")}
    old = browser.post("/oauth2/organisation", data={"form": "x" * 43}, headers=origin)
    assert "zu alt" in other(browser, old).text


def test_a_login_that_was_cancelled_leads_to_words(browser: httpx.Client) -> None:
    """The built-in provider says that somebody cancelled; the page says what that can mean, in both languages."""
    page = typed(browser, ADDRESS)
    form = form_of(page)
    fields = form.fields | {"cancel": "yes"}
    told, _ = shown(browser, browser.post(str(page.url.join(form.action)), data=fields))
    assert told.status_code == httpx.codes.BAD_REQUEST
    assert "You cancelled, or your organisation does not allow it" in told.text
    assert "Charlottenburg-Wilmersdorf" in told.text
    assert "Sie haben abgebrochen, oder" in other(browser, told).text
