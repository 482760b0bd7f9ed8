"""People whose organisation has a Keycloak sign on in a real browser: at their own realm, or at one behind it."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx
import pytest
from keycloak import KeycloakAdmin
from verbund.embedded.keycloak import realms

from tests.support.home import Up
from tests.support.load import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page, Response

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.xdist_group("mesh"),
    pytest.mark.timeout(900),
    pytest.mark.usefixtures("tour"),  # after it, the mesh trusts both organisations' providers
    # python-keycloak hands the name of the CA file on to httpx, at its first request.
    pytest.mark.filterwarnings("ignore:.verify=.str.. is deprecated:DeprecationWarning"),
]

CHANCELLERY, DISTRICT = "senatskanzlei", "charlottenburg-wilmersdorf"
# Where the accounts are: the district's realm only sends people on.
AT_HOME = {CHANCELLERY: CHANCELLERY, DISTRICT: DISTRICT + realms.UPSTREAM_SUFFIX}
USERNAME = "projektleitung"
REDIRECTS_MAX = 6  # from click to page
BROKER_REDIRECTS_MAX = 3  # Keycloak's own, to the realm behind it and back
PATIENCE_SECONDS = 60.0
STATES = {301, 302, 303, 307, 308}


class Redirects:
    """Counts the redirects that a page's browser follows."""

    def __init__(self, page: "Page") -> None:
        self.number = 0
        page.on("response", self._seen)

    def _seen(self, answer: "Response") -> None:
        self.number += answer.status in STATES and answer.request.is_navigation_request()


def person_of(running: Up, organisation: str) -> dict[str, str]:
    """The project lead of an organisation, as ready.json has them."""
    found: dict[str, str] = next(
        each
        for each in running.ready()["people"]
        if (each["organisation"], each["username"]) == (f"organisations/{organisation}", USERNAME)
    )
    return found


def login_of(person: dict[str, str], organisation: str) -> str:
    """How the address of the page begins where somebody types their password."""
    return f"{person['issuer'].removesuffix(organisation)}{AT_HOME[organisation]}/"


def choice(page: "Page", organisation: str) -> "Locator":
    """What sends an organisation's people to their sign-in."""
    return page.locator(f"button[name=provider][value^='organisations/{organisation}/providers/']")


def chosen(page: "Page", running: Up, organisation: str, path: str = "/console/") -> dict[str, str]:
    """From a page of ours over the choice of an organisation to Keycloak's own login page; who signs in there."""
    person = person_of(running, organisation)
    page.goto(running.ready()["gateway"] + path)
    choice(page, organisation).click()
    page.locator("#kc-login").wait_for()
    assert page.url.startswith(login_of(person, organisation))
    return person


def typed_in(page: "Page", person: dict[str, str]) -> None:
    """User name and password, into Keycloak's form."""
    page.locator("#username").fill(person["username"])
    page.locator("#password").fill(person["password"])
    page.locator("#kc-login").click()


def signed_on(page: "Page", running: Up, organisation: str) -> dict[str, str]:
    """From the start page to the start page; who signed on."""
    person = chosen(page, running, organisation)
    typed_in(page, person)
    page.wait_for_url(f"{running.ready()['gateway']}/console/")
    return person


def sessions_of(admin: KeycloakAdmin, organisation: str) -> dict[str, int]:
    """How many sessions somebody has, by the realm: where they sign in, and where they are sent on from there."""
    found = {}
    for realm in {organisation, AT_HOME[organisation]}:
        admin.change_current_realm(realm)
        user = admin.get_user_id(USERNAME)  # none in a realm that people are sent on from, until the first of them was
        found[realm] = len(admin.get_sessions(user)) if user else 0
    return found


@pytest.mark.parametrize("organisation", [CHANCELLERY, DISTRICT])
def test_somebody_signs_on_at_keycloak_and_leaves(
    organisation: str, running: Up, admin: KeycloakAdmin, page: "Page"
) -> None:
    """The start page names them, after six redirects of ours and the realm's; the sign-out ends what Keycloak knew of
    them too, in the realm behind the realm as well, so that the next sign-on asks for the password.
    """
    gateway, before, followed = running.ready()["gateway"], sessions_of(admin, organisation), Redirects(page)
    person = signed_on(page, running, organisation)
    assert f"Angemeldet: {person['name']}" in page.inner_text("body")
    assert followed.number <= REDIRECTS_MAX + (BROKER_REDIRECTS_MAX if organisation == DISTRICT else 0)
    assert sessions_of(admin, organisation) == {realm: number + 1 for realm, number in before.items()}
    page.locator("a[href='/console/signout']").click()
    page.locator("#kc-logout").click()
    page.wait_for_url(f"{gateway}/console/signed-out")
    assert "Sie sind abgemeldet" in page.inner_text("main")
    assert sessions_of(admin, organisation) == before
    chosen(page, running, organisation)


