"""Every page of the console in a real browser, in German and English: nobody meets a barrier on any of them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from verbund.console.site.visit import TEMPLATES
from verbund.exchange.v1 import delivery_service_pb2 as exchange
from verbund.registry.v1 import project_service_pb2 as projects
from verbund.registry.v1 import strategy_service_pb2 as strategies
from verbund.registry.v1.types_pb2 import Identifier, LocalizedText, Period, Source

from tests.integration.console.desk import CITYLAB, DISTRICT, STRANGER, TITLES, Desk, Person
from tests.support.barriers import IN_ANOTHER_LANGUAGE, LOOKS, looked_at
from tests.support.members import TIMEOUT_SECONDS
from tests.support.relayed import relayed
from tests.support.tokens import ISSUER

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Response

pytestmark = pytest.mark.timeout(900)
LANGUAGES = ("de", "en")
OF_OTHERS = {"layout.html", "parts.html", "grounds.html"}  # templates of which others are made
DELIVERIES = f"/console/deliveries/{DISTRICT}"
LONG = "Donaudampfschifffahrtsgesellschaftskapitänsmützenabzeichenverordnung"
Way = Callable[["Page", Desk], object]


def at(path: str) -> Way:
    """The page of an address."""
    return lambda page, _desk: page.goto(ISSUER + path)


def rejecting(explanation: str, reason: str = "") -> Way:
    """The page after a rejection, as browsers send it that do not check what is typed."""

    def way(page: "Page", _desk: Desk) -> None:
        page.goto(f"{ISSUER}{DELIVERIES}/wartet")
        page.locator("#reason").evaluate("each => { each.required = false }")
        page.locator("#reason").select_option(reason)
        page.locator("#explanation").fill(explanation)
        page.locator("button[value=reject]").click()
        page.locator("h1").wait_for()

    return way


def sending(nobody: Callable[[Desk], Person]) -> Way:
    """What was typed when the form found nobody to take it."""

    def way(page: "Page", desk: Desk) -> None:
        page.goto(f"{ISSUER}{DELIVERIES}/wartet")
        page.unroute_all()
        relayed(page, nobody(desk).client)
        page.locator("#reason").select_option("OTHER")
        page.locator("#explanation").fill("Anlage 2 fehlt.")
        page.locator("button[value=reject]").click()
        page.locator("h1").wait_for()

    return way


def of(organisation: str, *roles: str) -> Callable[[Desk], Person]:
    """Somebody of an organisation."""
    return lambda desk: desk.person(organisation, roles=roles or ("caseworker",))


SOMEBODY, SENDER = of(CITYLAB), of(DISTRICT)
# By name: the template, who looks, and how they come there.
PAGES: dict[str, tuple[str, Callable[[Desk], Person], Way]] = {
    "start": ("start.html", SOMEBODY, at("/console/")),
    "start-sender": ("start.html", SENDER, at("/console/")),
    "start-empty": ("start.html", of(STRANGER), at("/console/")),
    "start-without-role": ("start.html", of("betrieb", "operator"), at("/console/")),
    "projects": ("projects.html", SOMEBODY, at("/console/projects")),
    "projects-typo": ("projects.html", SOMEBODY, at("/console/projects?q=Hardenbergplats")),
    "projects-none": ("projects.html", SOMEBODY, at("/console/projects?q=qqqqqqqq")),
    "projects-too-long": ("projects.html", SOMEBODY, at(f"/console/projects?q={'q' * 201}")),
    "project": ("project.html", SOMEBODY, at(f"/console/projects/{DISTRICT}/hardenbergplatz")),
    "project-unknown": ("project.html", of(STRANGER), at(f"/console/projects/{DISTRICT}/unbekannt")),
    "delivery-open": ("delivery.html", SOMEBODY, at(f"{DELIVERIES}/wartet")),
    "delivery-sent": ("delivery.html", SENDER, at(f"{DELIVERIES}/wartet")),
    "delivery-accepted": ("delivery.html", SOMEBODY, at(f"{DELIVERIES}/angenommen")),
    "delivery-rejected": ("delivery.html", SENDER, at(f"{DELIVERIES}/abgelehnt")),
    "delivery-withdrawn": ("delivery.html", SOMEBODY, at(f"{DELIVERIES}/zurueck")),
    "delivery-draft": ("delivery.html", SENDER, at(f"{DELIVERIES}/entwurf")),
    "delivery-no-reason": ("delivery.html", SOMEBODY, rejecting("Anlage 2 fehlt.")),
    "delivery-no-explanation": ("delivery.html", SOMEBODY, rejecting("  ", "INCOMPLETE")),
    "session-ended": ("again.html", SOMEBODY, sending(lambda desk: desk.bearing(""))),
    "services-away": ("again.html", SOMEBODY, sending(lambda desk: desk.without_services())),
    "signed-in": ("signed_in.html", SOMEBODY, at("/console/signed-in")),
    "signed-out": ("signed_out.html", lambda desk: desk.bearing(""), at("/console/signed-out")),
    "refusal-400": ("refusal.html", SOMEBODY, at("/console/projects?page=nonsense")),
    "refusal-401": ("refusal.html", lambda desk: desk.bearing(""), at("/console/")),
    "refusal-403": ("refusal.html", of("betrieb", "operator"), at(f"{DELIVERIES}/wartet")),
    "refusal-404": ("refusal.html", SOMEBODY, at("/console/nothing")),
    "refusal-429": ("refusal.html", SOMEBODY, rejecting("x" * 70_000, "OTHER")),
    "refusal-503": ("refusal.html", lambda desk: desk.without_services(), at("/console/")),
}
MANUAL = ("/docs", "/docs/refusals", "/docs/verbund.identity.v1.AccessService", "/docs/nothing")


def staged(desk: Desk) -> None:
    """What there is to see: a project about which all is known, one about which nothing is, and deliveries."""
    district, citylab = desk.exchange.district, desk.exchange.citylab
    recorded(desk)
    project = f"projects/{DISTRICT}.hardenbergplatz"
    mailbox = desk.exchange.mailbox
    said = {"project": project, "message": "Bitte bis Freitag.\nVielen Dank!", "reference": "Stadt-7/24"}
    district.send(mailbox, "wartet", subject="Projektauftrag Smart Space Hardenbergplatz", **said)
    district.begin(mailbox, "entwurf", subject=LONG)
    for name in ("angenommen", "abgelehnt", "zurueck"):
        sent = district.send(mailbox, name, subject=f"Sachstandsbericht, {name}", **said)
        if name == "zurueck":
            district.withdraw(sent.name)
            continue
        citylab.claim(sent.name)
        (citylab.accept if name == "angenommen" else citylab.reject)(sent.name)


def recorded(desk: Desk) -> None:
    """The projects."""
    district = desk.registry.district
    strategy = strategies.CreateStrategyRequest(
        strategy_id="gemeinsam-digital",
        strategy=strategies.Strategy(title=LocalizedText(de="Gemeinsam Digital: Berlin")),
    )
    district.strategies.CreateStrategy(strategy, timeout=TIMEOUT_SECONDS)
    district.create(
        "hardenbergplatz",
        title=LocalizedText(de="Smart Space Hardenbergplatz", en="Smart Space Hardenbergplatz"),
        description=LocalizedText(de="Der Platz am Bahnhof Zoo wird mit den Menschen vor Ort neu geordnet."),
        visibility=projects.VISIBILITY_PUBLIC,
        status=projects.PROJECT_STATUS_IMPLEMENTATION,
        period=Period(start_date="2023-03", end_date="2027"),
        strategy="strategies/gemeinsam-digital",
        identifiers=[Identifier(scheme="berlin-strategie", id="P1")],
        sources=[Source(uri="https://www.berlin.de/smart-space-hardenbergplatz/", as_of="2024-05-02")],
        parties=[
            projects.Party(title=TITLES[DISTRICT], roles=[projects.PARTY_ROLE_PUBLIC_AUTHORITY]),
            projects.Party(title="Technologiestiftung Berlin", roles=[projects.PARTY_ROLE_FUNDER]),
        ],
    )
    district.create("unbekannt", title=LocalizedText(de=LONG), visibility=projects.VISIBILITY_PUBLIC)


def refuses_frames(answer: "Response") -> bool:
    """Whether nobody can show it within a page of theirs."""
    policy = answer.headers.get("content-security-policy", "")
    return "text/html" not in answer.headers.get("content-type", "") or "frame-ancestors 'none'" in policy


@contextmanager
def opened(browser: "Browser", person: Person, language: str) -> Iterator["Page"]:
    """A page of a person's, in the language of their browser."""
    context = browser.new_context(locale={"de": "de-DE", "en": "en-GB"}[language])
    try:
        page = context.new_page()
        framed: list[str] = []
        page.on("response", lambda answer: None if refuses_frames(answer) else framed.append(answer.url))
        relayed(page, person.client)
        yield page
        assert framed == []
    finally:
        context.close()


