"""The projects as people find and read them."""

from typing import Any

from verbund.registry.v1 import project_service_pb2 as pb
from verbund.registry.v1 import strategy_service_pb2 as strategies
from verbund.registry.v1.types_pb2 import Identifier, LocalizedText, Period, Source

from tests.integration.console.desk import CITYLAB, DISTRICT, STRANGER, TITLES, Desk, Shown
from tests.support.members import TIMEOUT_SECONDS

SCRIPT = "<script>alert(1)</script><img src=x onerror=alert(1)>"


def record(desk: Desk, project_id: str = "hardenbergplatz", **fields: Any) -> pb.Project:
    """A project that everybody may see."""
    stated: dict[str, Any] = {
        "title": LocalizedText(de="Hardenbergplatz", en="Hardenberg square"),
        "description": LocalizedText(de="Der Platz am Zoo wird neu."),
        "visibility": pb.VISIBILITY_PUBLIC,
        "status": pb.PROJECT_STATUS_IMPLEMENTATION,
        "period": Period(start_date="2023-03", end_date="2027"),
        "sources": [Source(uri="https://www.berlin.de/hardenbergplatz", as_of="2024-05-02")],
        "parties": [
            pb.Party(
                organisation=f"organisations/{DISTRICT}",
                title="Bezirksamt",
                roles=[pb.PARTY_ROLE_PUBLIC_AUTHORITY, pb.PARTY_ROLE_FUNDER],
            )
        ],
    }
    return desk.registry.district.create(project_id, **stated | fields)


def test_the_list_tells_each_fact_with_its_source(desk: Desk) -> None:
    """Phase, who is responsible, the period as exact as it is known, where that was read, and when."""
    record(desk)
    shown = desk.person(CITYLAB).read("/console/projects")
    for fact in ("In Umsetzung", "Bezirksamt", "März 2023 bis 2027", "www.berlin.de (Stand: 2. Mai 2024)"):
        assert fact in shown.text, fact
    assert f"/console/projects/{DISTRICT}/hardenbergplatz" in shown.links()
    english = desk.person(CITYLAB).read("/console/projects?lang=en").text
    for fact in ("Hardenberg square", "Being carried out", "March 2023 to 2027", "(as of 2 May 2024)"):
        assert fact in english, fact


def test_what_is_not_known_is_said(desk: Desk) -> None:
    """Nothing is left blank, and nothing is guessed."""
    empty: dict[str, Any] = {"status": 0, "period": None, "sources": [], "parties": [], "description": None}
    record(desk, "unbekannt", **empty)
    row = desk.person(CITYLAB).read("/console/projects").root.findall(".//tbody/tr")[0]
    cells = ["".join(cell.itertext()).strip() for cell in row.findall("td")]
    assert cells == ["nicht bekannt"] * 4
    page = desk.person(CITYLAB).read(f"/console/projects/{DISTRICT}/unbekannt")
    facts = {node[0].text: "".join(node[1].itertext()).strip() for node in page.one("body/main/section[1]/dl")}
    assert facts == dict.fromkeys(
        ["Phase", "Zuständig", "Zeitraum", "Strategie", "Maßnahme", "Nächster Schritt"], "nicht bekannt"
    )
    assert "Eine Quelle ist nicht angegeben." in page.text


def test_a_search_forgives_a_typo(desk: Desk) -> None:
    """The name is found although it is misspelt, and what was typed stays in the field."""
    record(desk)
    record(desk, "anderes", title=LocalizedText(de="Kiezbox"))
    shown = desk.person(CITYLAB).read("/console/projects?q=Hardenbrgplatz")
    assert shown.title == "Projekte zu „Hardenbrgplatz“ · Verbund"
    assert "Hardenbergplatz" in shown.text
    assert "Kiezbox" not in shown.text
    assert field(shown) == "Hardenbrgplatz"
    # The way to the other language keeps the search.
    assert "/console/projects?q=Hardenbrgplatz&lang=en" in shown.links()


def test_a_search_that_finds_nothing_says_what_to_do(desk: Desk) -> None:
    """And one that is too long says so, and keeps what was typed."""
    person = desk.person(CITYLAB)
    assert "Kein Projekt passt zu „Zeppelin“." in person.read("/console/projects?q=Zeppelin").text
    shown = person.read(f"/console/projects?q={'x' * 201}", status=400)
    assert "höchstens 200 Zeichen" in shown.text
    assert field(shown) == "x" * 201


def field(shown: Shown) -> str:
    """What stands in the search field."""
    (found,) = (node for node in shown.root.iter("input") if node.attrib["name"] == "q")
    return found.attrib["value"]


def test_a_long_list_is_read_page_by_page(desk: Desk) -> None:
    """Each project stands on one page; the last leads no further."""
    for number in range(23):
        record(desk, f"p{number:02}", title=LocalizedText(de=f"Projekt {number:02}"))
    person = desk.person(CITYLAB)
    first = person.read("/console/projects")
    (further,) = (node.attrib["href"] for node in first.root.iter("a") if node.get("rel") == "next")
    second = person.read(further)
    rows = [len(page.root.findall(".//tbody/tr")) for page in (first, second)]
    assert rows == [20, 3]
    assert not [node for node in second.root.iter("a") if node.get("rel") == "next"]
    assert "Zum Anfang" in second.text
    assert "Die Anfrage ist nicht verständlich" in person.read("/console/projects?page=made-up", status=400).text


