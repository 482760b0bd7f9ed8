"""ProjectService: load, decide, save, show."""

from math import inf

from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.empty_pb2 import Empty

from verbund.clock import Clock
from verbund.database.database import Database
from verbund.registry.changes.domain import Change
from verbund.registry.changes.store import ChangeStore
from verbund.registry.projects.domain import Project
from verbund.registry.projects.query import FIELDS, Words
from verbund.registry.projects.store import Hit, ProjectStore
from verbund.registry.v1 import project_service_pb2 as pb
from verbund.resources import filters, pages
from verbund.resources.names import ProjectName
from verbund.resources.pages import Page
from verbund.serving.call import Call
from verbund.serving.refusals import Invalid, Violation

SEARCH_PAGE_MAX = 100
SEARCH_PAGE_DEFAULT = 20
SEARCH_MAX = 1000  # a search ends after so many projects


class ProjectServicer:
    """The shared registry of projects."""

    service: ServiceDescriptor = pb.DESCRIPTOR.services_by_name["ProjectService"]

    def __init__(self, database: Database, projects: ProjectStore, changes: ChangeStore, clock: Clock) -> None:
        self._database = database
        self._projects = projects
        self._changes = changes
        self._clock = clock

    def CreateProject(self, request: pb.CreateProjectRequest, call: Call) -> pb.Project:
        """Records a project of the caller's organisation."""
        with self._database.transaction(call) as tx:
            project = Project.created(request, owner=call.organisation, at=self._clock())
            self._projects.insert(tx, project)
            self._changes.record(tx, Change.created(project, call))
            return tx.answer(project.content)

    def GetProject(self, request: pb.GetProjectRequest, call: Call) -> bytes:
        """Reads one project: the stored bytes are the answer."""
        with self._database.read(call) as rows:
            return self._projects.find(rows, ProjectName(request.name), call.organisation).body

    def ListProjects(self, request: pb.ListProjectsRequest, call: Call) -> pb.ListProjectsResponse:
        """Lists the projects that the caller may see, by name."""
        page = Page.asked(request, call.organisation)
        condition = filters.condition(filters.parse(request.filter), FIELDS)
        with self._database.read(call) as rows:
            found = self._projects.list(rows, condition, after=page.after, size=page.limit)
        shown = [project.content for project in page.shown(found) if project.audience.includes(call.organisation)]
        full = pages.are_full(project.body for project in found)
        return pb.ListProjectsResponse(projects=shown, next_page_token=page.next_token(found, full=full))

    def SearchProjects(self, request: pb.SearchProjectsRequest, call: Call) -> pb.SearchProjectsResponse:
        """Finds projects by words, the best first."""
        arguments = pages.arguments_of(request, call.organisation)
        score, name, answered = search_position(pages.decode(request.page_token, arguments, str, str, int))
        words = Words.of(request.query)
        size = min(
            pages.size(request.page_size, default=SEARCH_PAGE_DEFAULT, maximum=SEARCH_PAGE_MAX), SEARCH_MAX - answered
        )
        if not words.plain or size < 1:
            return pb.SearchProjectsResponse()
        with self._database.read(call) as rows:
            found = self._projects.search(rows, words, after=(score, name), size=size + 1)
        full = pages.are_full(hit.project.body for hit in found)
        count = min(size, len(found))
        hits = [hit for hit in found[:count] if hit.project.audience.includes(call.organisation)]
        more = (full or len(found) > size) and answered + count < SEARCH_MAX
        token = next_search(arguments, found[count - 1], answered + count) if more else ""
        return pb.SearchProjectsResponse(projects=[hit.project.content for hit in hits], next_page_token=token)

    def UpdateProject(self, request: pb.UpdateProjectRequest, call: Call) -> pb.Project:
        """Changes a project; an update that changes nothing is answered and told to nobody."""
        with self._database.transaction(call) as tx:
            before = self._projects.lock(tx, ProjectName(request.project.name), call.organisation)
            after = before.updated(request.project, request.update_mask, call=call, at=self._clock())
            if after is not before:
                self._projects.save(tx, before, after)
                self._changes.record(tx, Change.updated(before, after, call))
            return tx.answer(after.content)

    def DeleteProject(self, request: pb.DeleteProjectRequest, call: Call) -> Empty:
        """Deletes a project; its history stays."""
        with self._database.transaction(call) as tx:
            locked = self._projects.lock(tx, ProjectName(request.name), call.organisation)
            project = locked.deleted(request.etag, call=call)
            self._projects.delete(tx, project)
            self._changes.record(tx, Change.deleted(project, call, at=self._clock()))
            return tx.answer(Empty())


def search_position(position: list[str | int] | None) -> tuple[float, str, int]:
    """Where a page of a search starts: score and name of the hit before, and how many precede it. Raises Invalid."""
    if position is None:
        return inf, "", 0
    try:
        return float.fromhex(str(position[0])), str(position[1]), max(0, int(position[2]))
    except (ValueError, OverflowError):
        wrong = Violation("page_token", "is not a token of a page of this search")
        raise Invalid(wrong, reason="CURSOR_INVALID") from None


def next_search(arguments: bytes, hit: Hit, answered: int) -> str:
    """The token of the page after a hit."""
    return pages.encode(arguments, hit.score.hex(), hit.project.name, answered)
