"""A browser signs on through the whole mesh: the gateway's filter, identity, the provider at home, and back."""

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx
import pytest
from verbund.sdk.client import Client
from verbund.tour.signing_in import form_of, sign_in

from tests.support.home import Up

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("mesh")]

REDIRECTS_MAX = 6  # from click to page
HTML = {"accept": "text/html", "accept-language": "en"}
TOKEN_COOKIES = {f"__Host-verbund-{name}" for name in ("token", "hmac", "expires", "id", "refresh")}


@pytest.fixture(scope="module")
def person(mesh: dict[str, Any], running: Up) -> dict[str, str]:
    """Somebody whose organisation's provider the mesh trusts."""
    found: dict[str, str] = mesh["people"][0]
    token = sign_in(found["issuer"], ca=Path(mesh["ca"]), username=found["username"], password=found["password"])
    with Client.from_home(running.home) as operator:
        parent, http = operator.client_id.partition("/systems/")[0], operator.http
        content = {
            "title": "Test",
            "issuer": found["issuer"],
            "audience": "verbund",
            "defaultRoles": ["caseworker"],
        }
        made = http.post(f"/v1/{parent}/providers", params={"providerId": "browser-test"}, json=content)
        if made.status_code == httpx.codes.OK:  # else it is there, or the tour made one with this issuer
            http.post(f"/v1/{made.json()['name']}:activate", json={"homeToken": token})
    return found


@pytest.fixture
def browser(mesh: dict[str, Any]) -> Iterator[httpx.Client]:
    """A browser that was never here."""
    trust = ssl.create_default_context(cafile=mesh["ca"])
    with httpx.Client(base_url=mesh["gateway"], verify=trust, timeout=30, headers=HTML) as client:
        yield client


def shown(browser: httpx.Client, answer: httpx.Response) -> tuple[httpx.Response, int]:
    """The page that the redirects lead to, and how many there were."""
    count = 0
    while answer.next_request is not None:
        answer, count = browser.send(answer.next_request), count + 1
        assert count <= REDIRECTS_MAX
    return answer, count


def signed_on(browser: httpx.Client, person: dict[str, str], path: str = "/console/") -> httpx.Response:
    """The page at `path`, after the person signed in."""
    page, before = shown(browser, browser.get(path))
    if "/oauth2/" in str(page.url):  # several organisations
        chosen = page.text.partition('name="form" value="')[2].partition('"')[0]
        providers = [part.partition('"')[0] for part in page.text.split('name="provider" value="')[1:]]
        own = [provider for provider in providers if provider.startswith(f"{person['organisation']}/")]
        provider = (own or providers)[0]
        origin = {"origin": str(browser.base_url).rstrip("/")}
        page, _ = shown(
            browser, browser.post("/oauth2/organisation", data={"form": chosen, "provider": provider}, headers=origin)
        )
    form = form_of(page)
    fields = form.fields | {"username": person["username"], "password": person["password"]}
    page, after = shown(browser, browser.post(urljoin(str(page.url), form.action), data=fields))
    assert before + after <= REDIRECTS_MAX
    return page


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
    assert browser.post("/console/decisions/x", data={"a": "b"}).status_code == httpx.codes.UNAUTHORIZED


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
