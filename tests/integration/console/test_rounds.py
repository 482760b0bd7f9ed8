"""How many calls a page makes, and how many of them wait for others: what a page costs before any of its own work."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from verbund.console import http
from verbund.console.site.application import Site
from verbund.console.site.desk import Desk as SiteDesk
from verbund.console.site.peers import Peers
from verbund.registry.v1 import project_service_pb2 as projects
from verbund.registry.v1 import strategy_service_pb2 as strategies
from verbund.registry.v1.types_pb2 import LocalizedText
from verbund.serving.http import ASGIApp
from verbund.serving.worker import verifier_of

from tests.integration.console.desk import CITYLAB, DISTRICT, Desk, serving_settings
from tests.support.members import TIMEOUT_SECONDS
from tests.support.rounds import Console, noting_console
from tests.support.tokens import ISSUER


@pytest.fixture
def console(desk: Desk) -> Iterator[Console]:
    """A console beside the desk's services, with nothing in its memory."""
    services = Path(desk.socket).parent
    verifier = verifier_of(serving_settings(desk.issuer, services))

    def make(peers: Peers) -> ASGIApp:
        site = SiteDesk(
            peers=peers, origin=ISSUER, zone=ZoneInfo("UTC"), clock=lambda: datetime.now(UTC), call_seconds_max=5.0
        )
        return http.application({}, Site(site), verifier, cache_seconds=0)

    with noting_console(services, make) as found:
        yield found


@pytest.fixture
def token(desk: Desk) -> str:
    """A person of CityLAB."""
    name = f"organisations/{CITYLAB}"
    return desk.issuer.token(
        CITYLAB,
        roles=("caseworker",),
        sub=f"{name}/people/{'a' * 26}",
        client_id="verbund",
        sys="",
        idp=f"{name}/providers/home",
    )


def test_the_start_page_takes_two_rounds(desk: Desk, console: Console, token: str) -> None:
    """What waits, in two; whoever comes first waits a third for the names, and nobody else does."""
    desk.exchange.district.send(desk.exchange.mailbox, "auftrag")
    first, again = console.read("/console/", token), console.read("/console/", token)
    assert first.named == [
        ["GetPerson", "ListDeliveries", "ListMailboxes"],
        ["ListDeliveries"],
        ["GetOrganisation", "GetOrganisation"],
    ]
    assert again.named == [["ListDeliveries", "ListMailboxes"], ["ListDeliveries"]]


def test_a_project_takes_two_rounds(desk: Desk, console: Console, token: str) -> None:
    """The project and what concerns it, then what it names; the names as on the start page."""
    address = recorded(desk)
    first, again = console.read(address, token), console.read(address, token)
    assert len(first.named) == 3
    assert again.named == [
        ["GetProject", "ListDeliveries", "ListMailboxes"],
        ["GetStrategy", "ListDeliveries"],
    ]


def test_the_list_takes_one_round(desk: Desk, console: Console, token: str) -> None:
    """So does a search."""
    recorded(desk)
    for path, method in (("/console/projects", "ListProjects"), ("/console/projects?q=Platz", "SearchProjects")):
        console.read(path, token)
        assert console.read(path, token).named == [[method]]


def test_a_delivery_takes_two_rounds(desk: Desk, console: Console, token: str) -> None:
    """The delivery with its timeline, then what it names."""
    sent = desk.exchange.district.send(desk.exchange.mailbox, "auftrag", project=recorded_name(desk))
    address = f"/console/deliveries/{DISTRICT}/{sent.name.rpartition('/')[2]}"
    console.read(address, token)
    assert console.read(address, token).named == [["GetDelivery", "ListTimelineEntries"], ["GetMailbox", "GetProject"]]


def recorded(desk: Desk) -> str:
    """A project of a strategy; its page."""
    return f"/console/projects/{recorded_name(desk).removeprefix('projects/').replace('.', '/', 1)}"


def recorded_name(desk: Desk) -> str:
    """A project of a strategy, with a delivery to the reader."""
    district = desk.registry.district
    strategy = district.strategies.CreateStrategy(
        strategies.CreateStrategyRequest(strategy_id="s", strategy=strategies.Strategy(title=LocalizedText(de="S"))),
        timeout=TIMEOUT_SECONDS,
    )
    request = projects.CreateProjectRequest(
        project_id="p",
        project=projects.Project(
            title=LocalizedText(de="Platz"), visibility=projects.VISIBILITY_PUBLIC, strategy=strategy.name
        ),
    )
    made = district.projects.CreateProject(request, timeout=TIMEOUT_SECONDS)
    desk.exchange.district.send(desk.exchange.mailbox, "zum-projekt", project=made.name)
    return made.name