def test_a_project_tells_whose_turn_it_is(desk: Desk) -> None:
    """Its strategy, its parties, and the deliveries that concern it: those of the reader's organisation."""
    district = desk.registry.district
    strategy = district.strategies.CreateStrategy(
        strategies.CreateStrategyRequest(
            strategy_id="gdb", strategy=strategies.Strategy(title=LocalizedText(de="Gemeinsam Digital: Berlin"))
        ),
        timeout=TIMEOUT_SECONDS,
    )
    made = record(desk, strategy=strategy.name, identifiers=[Identifier(scheme="worldbank", id="P1")])
    desk.exchange.district.send(desk.exchange.mailbox, "auftrag", subject="Projektauftrag", project=made.name)
    desk.exchange.district.send(desk.exchange.mailbox, "anderes", subject="Etwas anderes")
    address = f"/console/projects/{DISTRICT}/hardenbergplatz"
    shown = desk.person(CITYLAB).read(address)
    assert shown.title == "Hardenbergplatz · Verbund"
    for fact in ("Gemeinsam Digital: Berlin", "zuständige Stelle, fördert", "Der Platz am Zoo wird neu."):
        assert fact in shown.text, fact
    assert "Sie sind am Zug: Ansehen und annehmen oder ablehnen" in shown.section("Auf einen Blick")
    listed = shown.section("Zustellungen zu diesem Projekt")
    assert "Projektauftrag" in listed
    assert "Eingegangen" in listed
    assert "Etwas anderes" not in listed
    assert f"{TITLES[CITYLAB]} ist am Zug" in desk.person(DISTRICT).read(address).text
    stranger = desk.person(STRANGER).read(address)
    assert "Projektauftrag" not in stranger.text
    assert "gibt es keine Zustellung, an der Ihre Organisation beteiligt ist" in stranger.text


def test_a_project_finds_its_deliveries_among_many(desk: Desk) -> None:
    """However many newer ones there are; where there are more than are shown, the page says so."""
    made = record(desk)
    desk.exchange.district.send(desk.exchange.mailbox, "auftrag", subject="Projektauftrag", project=made.name)
    desk.exchange.fill(150)
    address = f"/console/projects/{DISTRICT}/hardenbergplatz"
    for organisation in (DISTRICT, CITYLAB):
        listed = desk.person(organisation).read(address).section("Zustellungen zu diesem Projekt")
        assert "Projektauftrag" in listed
        assert "Füllung" not in listed
        assert "höchstens" not in listed
    other = record(desk, "anderes")
    for number in range(51):
        desk.exchange.district.begin(desk.exchange.mailbox, f"d{number:02}", project=other.name)
    shown = desk.person(DISTRICT).read(f"/console/projects/{DISTRICT}/anderes")
    assert "höchstens 50 Zustellungen" in shown.section("Zustellungen zu diesem Projekt")
    assert len({link for link in shown.links() if "/console/deliveries/" in link}) == 50


def test_a_project_has_a_page_by_its_name_too(desk: Desk) -> None:
    """`owner.id`, as the registry writes it."""
    made = record(desk)
    assert desk.person(CITYLAB).read(f"/console/{made.name}").title == "Hardenbergplatz · Verbund"


def test_who_may_not_see_it_learns_nothing(desk: Desk) -> None:
    """An internal project's page is, byte for byte, that of one that does not exist."""
    record(desk, "intern", visibility=pb.VISIBILITY_INTERNAL)
    person = desk.person(STRANGER)
    hidden, absent = (
        person.read(f"/console/projects/{DISTRICT}/{name}", status=404).answer for name in ("intern", "nichts")
    )
    assert hidden.text.replace("intern", "nichts") == absent.text
    assert dict(hidden.headers) | {"traceresponse": "", "content-length": ""} == dict(absent.headers) | {
        "traceresponse": "",
        "content-length": "",
    }
    for path in ("", "x", "x/y/z", "A/B", f"{DISTRICT}/%00"):
        person.read(f"/console/projects/{path}", status=404)


def test_what_others_wrote_is_text(desk: Desk) -> None:
    """A script in any field that a page shows is shown, and never run."""
    record(
        desk,
        title=LocalizedText(de=SCRIPT),
        description=LocalizedText(de=SCRIPT),
        parties=[pb.Party(title=SCRIPT, roles=[pb.PARTY_ROLE_PUBLIC_AUTHORITY])],
        identifiers=[Identifier(scheme="x", id=SCRIPT)],
        sources=[Source(uri="https://example.org/%22%3E%3Cscript%3E")],
    )
    person = desk.person(CITYLAB)
    for path in (f"/console/projects/{DISTRICT}/hardenbergplatz", "/console/projects", "/console/projects?q=%3Cscript"):
        shown = person.read(path)
        assert not list(shown.root.iter("script"))
        assert not list(shown.root.iter("img"))
    assert person.read(f"/console/projects/{DISTRICT}/hardenbergplatz").text.count(SCRIPT) >= 4
    assert "<script" in person.read("/console/projects?q=%3Cscript").title
