"""The history of a resource, as each organisation may read it."""

from verbund.registry.v1 import change_service_pb2 as pb
from verbund.registry.v1 import project_service_pb2 as projects
from verbund.registry.v1.project_service_pb2 import Project
from verbund.registry.v1.strategy_service_pb2 import CreateStrategyRequest, DeleteStrategyRequest, Strategy
from verbund.registry.v1.types_pb2 import LocalizedText

from tests.integration.registry.mesh import Member, Mesh
from tests.support.members import TIMEOUT_SECONDS, refused

IMPLEMENTATION = projects.PROJECT_STATUS_IMPLEMENTATION
CREATED, UPDATED = pb.CHANGE_TYPE_CREATED, pb.CHANGE_TYPE_UPDATED
DELETED, HIDDEN = pb.CHANGE_TYPE_DELETED, pb.CHANGE_TYPE_HIDDEN
INTERNAL, SHARED, PUBLIC = projects.VISIBILITY_INTERNAL, projects.VISIBILITY_SHARED, projects.VISIBILITY_PUBLIC


def history(member: Member, name: str) -> list[pb.Change]:
    """A resource's changes, the newest first."""
    return list(member.changes.ListChanges(pb.ListChangesRequest(parent=name), timeout=TIMEOUT_SECONDS).changes)


def kinds(changes: list[pb.Change]) -> list["pb.ChangeType.ValueType"]:
    """What the changes tell."""
    return [change.type for change in changes]


def test_a_history_tells_each_change_with_what_it_left(mesh: Mesh) -> None:
    """The newest first, with paths, time, organisation, and the resource as it stood after each change."""
    first = mesh.citylab.create("p", title=LocalizedText(de="Titel"))
    second = mesh.citylab.update(
        Project(name=first.name, title=LocalizedText(de="Neu"), status=IMPLEMENTATION), "title.de", "status"
    )
    changes = history(mesh.citylab, first.name)
    assert kinds(changes) == [UPDATED, CREATED]
    assert [change.project for change in changes] == [second, first]
    assert [sorted(change.changed_paths) for change in changes] == [["status", "title.de"], []]
    assert [change.time for change in changes] == [second.update_time, first.update_time]
    assert {change.organisation for change in changes} == {"organisations/citylab"}


def test_an_update_that_changes_nothing_is_no_change(mesh: Mesh) -> None:
    """The same content again leaves etag and history as they were."""
    project = mesh.citylab.create("p", title=LocalizedText(de="Titel"))
    assert mesh.citylab.update(project, "*") == project
    assert kinds(history(mesh.citylab, project.name)) == [CREATED]


def test_an_organisation_reads_what_it_could_see(mesh: Mesh) -> None:
    """What became visible is CREATED for those who newly see it; what was hidden from them is not told."""
    project = mesh.citylab.create("p")
    for visibility in (PUBLIC, INTERNAL):
        mesh.citylab.update(Project(name=project.name, visibility=visibility), "visibility")
    mesh.citylab.update(Project(name=project.name, status=IMPLEMENTATION), "status")  # a secret
    mesh.citylab.update(Project(name=project.name, visibility=PUBLIC), "visibility")
    changes = history(mesh.stranger, project.name)
    assert kinds(changes) == [CREATED, HIDDEN, CREATED]
    assert not changes[1].HasField("after")
    assert not any(change.changed_paths for change in changes)
    assert kinds(history(mesh.citylab, project.name)) == [UPDATED, UPDATED, UPDATED, UPDATED, CREATED]


def test_a_deleted_project_has_a_history_for_its_owner_only(mesh: Mesh) -> None:
    """Its owner still reads what it was; everybody else is told what they are told of a name never used."""
    project = mesh.citylab.create("p", visibility=PUBLIC)
    mesh.citylab.delete(project.name)
    changes = history(mesh.citylab, project.name)
    assert kinds(changes) == [DELETED, CREATED]
    assert not changes[0].HasField("after")
    with refused("NOT_FOUND"):
        history(mesh.stranger, project.name)


def test_a_name_used_again_continues_its_history(mesh: Mesh) -> None:
    """A project recorded under the name of a deleted one follows it."""
    project = mesh.citylab.create("p")
    mesh.citylab.delete(project.name)
    mesh.citylab.create("p")
    assert kinds(history(mesh.citylab, project.name)) == [CREATED, DELETED, CREATED]


def test_strategies_have_a_history_too(mesh: Mesh) -> None:
    """Every member reads it while the strategy stands, its owner afterwards."""
    strategy = Strategy(title=LocalizedText(de="Gemeinsam Digital: Berlin"))
    recorded = mesh.citylab.strategies.CreateStrategy(CreateStrategyRequest(strategy_id="gdb", strategy=strategy))
    assert history(mesh.stranger, recorded.name)[0].strategy == recorded
    mesh.citylab.strategies.DeleteStrategy(DeleteStrategyRequest(name=recorded.name))
    assert kinds(history(mesh.citylab, recorded.name)) == [DELETED, CREATED]
    with refused("NOT_FOUND"):
        history(mesh.stranger, recorded.name)


def test_pages_of_a_history_hold_each_change_once(mesh: Mesh) -> None:
    """Pages go back in time, and what happens between them does not shift them."""
    project = mesh.citylab.create("p")
    for status in projects.ProjectStatus.values()[1:5]:
        mesh.citylab.update(Project(name=project.name, status=status), "status")
    request = pb.ListChangesRequest(parent=project.name, page_size=2)
    seen: list[int] = []
    while True:
        page = mesh.citylab.changes.ListChanges(request, timeout=TIMEOUT_SECONDS)
        seen += [change.project.status for change in page.changes]
        request.page_token = page.next_page_token
        if not page.next_page_token:
            break
        mesh.citylab.update(Project(name=project.name, title=LocalizedText(en=f"{len(seen)}")), "title.en")
    assert seen == [4, 3, 2, 1, 0]
