"""People who have only a browser, in a real one: from the sign-on to the document and out again, without barriers."""

import hashlib
import json
import re
import ssl
import threading
import uuid
from collections.abc import Callable, Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import httpx
import pytest
from joserfc.jwk import ECKey
from verbund.sdk.client import Client
from verbund.tour import sample as samples

from tests.support.barriers import tabbed_to
from tests.support.browsing import (
    CHANCELLERY,
    CITYLAB,
    DISTRICT,
    SUBJECT,
    Make,
    by_keyboard,
    by_mouse,
    person_of,
    provider_button,
    seen,
    sent,
    signed_on,
    signed_out,
    typed_in,
)
from tests.support.home import Up
from tests.support.home_provider import HomeProvider, handler_of
from tests.support.load import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page, Response

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("mesh"), pytest.mark.timeout(900)]

PROJECT_TITLE = "Smart Space Hardenbergplatz"
APPLICATION = "https://fachverfahren.example"
SILENT = "Beispiel: ein stiller Anmeldedienst"


@pytest.mark.parametrize("act", [by_mouse, by_keyboard])
def test_somebody_new_finds_the_document_and_leaves(
    toured: dict[str, Any],
    running: Up,
    sample: samples.Sample,
    make: Make,
    tmp_path: Path,
    act: Callable[["Page", "Locator"], None],
) -> None:
    """By mouse, or by keyboard alone: the organisation is chosen, the sign-in is at home, a project is found with a
    typo, whose turn it is stands there, the document is the one that was sent; after the sign-out, going back shows
    nothing of it.
    """
    address = sent(running, sample, sample.order.mailbox_name, tmp_path / sample.order.document_name)
    person, page = person_of(toured, DISTRICT), make("de-DE").new_page()
    page.goto(f"{toured['gateway']}/console/")
    act(page, provider_button(page, DISTRICT))
    page.wait_for_url(f"{person['issuer']}/**")
    for field in ("username", "password"):
        tabbed_to(page, page.locator(f"#{field}"))
        page.keyboard.type(person[field])
    act(page, page.get_by_role("button", name="Anmelden"))
    page.wait_for_url(f"{toured['gateway']}/console/")
    assert page.get_by_role("heading", name="Wartet auf andere").is_visible()
    act(page, page.get_by_role("link", name="Projekte").first)
    page.wait_for_url("**/console/projects")
    tabbed_to(page, page.get_by_label("Projekte suchen"))
    page.keyboard.type("Hardenbrgplatz")
    act(page, page.get_by_role("button", name="Suchen"))
    page.wait_for_url("**/console/projects?q=*")
    act(page, page.get_by_role("link", name=PROJECT_TITLE).first)
    page.wait_for_url("**/console/projects/charlottenburg-wilmersdorf/*")
    row = page.get_by_role("row").filter(has=page.locator(f"a[href='{address}']"))
    assert "CityLAB Berlin" in row.locator("td").nth(2).inner_text()  # whose turn it is
    act(page, row.get_by_role("link"))
    page.wait_for_url(f"**{address}")
    with page.expect_download() as loading:
        act(page, page.get_by_role("link", name=re.compile("Herunterladen")))
    assert loading.value.suggested_filename == sample.order.document_name
    content = Path(loading.value.path()).read_bytes()
    assert hashlib.sha256(content).hexdigest() == hashlib.sha256(sample.order.document).hexdigest()
    signed_out(page, act)
    assert "Sie sind abgemeldet" in page.inner_text("main")
    for _ in range(20):
        if page.go_back() is None:
            break
        assert SUBJECT not in page.content()
        assert PROJECT_TITLE not in page.content()


