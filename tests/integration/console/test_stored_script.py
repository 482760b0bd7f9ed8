"""A script in every field that the console shows of somebody else's: people read it, and nothing runs it."""

from typing import TYPE_CHECKING
from urllib.parse import quote

import psycopg
from verbund.registry.v1 import project_service_pb2 as projects
from verbund.registry.v1 import strategy_service_pb2 as strategies
from verbund.registry.v1.types_pb2 import Identifier, LocalizedText, Source

from tests.integration.console.desk import CITYLAB, DISTRICT, STRANGER, Desk, Person
from tests.support.markup import SCRIPT, Read
from tests.support.members import TIMEOUT_SECONDS, new_id

if TYPE_CHECKING:
    from verbund.exchange.v1 import delivery_service_pb2 as exchange

BOTH = LocalizedText(de=SCRIPT, en=SCRIPT)
PAGE = f"/console/deliveries/{DISTRICT}/skript"
FORM = f"/console/decisions/{DISTRICT}/skript"
# What the services' own rules would not take all of, and an older row may hold.
STORED = """
    UPDATE identity.organisations SET title = %(script)s;
    UPDATE exchange.documents SET file_name = %(script)s, media_type = %(script)s;
    INSERT INTO identity.providers (name, organisation, title, issuer, audience, mapping, state, revision, create_time,
        update_time)
    VALUES (%(provider)s, %(organisation)s, 'Home', 'https://home.example', 'verbund', '{}', 'draft', 1, now(), now());
    INSERT INTO identity.people (name, organisation, provider, home_subject, display_name, email, create_time,
        update_time)
    VALUES (%(person)s, %(organisation)s, %(provider)s, 'erika', %(script)s, '', now(), now())
"""


def filled(desk: Desk) -> "exchange.Delivery":
    """A project, a delivery, and the organisations and the person around them."""
    district, registry = desk.exchange.district, desk.registry.district
    strategy = strategies.Strategy(title=BOTH)
    registry.strategies.CreateStrategy(
        strategies.CreateStrategyRequest(strategy_id="skript", strategy=strategy), timeout=TIMEOUT_SECONDS
    )
    measure = strategies.CreateMeasureRequest(
        parent="strategies/skript", measure_id="skript", measure=strategies.Measure(title=BOTH)
    )
    made = registry.create(
        "skript",
        title=BOTH,
        description=BOTH,
        visibility=projects.VISIBILITY_PUBLIC,
        strategy="strategies/skript",
        measure=registry.strategies.CreateMeasure(measure, timeout=TIMEOUT_SECONDS).name,
        parties=[projects.Party(title=SCRIPT, roles=[projects.PARTY_ROLE_PUBLIC_AUTHORITY])],
        identifiers=[Identifier(scheme="x", id=SCRIPT)],
        sources=[Source(uri="https://example.org/%22%3E%3Cscript%3E")],
    )
    mailbox = desk.exchange.citylab.open_mailbox("skript", title=SCRIPT)
    return district.send(mailbox, "skript", subject=SCRIPT, message=SCRIPT, reference=SCRIPT, project=made.name)


def person_of(desk: Desk) -> Person:
    """The receiver, whose own name is a script; stores what the services' rules would not take."""
    organisation = f"organisations/{CITYLAB}"
    name, provider = f"{organisation}/people/{'p' * 26}", f"{organisation}/providers/home"
    values = {"script": SCRIPT, "provider": provider, "organisation": organisation, "person": name}
    with psycopg.connect(f"{desk.exchange.dsn}&user=postgres") as connection:
        for statement in STORED.split(";"):
            connection.execute(statement, values)
    return desk.person(CITYLAB, sub=name, idp=provider)


def shown(person: Person, path: str, least: int, status: int = 200) -> None:
    """The page holds the script so many times, and runs it nowhere."""
    held(person.read(path, status=status).answer.text, path, least)


def held(page: str, path: str, least: int) -> None:
    """The same of a page at hand."""
    read = Read(page)
    assert read.runs == [], path
    assert read.text.count(SCRIPT) >= least, f"{path}: {read.text}"


def test_what_others_wrote_is_text(desk: Desk) -> None:
    """On every page, of every field: names of organisations, people, projects, strategies, measures, parties, mailboxes
    and documents, messages and reasons, and what the person typed themselves.
    """
    assert filled(desk).name
    person = person_of(desk)
    signed_in = 2  # the person and their organisation, at the top of each page
    shown(person, "/console/", signed_in + 2)  # the subject, and from whom
    shown(person, "/console/projects", signed_in + 2)  # the title and who is responsible
    search = f"/console/projects?q={quote(SCRIPT[:60])}"
    shown(person, search, signed_in)
    shown(person, f"/console/projects?q={quote(SCRIPT * 5)}", signed_in, 400)
    # Title twice, description, responsible, strategy, measure, next step, party, delivery, from whom, by whom, id.
    shown(person, f"/console/projects/{DISTRICT}/skript", signed_in + 11)
    # Title twice, sender, receiver, mailbox, project, reference, message, document twice, its kind, who did each step.
    shown(person, PAGE, signed_in + 12)
    rejection = {"action": "reject", "request_id": new_id(), "reason": "", "explanation": SCRIPT}
    held(person.send(FORM, rejection).text, FORM, signed_in + 13)
    ended = desk.bearing("").send(FORM, rejection | {"reason": "OTHER"})
    held(ended.text, "a form after its session", 1)
    assert person.send(FORM, rejection | {"reason": "OTHER"}).status_code == 303
    shown(person, PAGE, signed_in + 13)
    shown(desk.person(STRANGER), f"/console/{quote(SCRIPT)}", 0, 404)
