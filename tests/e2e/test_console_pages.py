"""The pages for people through the gateway, in a real browser, with a token in the header."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from verbund.console.routes import STYLE_PATH
from verbund.registry.v1 import project_service_pb2 as projects
from verbund.registry.v1.project_service_pb2_grpc import ProjectServiceStub
from verbund.registry.v1.types_pb2 import LocalizedText, Period, Source

from tests.support.barriers import SHOTS
from tests.support.exchanging import Pair, pair_of
from tests.support.home import Up
from tests.support.members import new_id

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("mesh")]

SUBJECT = "Projektauftrag Hardenbergplatz"
PROJECT = "projects/console-bezirk.hardenbergplatz"
BYTES_MAX = 60_000


@pytest.fixture(scope="module")
def pair(running: Up) -> Pair:
    """A district that sends and a laboratory that receives, with a public project."""
    found = pair_of(running, "console-bezirk/akte", "console-labor/portal")
    with found.sending() as client:
        ProjectServiceStub(client.channel).CreateProject(
            projects.CreateProjectRequest(
                project_id="hardenbergplatz",
                project=projects.Project(
                    title=LocalizedText(de="Hardenbergplatz", en="Hardenberg square"),
                    description=LocalizedText(de="Der Platz am Bahnhof Zoo wird neu geordnet."),
                    visibility=projects.VISIBILITY_PUBLIC,
                    status=projects.PROJECT_STATUS_IMPLEMENTATION,
                    period=Period(start_date="2023-03"),
                    sources=[Source(uri="https://www.berlin.de/", as_of="2024-05-02")],
                    parties=[projects.Party(title="Bezirksamt", roles=[projects.PARTY_ROLE_PUBLIC_AUTHORITY])],
                ),
            ),
            timeout=20,
        )
    return found


def sent(pair: Pair, directory: Path) -> str:
    """A delivery that waits for the laboratory; its page."""
    file = directory / "auftrag.pdf"
    file.write_bytes(b"%PDF-1.7 " + b"x" * 5000)
    with pair.sending() as client:
        done = client.send(
            [file],
            to=pair.mailbox,
            subject=SUBJECT,
            project=PROJECT,
            request_id=new_id(),
        )
    return "/console/deliveries/" + done.name.removeprefix("organisations/").replace("/deliveries/", "/")


@pytest.fixture
def person(browser: "Browser", pair: Pair) -> Iterator["BrowserContext"]:
    """Somebody at the laboratory; the header stands for what the sign-on will put there."""
    with pair.receiving() as client:
        token = client.tokens.token()
    context = browser.new_context(
        ignore_https_errors=True,
        locale="de-DE",
        viewport={"width": 1280, "height": 900},
        extra_http_headers={"Authorization": f"Bearer {token}"},
    )
    try:
        yield context
    finally:
        context.close()


def shot(page: "Page", name: str) -> None:
    """Keeps what the page looks like."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / f"journey-{name}.png", full_page=True)


def test_somebody_finds_the_project_and_decides(
    mesh: dict[str, Any], pair: Pair, person: "BrowserContext", tmp_path: Path
) -> None:
    """From the first page, with a typo and by links and forms alone, no script: whose turn it is, then accepted."""
    address = sent(pair, tmp_path)
    page = person.new_page()
    page.goto(f"{mesh['gateway']}/console/")
    assert page.get_by_role("link", name=SUBJECT).first.is_visible()
    shot(page, "start")
    page.get_by_role("link", name="Projekte").first.click()
    page.get_by_label("Projekte suchen").fill("Hardenbrgplatz")
    page.get_by_role("button", name="Suchen").click()
    shot(page, "search")
    page.get_by_role("link", name="Hardenbergplatz").first.click()
    assert "Sie sind am Zug" in page.inner_text("main")
    shot(page, "project")
    page.locator(f"a[href='{address}']").first.click()
    shot(page, "delivery")
    # A download is not sent the context's header, which only stands for the sign-on's.
    link = page.get_by_role("link", name="Herunterladen").get_attribute("href")
    answer = person.request.get(f"{mesh['gateway']}{link}")
    assert answer.headers["content-disposition"] == 'attachment; filename="auftrag.pdf"'
    assert answer.body().startswith(b"%PDF-1.7")
    page.get_by_label("Grund").first.select_option("INCOMPLETE")
    page.get_by_label("Begründung für den Absender").fill("   ")
    page.get_by_role("button", name="Zustellung ablehnen").click()
    assert page.title() == f"Fehler: {SUBJECT} · Verbund"
    assert page.get_by_label("Grund").first.input_value() == "INCOMPLETE"
    shot(page, "wrong")
    page.get_by_role("button", name="Zustellung annehmen").click()
    assert page.url == mesh["gateway"] + address
    assert "Angenommen" in page.inner_text("main")
    shot(page, "accepted")


def test_a_page_is_small_and_asks_for_one_sheet(
    mesh: dict[str, Any], pair: Pair, person: "BrowserContext", tmp_path: Path
) -> None:
    """Each page with its style is at most 60 KB; nothing comes from elsewhere, and the browser complains of nothing."""
    page = person.new_page()
    complaints: list[str] = []
    fetched: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("response", lambda answer: fetched.append(answer.url))
    paths = ["/console/", "/console/projects", "/console/projects/console-bezirk/hardenbergplatz", sent(pair, tmp_path)]
    for path in paths:
        fetched.clear()
        answer = page.goto(f"{mesh['gateway']}{path}")
        assert answer is not None
        style = person.request.get(f"{mesh['gateway']}{STYLE_PATH}")
        assert len(answer.body()) + len(style.body()) <= BYTES_MAX, path
        assert {each.removeprefix(mesh["gateway"]) for each in fetched} <= {path, STYLE_PATH}, path
    assert complaints == []


def test_the_keyboard_is_enough(mesh: dict[str, Any], person: "BrowserContext") -> None:
    """The first step leads past the navigation, and where one stands can be seen, with forced colours too."""
    page = person.new_page()
    page.emulate_media(forced_colors="active", reduced_motion="reduce")
    page.goto(f"{mesh['gateway']}/console/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"
    shot(page, "forced-colours")