@pytest.mark.parametrize("locale", ["de-DE", "en-GB"])
def test_the_sign_on_has_no_barriers(toured: dict[str, Any], running: Up, make: Make, locale: str) -> None:
    """The choice, the login, what went wrong in either, the question of a member, the sign-out and its end: for axe,
    by keyboard, at every width, dark and in forced colours; and nobody shows one of them in a frame.
    """
    context = make(locale)
    page, gateway, language = context.new_page(), toured["gateway"], locale[:2]
    person = person_of(toured, CHANCELLERY)
    page.on("response", refuses_frames)
    page.goto(f"{gateway}/console/")
    seen(page, f"choice-{language}", language)
    page.locator("#search").fill("gibt es nicht")
    page.locator("#search").press("Enter")
    page.get_by_role("status").wait_for()
    seen(page, f"choice-none-{language}", language)
    page.locator("#email").fill("somebody@unknown.example")
    page.locator("#email").press("Enter")
    page.locator("#email-said").wait_for()
    seen(page, f"choice-address-{language}", language)
    provider_button(page, CHANCELLERY).click()
    page.wait_for_url(f"{person['issuer']}/**")
    seen(page, f"login-{language}", language)
    typed_in(page, person | {"password": "falsch"})
    page.locator("button[type=submit]:not(.second)").click()
    page.get_by_role("alert").wait_for()
    seen(page, f"login-wrong-{language}", language)
    typed_in(page, person)
    page.locator("button[type=submit]:not(.second)").click()
    page.wait_for_url(f"{gateway}/console/")
    page.goto(asks(gateway, member(running)))
    assert page.locator("button[value=deny]").is_visible()
    seen(page, f"consent-{language}", language)
    page.goto(asks(gateway, "nobody"))
    seen(page, f"sign-on-error-{language}", language)
    page.goto(f"{person['issuer']}/authorize?client_id=nobody")
    seen(page, f"provider-error-{language}", language)
    page.goto(f"{gateway}/oauth2/logout")
    seen(page, f"sign-out-question-{language}", language)
    page.goto(f"{gateway}/console/")
    page.locator("a[href='/console/signout']").click()
    page.wait_for_url(f"{person['issuer']}/**")
    seen(page, f"provider-sign-out-{language}", language)
    page.locator("main form button").click()
    page.wait_for_url("**/console/signed-out")
    seen(page, f"signed-out-{language}", language)
    page.goto(f"{gateway}/oauth2/signed-out")
    seen(page, f"sign-on-signed-out-{language}", language)


def refuses_frames(answer: "Response") -> None:
    """Fails where a page of ours could stand in another's."""
    if "text/html" in answer.headers.get("content-type", ""):
        assert "frame-ancestors 'none'" in answer.headers.get("content-security-policy", ""), answer.url


def asks(gateway: str, client: str) -> str:
    """Where a client sends a browser."""
    asked = {
        "client_id": client,
        "redirect_uri": f"{APPLICATION}/back",
        "response_type": "code",
        "scope": "openid profile email",
        "state": "state",
        "nonce": "nonce",
        "code_challenge": "a" * 43,
        "code_challenge_method": "S256",
    }
    return f"{gateway}/oauth2/authorize?{urlencode(asked)}"


def member(running: Up) -> str:
    """A member's own application."""
    key = ECKey.generate_key("P-256")
    with Client.from_home(running.home) as operator:
        made = operator.http.post(
            f"/v1/{DISTRICT}/systems",
            params={"systemId": f"browser-{uuid.uuid4().hex[:8]}", "jwk": json.dumps(key.as_dict(private=False))},
            json={"title": "Beispiel: Fachverfahren", "roles": ["system"]},
        ).raise_for_status()
        name: str = made.json()["name"]
        uris = {"redirectUris": [f"{APPLICATION}/back"], "publicClient": True}
        operator.http.post(f"/v1/{name}:setSignOn", json=uris).raise_for_status()
    return name