@pytest.mark.parametrize("language", LANGUAGES)
def test_nobody_meets_a_barrier(browser: "Browser", desk: Desk, language: str) -> None:
    """On each page, whatever it has to say: at every width and zoom, dark, in forced colours, by keyboard, on paper."""
    staged(desk)
    for name, (_, person, way) in PAGES.items():
        with opened(browser, person(desk), language) as page:
            way(page, desk)
            assert page.locator("html").get_attribute("lang") == language, name
            assert page.locator("h1").count() == 1, name
            looked_at(page, f"console-{name}-{language}", LOOKS if language == "de" else IN_ANOTHER_LANGUAGE)


def test_the_manual_has_no_barriers(browser: "Browser", desk: Desk) -> None:
    """Its contents, the refusals, the page of a service, and a page that there is not."""
    with opened(browser, desk.bearing(""), "en") as page:
        for path in MANUAL:
            page.goto(ISSUER + path)
            assert page.locator("h1").count() == 1
            looked_at(page, f"manual-{path.rpartition('/')[2]}")


def test_every_page_is_looked_at() -> None:
    """A new template stands in the list above, or this fails."""
    assert {template for template, _, _ in PAGES.values()} == {*TEMPLATES.list_templates()} - OF_OTHERS


def test_every_state_has_a_page(desk: Desk) -> None:
    """What the list above calls open, accepted, rejected and withdrawn is it."""
    staged(desk)
    states = {
        name: desk.exchange.district.get(f"organisations/{DISTRICT}/deliveries/{name}").state
        for name in ("wartet", "angenommen", "abgelehnt", "zurueck", "entwurf")
    }
    assert states == {
        "wartet": exchange.DELIVERY_STATE_AVAILABLE,
        "angenommen": exchange.DELIVERY_STATE_ACCEPTED,
        "abgelehnt": exchange.DELIVERY_STATE_REJECTED,
        "zurueck": exchange.DELIVERY_STATE_WITHDRAWN,
        "entwurf": exchange.DELIVERY_STATE_DRAFT,
    }