def test_a_wrong_password_is_keycloak_s_matter(running: Up, page: "Page") -> None:
    """Its page says so in the person's language; with the right one they are signed on."""
    person = chosen(page, running, CHANCELLERY)
    typed_in(page, person | {"password": "falsch"})
    page.get_by_text("Ungültiger Benutzername oder Passwort").wait_for()
    typed_in(page, person)
    page.wait_for_url(f"{running.ready()['gateway']}/console/")


@contextmanager
def asking_for_consent(admin: KeycloakAdmin, realm: str, client: str) -> Iterator[None]:
    """A realm that asks people whether a client may know who they are."""
    admin.change_current_realm(realm)
    known = str(admin.get_client_id(client))
    admin.update_client(known, admin.get_client(known) | {"consentRequired": True})
    try:
        yield
    finally:
        admin.change_current_realm(realm)
        admin.update_client(known, admin.get_client(known) | {"consentRequired": False})


def test_whoever_cancels_at_keycloak_is_told_where(running: Up, admin: KeycloakAdmin, page: "Page") -> None:
    """On a page of ours; they are not signed on, and are asked once more where they want to."""
    with asking_for_consent(admin, CHANCELLERY, realms.CLIENT):
        typed_in(page, chosen(page, running, CHANCELLERY))
        page.locator("#kc-cancel").click()
        page.wait_for_url(f"{running.ready()['gateway']}/oauth2/callback?*")
    assert "Sie wurden nicht angemeldet bei: Senatskanzlei" in page.inner_text("main")
    page.goto(f"{running.ready()['gateway']}/console/")
    assert choice(page, CHANCELLERY).is_visible()


def test_whoever_cancels_behind_a_realm_can_begin_again(running: Up, admin: KeycloakAdmin, page: "Page") -> None:
    """Keycloak itself says whose sign-in was refused, and does not send the person back; its button leads on again."""
    with asking_for_consent(admin, AT_HOME[DISTRICT], realms.BROKER):
        person = chosen(page, running, DISTRICT)
        typed_in(page, person)
        page.locator("#kc-cancel").click()
        page.get_by_text("Zugriff verweigert").wait_for()
        assert page.url.startswith(f"{person['issuer']}/")
    page.locator(f"#social-{realms.UPSTREAM}").click()
    typed_in(page, person)
    page.wait_for_url(f"{running.ready()['gateway']}/console/")


@contextmanager
def silent(running: Up) -> Iterator[None]:
    """Keycloak takes connections, and answers nobody."""
    pid = next(each["pid"] for each in running.ready()["processes"] if each["name"] == "keycloak")
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def names_who_is_down(page: "Page", answer: "Response | None") -> None:
    """The page says whose sign-in does not answer, who can mend it, and when to try again."""
    assert answer is not None
    assert answer.status == httpx.codes.SERVICE_UNAVAILABLE
    seconds = int(answer.headers["retry-after"])
    said = page.inner_text("main")
    assert "Senatskanzlei" in said
    assert "Beheben kann das die IT-Stelle der Organisation" in said
    assert f"in {seconds} Sekunden" in said


def test_nobody_is_sent_to_a_keycloak_that_is_silent(running: Up, page: "Page") -> None:
    """Who chooses their organisation is told so at once, also where somebody signed on there a moment ago."""
    page.goto(f"{running.ready()['gateway']}/console/")
    with silent(running), page.expect_navigation() as going:
        choice(page, CHANCELLERY).click()
    names_who_is_down(page, going.value)


def test_a_keycloak_that_falls_silent_on_the_way_back_is_named(running: Up, page: "Page") -> None:
    """The password was right, but the code cannot be used; as soon as Keycloak answers, the person is signed on without
    typing it again.
    """
    gateway, person = running.ready()["gateway"], chosen(page, running, CHANCELLERY)
    action = page.locator("#kc-form-login").get_attribute("action")
    assert action
    form: dict[str, str | float | bool] = {"username": person["username"], "password": person["password"]}
    back = page.request.post(action, form=form, max_redirects=0).headers["location"]
    assert back.startswith(f"{gateway}/oauth2/callback?")
    with silent(running):
        names_who_is_down(page, page.goto(back))

    def again() -> bool:
        page.goto(f"{gateway}/console/")
        choice(page, CHANCELLERY).click()
        page.wait_for_load_state()
        return page.url == f"{gateway}/console/"

    wait_until(again, "the sign-on does not work again", seconds_max=PATIENCE_SECONDS)
    assert f"Angemeldet: {person['name']}" in page.inner_text("body")
