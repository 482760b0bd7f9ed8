"""A browser signs on through the whole mesh: the gateway's filter, identity, the provider at home, and back."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlencode, urljoin

import httpx
import pytest
from verbund.console.routes import SESSION_COOKIES
from verbund.tour.signing_in import form_of

from tests.support.home import Up
from tests.support.load import wait_until
from tests.support.signing_on import new_browser, shown, sign_on

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("mesh")]

REDIRECTS_MAX = 6  # from click to page
ENDED_SECONDS = 60.0  # until a session that ended elsewhere is over, on a busy machine; the promise is two
TOKEN_COOKIES = set(SESSION_COOKIES.values())
FORM = "/console/decisions/charlottenburg-wilmersdorf/nothing"
TYPED = {
    "action": "reject",
    "request_id": "6f1c1d0e-7d0c-4a58-9d1f-0a4a6f6b1f11",
    "reason": "OTHER",
    "explanation": "<b>Zeile 1</b>\r\nZeile 2",
}


@pytest.fixture(scope="module")
def person(toured: dict[str, Any]) -> dict[str, str]:
    """Somebody whose organisation trusts the provider at which they sign in."""
    found: dict[str, str] = toured["people"][0]
    return found


@pytest.fixture
def browser(mesh: dict[str, Any]) -> Iterator[httpx.Client]:
    """A browser that was never here."""
    with new_browser(mesh) as client:
        yield client


def signed_on(browser: httpx.Client, person: dict[str, str], path: str = "/console/") -> httpx.Response:
    """The page at `path`, after the person signed in, not sent on too often."""
    found = sign_on(browser, person, path)
    assert found.redirects <= REDIRECTS_MAX
    return found.page


def test_a_browser_signs_on_and_sees_the_start_page(browser: httpx.Client, person: dict[str, str]) -> None:
    """From a click to the page in six redirects, the sign-in at home between them; then none is needed."""
    page = signed_on(browser, person)
    assert (page.status_code, page.url.path) == (httpx.codes.OK, "/console/")
    assert browser.get("/console/").status_code == httpx.codes.OK
    assert {cookie.name for cookie in browser.cookies.jar} >= TOKEN_COOKIES


def test_a_deep_link_leads_back_to_itself(browser: httpx.Client, person: dict[str, str]) -> None:
    """Who follows a link to a page signs on and sees that page."""
    page = signed_on(browser, person, "/console/projects?query=Hardenberg")
    assert (page.status_code, page.url.path, page.url.query) == (200, "/console/projects", b"query=Hardenberg")


def test_the_mesh_is_opened_by_its_name_alone(browser: httpx.Client, person: dict[str, str]) -> None:
    """Who types no path arrives at the start page too, and reads there who they are and how to leave."""
    signed_on(browser, person)
    page, _ = shown(browser, browser.get("/"))
    assert (page.status_code, page.url.path) == (httpx.codes.OK, "/console/")
    assert "Signed in: " in page.text
    assert 'href="/console/signout"' in page.text


def test_the_chosen_language_stays(browser: httpx.Client, person: dict[str, str]) -> None:
    """Its cookie reaches the pages, beside those that hold tokens, also after the sign-out."""
    signed_on(browser, person)
    assert '<html lang="en">' in browser.get("/console/").text
    assert '<html lang="de">' in browser.get("/console/?lang=de").text
    for path in ("/console/", "/console/projects", "/console/signed-out"):
        assert '<html lang="de">' in browser.get(path).text


def test_a_cookie_opens_pages_and_no_interface(browser: httpx.Client, person: dict[str, str]) -> None:
    """Calls of the API need a token in their header, whatever cookies come along."""
    signed_on(browser, person)
    answer = browser.get("/v1/caller", headers={"accept": "application/json"})
    assert answer.status_code == httpx.codes.UNAUTHORIZED


def test_no_cookie_holds_a_token_in_the_clear(browser: httpx.Client, person: dict[str, str]) -> None:
    """What lies in the browser is encrypted, for this host only, and no script reads it."""
    signed_on(browser, person)
    for cookie in browser.cookies.jar:
        assert "eyJ" not in (cookie.value or "")
        assert cookie.secure
        assert cookie.path == "/"


def test_a_program_is_told_and_not_sent_around(browser: httpx.Client) -> None:
    """Who asks for JSON gets a refusal, and a form that was sent without a session is not lost in a redirect."""
    assert browser.get("/console/", headers={"accept": "application/json"}).status_code == httpx.codes.UNAUTHORIZED
    assert typed(browser, {}).status_code == httpx.codes.UNAUTHORIZED


@pytest.mark.parametrize("origin", ["https://evil.example", "null", None])
@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x"])
def test_what_another_site_sends_changes_nothing(
    browser: httpx.Client, person: dict[str, str], origin: str | None, kind: str
) -> None:
    """Whatever its content type, a request with cookies from a foreign page or from nowhere is refused."""
    signed_on(browser, person)
    headers = {"content-type": kind} | ({"origin": origin} if origin else {})
    answer = browser.post("/console/decisions/x", content=b"a=b", headers=headers)
    assert answer.status_code == httpx.codes.FORBIDDEN
    assert "CROSS_SITE" in answer.text


@pytest.mark.parametrize("name", sorted(TOKEN_COOKIES - {"__Host-verbund-id"}))
def test_an_altered_cookie_is_no_session(browser: httpx.Client, person: dict[str, str], name: str) -> None:
    """The gateway sends the browser to sign on again, where no refresh token mends it."""
    signed_on(browser, person)
    mends = {"__Host-verbund-hmac"} if name.endswith("refresh") else {"__Host-verbund-refresh"}
    cookies = {cookie.name: cookie.value or "" for cookie in browser.cookies.jar if "verbund" in cookie.name}
    browser.cookies.clear()
    cookies[name] = cookies[name][:-4] + "AAAA"
    header = "; ".join(f"{key}={value}" for key, value in cookies.items() if key in TOKEN_COOKIES - mends)
    answer = browser.get("/console/", headers={"cookie": header})
    assert answer.next_request is not None


def test_signing_out_leaves_nothing_behind(browser: httpx.Client, person: dict[str, str]) -> None:
    """The page says so, and the back button shows nothing: pages are kept nowhere, and the session is over."""
    page = signed_on(browser, person)
    assert "no-store" in page.headers["cache-control"]
    cookies = {cookie.name: cookie.value or "" for cookie in browser.cookies.jar if cookie.name in TOKEN_COOKIES}
    page, _ = shown(browser, browser.get("/console/signout"))
    if "/oauth2/" not in str(page.url) and "/console/" not in str(page.url):  # home asks whether it shall end there too
        form = form_of(page)
        page, _ = shown(browser, browser.post(urljoin(str(page.url), form.action), data=form.fields))
    assert page.url.path == "/console/signed-out"
    assert page.status_code == httpx.codes.OK
    assert browser.get("/console/").next_request is not None
    browser.cookies.clear()
    stolen = "; ".join(f"{key}={value}" for key, value in cookies.items())
    for _ in range(50):
        if browser.get("/console/", headers={"cookie": stolen}).status_code != httpx.codes.OK:
            break
    assert browser.get("/console/", headers={"cookie": stolen}).status_code != httpx.codes.OK


def test_no_log_holds_a_token(browser: httpx.Client, person: dict[str, str], running: Up) -> None:
    """Not even of a sign-on, nor with cookies that cannot be read."""
    signed_on(browser, person)
    browser.get("/console/", headers={"cookie": "__Host-verbund-token=" + "x" * 100})
    for log in (running.home / "log").iterdir():
        assert b"eyJ" not in log.read_bytes(), log.name


def kept(browser: httpx.Client) -> dict[str, str]:
    """All cookies, taken out of the browser: whoever sends some of them says which."""
    found = {cookie.name: cookie.value or "" for cookie in browser.cookies.jar}
    browser.cookies.clear()
    return found


def sending(cookies: dict[str, str], *names: str) -> dict[str, str]:
    """The header with these cookies of a session, or with all."""
    chosen = {f"__Host-verbund-{name}" for name in names} or TOKEN_COOKIES
    return {"cookie": "; ".join(f"{name}={value}" for name, value in cookies.items() if name in chosen)}


def put(browser: httpx.Client, cookies: dict[str, str]) -> None:
    """Gives a browser these cookies."""
    for name, value in cookies.items():
        browser.cookies.set(name, value, domain=str(browser.base_url.host), path="/")


def end_elsewhere(mesh: dict[str, Any], cookies: dict[str, str]) -> None:
    """Another window of the same browser signs out."""
    with new_browser(mesh) as other:
        put(other, cookies)
        assert shown(other, other.get("/console/signout"))[0].status_code == httpx.codes.OK


def typed(browser: httpx.Client, headers: dict[str, str]) -> httpx.Response:
    """The answer to a form of ours."""
    own = {"origin": str(browser.base_url).rstrip("/"), "sec-fetch-site": "same-origin"}
    return browser.post(FORM, data=TYPED, headers=own | headers)


def test_a_form_outlives_its_session(mesh: dict[str, Any], browser: httpx.Client, person: dict[str, str]) -> None:
    """With cookies that are missing, cut, forged, of two sessions, or of one that ended elsewhere, whatever is left of
    them: what was typed comes back to be sent again, and the session's cookies go.
    """
    signed_on(browser, person)
    mine = kept(browser)
    signed_on(browser, person)
    ended = kept(browser)
    end_elsewhere(mesh, ended)
    wait_until(lambda: typed(browser, sending(ended)).status_code == httpx.codes.UNAUTHORIZED, "it goes on")
    token, parts = "__Host-verbund-token", ("token", "hmac", "expires", "id")
    for headers in (
        {},
        sending(mine | {token: mine[token][:-8]}, *parts),
        sending(mine | {token: "A" * len(mine[token])}, *parts),
        sending(mine | {token: ended[token]}, *parts),
        sending(mine | {"__Host-verbund-refresh": mine["__Host-verbund-refresh"][:-4] + "AAAA"}, "refresh"),
        sending(ended, "refresh"),
        sending(ended, "refresh", "id"),
        sending(ended),
    ):
        answer = typed(browser, headers)
        assert answer.status_code == httpx.codes.UNAUTHORIZED
        for part in (
            f'action="{FORM}"',
            TYPED["request_id"],
            "&lt;b&gt;Zeile 1&lt;/b&gt;\nZeile 2",
            "Nothing was sent",
        ):
            assert part in answer.text
        cleared = {each.partition("=")[0] for each in answer.headers.get_list("set-cookie") if "Max-Age=0" in each}
        assert cleared == TOKEN_COOKIES
        browser.cookies.clear()


def test_who_types_for_long_is_still_signed_in(browser: httpx.Client, person: dict[str, str]) -> None:
    """The token's cookies go after five minutes; the form gets a new one on its way. Six tabs at once do, too."""
    signed_on(browser, person)
    left = sending(kept(browser), "refresh")
    assert typed(browser, left).status_code == httpx.codes.NOT_FOUND  # there is no such delivery, and it was looked for
    with ThreadPoolExecutor(6) as tabs:
        found = set(tabs.map(lambda _: browser.get("/console/", headers=left).status_code, range(6)))
    assert found == {httpx.codes.OK}


