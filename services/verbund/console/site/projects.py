"""The projects of the strategy: the list with its search, and a project with what concerns it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from starlette.responses import Response

from verbund.console.routes import PROJECTS_PATH
from verbund.console.site import search
from verbund.console.site.desk import Desk
from verbund.console.site.mail import Errand, Mail, errand_of
from verbund.console.site.peers import Asking, Later
from verbund.console.site.visit import Text, Visit
from verbund.registry.v1 import project_service_pb2 as pb
from verbund.registry.v1 import strategy_service_pb2 as strategies
from verbund.registry.v1.project_service_pb2_grpc import ProjectServiceStub
from verbund.registry.v1.strategy_service_pb2_grpc import StrategyServiceStub
from verbund.registry.v1.types_pb2 import Source
from verbund.resources.names import last
from verbund.serving.refusals import Absent

PAGE_SIZE = 20
BEST = 3  # of what a search found: there stands what was meant
SHOWN_MAX = 50  # deliveries of a project: its page says so where there may be more
PATH = re.compile(r"([a-z][a-z0-9-]{0,62})[/.]([a-z0-9][a-z0-9-]{0,62})", re.ASCII)
QUERY_CHARACTERS_MAX = 200
PHASES = ("IDENTIFICATION", "PREPARATION", "IMPLEMENTATION", "COMPLETION", "COMPLETED")


@dataclass(frozen=True, slots=True)
class Shown:
    """A project as a list shows it; what is empty is not known."""

    address: str
    title: Text
    status: str
    responsible: list[str]
    start: str
    end: str
    sources: list["Read"]


@dataclass(frozen=True, slots=True)
class Read:
    """Where a fact was read, and when."""

    uri: str
    host: str
    as_of: str


def list_page(desk: Desk, visit: Visit) -> Response:
    """The list or the search's answer. Two rounds of calls at most: the projects, and titles not yet known."""
    asking = desk.asking(visit)
    query = visit.query.get("q", "").strip()
    if len(query) > QUERY_CHARACTERS_MAX:
        titles = desk.titles.of(asking, [visit.organisation])
        values: dict[str, Any] = {"projects": [], "after": "", "too_long": True, "first": True, "typed": "", "read": ""}
        return visit.page(
            "projects.html", status=400, query=query, organisation_title=titles[visit.organisation], **values
        )
    found = asked(asking, query, visit.query.get("page", "")).result()
    projects = list(found.projects)
    titles = desk.titles.of(asking, [visit.organisation])
    after = urlencode({**({"q": query} if query else {}), "page": found.next_page_token})
    return visit.page(
        "projects.html",
        query=query,
        projects=[shown(visit, each) for each in projects],
        after=f"{PROJECTS_PATH}?{after}" if found.next_page_token else "",
        first=not visit.query.get("page"),
        too_long=False,
        **similar(query, projects),
        organisation_title=titles[visit.organisation],
    )


def similar(query: str, projects: Sequence[pb.Project]) -> dict[str, Any]:
    """The words that no project found holds as they were typed, and those that were found instead."""
    texts = [text for each in projects for text in texts_of(each)]
    typed = search.unknown(query, texts)
    best = [text for each in projects[:BEST] for text in texts_of(each)]
    return {"typed": " ".join(typed), "read": " ".join(search.understood(typed, best)) if typed else ""}


def texts_of(project: pb.Project) -> tuple[str, ...]:
    """What a project is found by."""
    title, description = project.title, project.description
    return (title.de, title.en, description.de, description.en)


def asked(asking: Asking, query: str, token: str) -> Later[Any]:
    """A page of the list, or of what a search finds."""
    if query:
        search = pb.SearchProjectsRequest(query=query, page_size=PAGE_SIZE, page_token=token)
        return asking.later("registry", lambda channel: ProjectServiceStub(channel).SearchProjects, search)
    listed = pb.ListProjectsRequest(page_size=PAGE_SIZE, page_token=token)
    return asking.later("registry", lambda channel: ProjectServiceStub(channel).ListProjects, listed)


