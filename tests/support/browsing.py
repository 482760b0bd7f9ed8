"""People at a real browser: they choose their organisation, sign in at home, go where they want, and sign out."""

import re
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from verbund.sdk.client import Client
from verbund.tour import sample as samples

from tests.support.barriers import looked_at, tabbed_to
from tests.support.home import Up

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Locator, Page

CHANCELLERY = "organisations/senatskanzlei"
DISTRICT = "organisations/charlottenburg-wilmersdorf"
CITYLAB = "organisations/citylab-berlin"
PROJECT = "projects/charlottenburg-wilmersdorf.smart-space-hardenbergplatz"
SUBJECT = "Beispiel: Auftrag, der noch wartet"
WIDTH, HEIGHT = 1280, 900
Make = Callable[[str], "BrowserContext"]  # somebody who has never been here, with their language


def sent(running: Up, sample: samples.Sample, mailbox: str, file: Path) -> str:
    """A delivery of the district that waits for its receiver; its page."""
    file.write_bytes(sample.order.document)
    with Client.from_home(running.home, sample.member("charlottenburg-wilmersdorf").system) as client:
        done = client.send([file], to=mailbox, subject=SUBJECT, project=PROJECT, request_id=str(uuid.uuid4()))
    return "/console/deliveries/" + done.name.removeprefix("organisations/").replace("/deliveries/", "/")


def person_of(mesh: dict[str, Any], organisation: str) -> dict[str, str]:
    """Somebody with an account at the organisation's own provider, and with a role at work."""
    known = samples.read().people[organisation.rpartition("/")[2]]
    found: dict[str, str] = next(
        each for each in mesh["people"] if each["organisation"] == organisation and each["username"] == known
    )
    return found


def provider_button(page: "Page", organisation: str) -> "Locator":
    """The choice of an organisation."""
    return page.locator(f"button[name=provider][value^='{organisation}/providers/']").first


def signed_on(page: "Page", mesh: dict[str, Any], organisation: str, path: str = "/console/") -> None:
    """From a page to the sign-in at home and back to it, by clicks."""
    page.goto(mesh["gateway"] + path)
    provider_button(page, organisation).click()
    typed_in(page, person_of(mesh, organisation))
    page.locator("button[type=submit]:not(.second)").click()
    page.wait_for_url(mesh["gateway"] + path)


def typed_in(page: "Page", person: dict[str, str]) -> None:
    """User name and password at home."""
    page.locator("#username").fill(person["username"])
    page.locator("#password").fill(person["password"])


def by_mouse(page: "Page", target: "Locator") -> None:
    """A click."""
    assert target.page is page
    target.click()


def by_keyboard(page: "Page", target: "Locator") -> None:
    """Tab until it has the focus, then Enter."""
    tabbed_to(page, target)
    page.keyboard.press("Enter")


def signed_out(page: "Page", act: Callable[["Page", "Locator"], None] = by_mouse) -> None:
    """By the page's own link, over the question at home."""
    act(page, page.locator("a[href='/console/signout']"))
    page.wait_for_url(re.compile(r"/console/signed-out|:\d+/(senatskanzlei|charlottenburg-wilmersdorf)/"))
    if "/console/signed-out" not in page.url:
        act(page, page.locator("main form button"))
        page.wait_for_url("**/console/signed-out")


def seen(page: "Page", name: str, language: str) -> None:
    """The page speaks the person's language, and has no barriers."""
    assert page.locator("html").get_attribute("lang") == language, name
    assert page.locator("h1").count() == 1, name
    looked_at(page, name)