@pytest.mark.parametrize("origin", ["https://evil.example", "null", None])
@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x"])
def test_what_another_site_typed_is_shown_to_nobody(browser: httpx.Client, origin: str | None, kind: str) -> None:
    """A form that nobody here filled in does not come back as one of ours."""
    headers = {"content-type": kind} | ({"origin": origin} if origin else {})
    answer = browser.post(FORM, content=urlencode(TYPED), headers=headers)
    assert answer.status_code == httpx.codes.FORBIDDEN
    assert "Zeile" not in answer.text
    assert "<form" not in answer.text


@pytest.mark.parametrize("language", ["de", "en"])
def test_a_session_that_ended_elsewhere_is_over(
    mesh: dict[str, Any], browser: httpx.Client, person: dict[str, str], language: str
) -> None:
    """The next page says so, and its link leads over the sign-on to the page that was wanted."""
    wanted, said = (
        "/console/projects?q=Hardenberg",
        {"de": "Ihre Anmeldung ist beendet", "en": "Your session has ended"},
    )
    browser.headers["accept-language"] = language
    signed_on(browser, person)
    cookies = kept(browser)
    put(browser, cookies)
    end_elsewhere(mesh, cookies)
    wait_until(lambda: browser.get(wanted).status_code != httpx.codes.OK, "it goes on", seconds_max=ENDED_SECONDS)
    put(browser, cookies)
    page = browser.get(wanted)
    assert (page.status_code, said[language] in page.text) == (httpx.codes.UNAUTHORIZED, True)
    assert "/console/signout" not in page.text
    assert f'<a href="{wanted}">' in page.text
    page, count = shown(browser, browser.get(wanted))  # at home the person is still signed in
    assert (page.status_code, page.url.raw_path.decode()) == (httpx.codes.OK, wanted)
    assert count > 0


def test_who_signed_in_beside_is_sent_back(browser: httpx.Client, person: dict[str, str]) -> None:
    """The page of the new tab stands behind the sign-on, and says what to do then."""
    page = signed_on(browser, person, "/console/signed-in")
    assert page.url.path == "/console/signed-in"
    assert "Close this tab" in page.text
