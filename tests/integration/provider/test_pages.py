"""The pages in a real browser: by keyboard alone, without barriers that axe-core finds, at the width of a telephone."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.integration.provider.visitor import Provider, Visitor

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 320, "height": 640}
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
LANGUAGES = [("de-DE", "Anmelden bei: Senatskanzlei"), ("en-GB", "Sign in to: Senate Chancellery")]


@contextmanager
def opened(browser: "Browser", *, locale: str = "de-DE", **context: object) -> Iterator["Page"]:
    """A page of somebody new, where every line that the browser complains with fails the test."""
    complaints: list[str] = []
    visited = browser.new_context(ignore_https_errors=True, locale=locale, **context)  # type: ignore[arg-type]
    visited.set_default_timeout(15_000)
    page = visited.new_page()
    page.on("console", lambda line: complaints.append(line.text) if "status of 400" not in line.text else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    try:
        yield page
        assert not complaints
    finally:
        visited.close()


def address(visitor: Visitor, **changes: str) -> str:
    """An authentication request as an application sends the browser to it."""
    return f"{visitor.issuer}/authorize?{urlencode(visitor.request(**changes))}"


def barriers(page: "Page") -> list[str]:
    """What axe-core finds, with the elements."""
    found = Axe().run(page, options=RULES).response["violations"]
    return [f"{rule['id']}: {[node['html'] for node in rule['nodes']]}" for rule in found]


def is_as_wide_as_its_window(page: "Page") -> bool:
    """Whether nobody has to scroll sideways (WCAG 2.2, 1.4.10)."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"))


def focused(page: "Page") -> str:
    """What has the focus: its id, its role or its text."""
    script = "(e => e.id || e.getAttribute('role') || e.textContent)(document.activeElement)"
    return str(page.evaluate(script))


def fill_in_wrongly(page: "Page") -> None:
    """Signs in with a password that nobody has."""
    page.fill("#username", "projektleitung")
    page.fill("#password", "wrong")
    page.press("#password", "Enter")
    page.wait_for_selector("[role=alert]")


def test_a_person_signs_in_with_the_keyboard(browser: "Browser", visitor: Visitor, provider: Provider) -> None:
    """Tab and Enter are enough, in the order in which one reads; after a mistake the focus is on what it was."""
    with opened(browser) as page:
        page.goto(address(visitor))
        reached = []
        for _ in range(5):
            page.keyboard.press("Tab")
            reached.append(focused(page))
        assert reached == ["English", "username", "password", "Anmelden", "Abbrechen"]
        page.keyboard.press("Shift+Tab")
        page.keyboard.press("Shift+Tab")
        page.keyboard.type("not this one")
        page.keyboard.press("Enter")
        page.wait_for_selector("[role=alert]")
        assert focused(page) == "alert"
        assert page.title().startswith("Fehler: ")
        page.keyboard.press("Tab")
        assert focused(page) == "Zum Feld Benutzername"
        page.keyboard.press("Enter")
        assert focused(page) == "username"
        page.keyboard.type("projektleitung")
        page.keyboard.press("Tab")
        page.keyboard.type(provider.password())
        with page.expect_request("http://127.0.0.1:49152/**") as returned:  # nobody listens there
            page.keyboard.press("Enter")
        assert f"state={visitor.state}" in returned.value.url
        assert "code=" in returned.value.url


@pytest.mark.parametrize(("locale", "heading"), LANGUAGES)
@pytest.mark.parametrize("window", [WIDE, NARROW])
@pytest.mark.parametrize("colours", ["light", "dark"])
def test_the_pages_have_no_barriers(
    browser: "Browser", visitor: Visitor, locale: str, heading: str, window: dict[str, int], colours: str
) -> None:
    """The form, the form after a mistake, and the other pages: in both languages, narrow and wide, light and dark."""
    with opened(browser, locale=locale, viewport=window, color_scheme=colours) as page:
        page.goto(address(visitor))
        assert page.locator("h1").all_inner_texts() == [heading]
        assert page.get_attribute("html", "lang") == locale[:2]
        assert barriers(page) == []
        assert is_as_wide_as_its_window(page)
        fill_in_wrongly(page)
        assert barriers(page) == []
        assert is_as_wide_as_its_window(page)
        page.goto(f"{visitor.issuer}/end-session")
        assert barriers(page) == []
        page.goto(address(visitor, client_id="other"))
        assert barriers(page) == []
        assert is_as_wide_as_its_window(page)


def test_asking_whether_to_sign_out_has_no_barriers(browser: "Browser", visitor: Visitor, provider: Provider) -> None:
    """The button says what it does, and the page afterwards that it is done."""
    with opened(browser, viewport=NARROW) as page:
        page.route("http://127.0.0.1:49152/**", lambda route: route.fulfill(body="back"))
        page.goto(address(visitor))
        page.fill("#username", "projektleitung")
        page.fill("#password", provider.password())
        page.click("text=Anmelden >> nth=-1")
        page.wait_for_url("http://127.0.0.1:49152/**")
        page.goto(f"{visitor.issuer}/end-session")
        assert page.locator("h1").inner_text() == "Abmelden bei: Senatskanzlei"
        assert barriers(page) == []
        page.get_by_role("button").click()
        assert page.locator("h1").inner_text() == "Sie sind abgemeldet"


def test_the_language_is_one_link_away(browser: "Browser", visitor: Visitor) -> None:
    """Also after a mistake; the request stays the same, and so does the way back to the other language."""
    with opened(browser) as page:
        page.goto(address(visitor))
        fill_in_wrongly(page)
        page.click("text=English")
        assert page.locator("h1").inner_text() == "Sign in to: Senate Chancellery"
        page.click("text=Deutsch")
        assert page.locator("h1").inner_text() == "Anmelden bei: Senatskanzlei"
        assert visitor.state in page.url


def test_the_fields_are_known_to_password_managers(browser: "Browser", visitor: Visitor) -> None:
    """By `autocomplete`, as WCAG 2.2, 1.3.5 and 3.3.8, ask; pasting works."""
    with opened(browser) as page:
        page.goto(address(visitor))
        assert page.get_attribute("#username", "autocomplete") == "username"
        assert page.get_attribute("#password", "autocomplete") == "current-password"


def test_the_focus_is_seen(browser: "Browser", visitor: Visitor) -> None:
    """Everything that the keyboard reaches has an outline while it is there."""
    with opened(browser) as page:
        page.goto(address(visitor))
        for _ in range(5):
            page.keyboard.press("Tab")
            width = page.evaluate("parseFloat(getComputedStyle(document.activeElement).outlineWidth)")
            assert width >= 2


def test_the_page_says_whose_it_is_and_that_people_are_invented(browser: "Browser", visitor: Visitor) -> None:
    """Nobody takes a trial for the organisation's own service."""
    with opened(browser, locale="en-GB") as page:
        page.goto(address(visitor))
        text = page.locator("main").inner_text()
        assert "Senate Chancellery" in text
        assert "invented people" in text
        assert "does not run this service" in text


def test_the_browser_follows_a_form_to_an_address_of_ipv6(
    browser: "Browser", visitor: Visitor, provider: Provider
) -> None:
    """Content-Security-Policy cannot name one, and must not be in the way."""
    with opened(browser) as page:
        page.goto(address(visitor, redirect_uri="http://[::1]:49152/back"))
        page.fill("#username", "projektleitung")
        page.fill("#password", provider.password())
        with page.expect_request(lambda request: request.url.startswith("http://[::1]:49152/")) as returned:
            page.press("#password", "Enter")
        assert "code=" in returned.value.url