def project_page(desk: Desk, visit: Visit, path: str) -> Response:
    """A project. Three rounds of calls at most: the project, the mailboxes and what is sent for it; what these received
    for it and what the project names; titles not yet known. Raises Absent.
    """
    asking = desk.asking(visit)
    name = name_of(path)
    later = asking.later(
        "registry", lambda channel: ProjectServiceStub(channel).GetProject, pb.GetProjectRequest(name=name)
    )
    follows = visit.may("exchange.deliveries.read")
    mail = Mail(asking, visit.organisation, project=name) if follows else None
    project: pb.Project = later.result()
    strategy, measure = strategy_of(asking, project), measure_of(asking, project)
    found = mail.found() if mail else None
    errands = sorted(
        (errand_of(each, visit.organisation) for each in (found.deliveries if found else ())), key=open_first
    )
    shown_errands = errands[:SHOWN_MAX]
    named = (name for each in shown_errands for name in (each.next, each.other))
    titles = desk.titles.of(asking, [visit.organisation, project.owner, *named])
    return visit.page(
        "project.html",
        project=project,
        shown=shown(visit, project),
        phases=PHASES,
        description=visit.text(project.description),
        parties=[(party, [role_name(role) for role in party.roles]) for party in project.parties],
        strategy=title_of(visit, strategy),
        measure=title_of(visit, measure),
        errands=shown_errands,
        follows=follows,
        more=found is not None and (found.more or len(errands) > SHOWN_MAX),
        titles=titles,
        organisation_title=titles[visit.organisation],
    )


def open_first(errand: Errand) -> tuple[bool, tuple[bool, float, str]]:
    """What somebody still has to do, then the rest."""
    return (not errand.next, errand.order)


def name_of(path: str) -> str:
    """The project's name of `owner/id` or `owner.id`; raises Absent."""
    found = PATH.fullmatch(path)
    if found is None:
        raise Absent(f"projects/{path}")
    return f"projects/{found[1]}.{found[2]}"


def address_of(project: str) -> str:
    """Where a project's page is."""
    return f"{PROJECTS_PATH}/{last(project).replace('.', '/', 1)}"


def shown(visit: Visit, project: pb.Project) -> Shown:
    """A project with what lists say of it."""
    responsible = [party for party in project.parties if pb.PARTY_ROLE_PUBLIC_AUTHORITY in party.roles]
    return Shown(
        address=address_of(project.name),
        title=visit.text(project.title),
        status=pb.ProjectStatus.Name(project.status).removeprefix("PROJECT_STATUS_"),
        responsible=[party.title for party in responsible],
        start=project.period.start_date,
        end=project.period.end_date,
        sources=[read(source) for source in project.sources],
    )


def read(source: Source) -> Read:
    """Where a fact was read, by the host's name."""
    try:
        host = urlsplit(source.uri).hostname or source.uri
    except ValueError:
        host = source.uri
    return Read(source.uri, host, source.as_of)


def role_name(role: "pb.PartyRole.ValueType") -> str:
    """As what a party takes part."""
    return pb.PartyRole.Name(role).removeprefix("PARTY_ROLE_")


def strategy_of(asking: Asking, project: pb.Project) -> Later[Any] | None:
    """The strategy that a project serves."""
    if not project.strategy:
        return None
    request = strategies.GetStrategyRequest(name=project.strategy)
    return asking.later("registry", lambda channel: StrategyServiceStub(channel).GetStrategy, request)


def measure_of(asking: Asking, project: pb.Project) -> Later[Any] | None:
    """The measure that a project carries out."""
    if not project.measure:
        return None
    request = strategies.GetMeasureRequest(name=project.measure)
    return asking.later("registry", lambda channel: StrategyServiceStub(channel).GetMeasure, request)


def title_of(visit: Visit, later: Later[Any] | None) -> Text | None:
    """The title of what was asked for; None where there is nothing. Raises Refused."""
    found = later.result_if_known() if later else None
    return visit.text(found.title) if found else None