@pytest.mark.parametrize("locale", ["de-DE", "en-GB"])
def test_the_console_has_no_barriers_where_something_is_wrong(
    toured: dict[str, Any],
    running: Up,
    sample: samples.Sample,
    own_mailbox: str,
    make: Make,
    tmp_path: Path,
    locale: str,
) -> None:
    """A rejection without a reason, a search that finds nothing, a page that is not there; and the pages as they are,
    with what stands on them after a tour.
    """
    address = sent(running, sample, own_mailbox, tmp_path / sample.order.document_name)
    page, language = make(locale).new_page(), locale[:2]
    page.on("response", refuses_frames)
    signed_on(page, toured, CHANCELLERY)
    seen(page, f"start-{language}", language)
    for name, path in {
        "search-none": "/console/projects?q=qqqqqqqqqqqq",
        "search-typo": "/console/projects?q=Hardenbrgplatz",
        "project": "/console/projects/charlottenburg-wilmersdorf/smart-space-hardenbergplatz",
        "absent": "/console/projects/nobody/nothing",
        "delivery": address,
    }.items():
        page.goto(toured["gateway"] + path)
        seen(page, f"{name}-{language}", language)
    page.locator("#explanation").fill("   ")
    page.locator("#reason").evaluate("each => { each.required = false }")  # as in browsers that do not check
    page.locator("button[value=reject]").click()
    page.get_by_role("alert").wait_for()
    assert page.title().startswith({"de": "Fehler: ", "en": "Error: "}[language])
    seen(page, f"rejection-wrong-{language}", language)


@pytest.fixture
def closed(toured: dict[str, Any], running: Up, tmp_path: Path) -> Iterator[str]:
    """The title of an organisation's provider that was there when it was registered, and is not any more."""
    at_home = HomeProvider(tmp_path)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler_of(at_home))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(running.home / "tls" / "server.pem", running.home / "tls" / "server.key")
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    at_home.server = server
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    content = {
        "title": SILENT,
        "issuer": at_home.publish(),
        "audience": "verbund",
        "defaultRoles": ["caseworker"],
    }
    assert toured["people"]
    with Client.from_home(running.home) as operator:
        try:
            where = {"providerId": f"silent-{uuid.uuid4().hex[:8]}"}
            made = operator.http.post(f"/v1/{CITYLAB}/providers", params=where, json=content).raise_for_status()
            name = made.json()["name"]
            operator.http.post(f"/v1/{name}:activate", json={"homeToken": at_home.token()}).raise_for_status()
        finally:
            server.shutdown()
            server.server_close()
            thread.join()
        yield SILENT
        operator.http.post(f"/v1/{name}:suspend", json={}).raise_for_status()


@pytest.mark.parametrize("locale", ["de-DE", "en-GB"])
def test_a_provider_that_is_down_is_named(toured: dict[str, Any], make: Make, closed: str, locale: str) -> None:
    """The page says whose sign-in does not answer, who can mend it, and when to try again."""
    page = make(locale).new_page()
    page.goto(f"{toured['gateway']}/console/")
    with page.expect_navigation() as going:
        provider_button(page, CITYLAB).click()
    assert going.value is not None
    assert going.value.status == httpx.codes.SERVICE_UNAVAILABLE
    assert int(going.value.headers["retry-after"]) > 0
    said = page.inner_text("main")
    assert closed in said or "CityLAB Berlin" in said
    assert re.search(r"in \d+ (Sekunden|seconds)", said)
    assert "IT" in said
    seen(page, f"provider-down-{locale[:2]}", locale[:2])


def test_no_page_stands_in_a_frame(toured: dict[str, Any], make: Make) -> None:
    """Chromium shows none of them within a page of the same host, signed on or not."""
    page = make("de-DE").new_page()
    signed_on(page, toured, DISTRICT)
    issuer = person_of(toured, DISTRICT)["issuer"]
    addresses = ["/console/", "/console/projects", "/console/nothing", "/oauth2/signed-out", "/oauth2/authorize"]
    for address in (*(toured["gateway"] + each for each in addresses), f"{issuer}/authorize"):
        page.goto(toured["gateway"] + "/v1/caller")
        page.set_content(f"<iframe src='{address}'></iframe>")
        wait_until(lambda: page.frames[-1].url.startswith("chrome-error:"), f"{address} is shown in a frame")
