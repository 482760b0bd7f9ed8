"""What a caller may not see answers as what does not exist, in every method of the registry."""

from collections.abc import Callable

import grpc
import psycopg
import pytest
from google.protobuf.message import Message
from verbund.registry.v1 import change_service_pb2 as changes
from verbund.registry.v1 import project_service_pb2 as pb
from verbund.registry.v1.types_pb2 import Identifier, LocalizedText
from verbund.sdk.refusals import Refused

from tests.integration.registry.mesh import Member, Mesh
from tests.support.members import TIMEOUT_SECONDS, refused

IMPLEMENTATION = pb.PROJECT_STATUS_IMPLEMENTATION
TITLE = LocalizedText(de="Geheimes Wasserkonzept", en="Secret water concept")
INTERNAL, SHARED, PUBLIC = pb.VISIBILITY_INTERNAL, pb.VISIBILITY_SHARED, pb.VISIBILITY_PUBLIC

# Every method that names a project.
NAMING: dict[str, Callable[[Member, str], Message]] = {
    "GetProject": lambda member, name: member.projects.GetProject(
        pb.GetProjectRequest(name=name), timeout=TIMEOUT_SECONDS
    ),
    "UpdateProject": lambda member, name: member.update(pb.Project(name=name, status=IMPLEMENTATION), "status"),
    "UpdateProject etag": lambda member, name: member.update(
        pb.Project(name=name, status=IMPLEMENTATION, etag="x"), "status"
    ),
    "UpdateProject invalid": lambda member, name: member.update(
        pb.Project(name=name, strategy="strategies/none"), "strategy"
    ),
    "DeleteProject": lambda member, name: member.projects.DeleteProject(
        pb.DeleteProjectRequest(name=name), timeout=TIMEOUT_SECONDS
    ),
    "ListChanges": lambda member, name: member.changes.ListChanges(
        changes.ListChangesRequest(parent=name), timeout=TIMEOUT_SECONDS
    ),
}


def recorded(mesh: Mesh, visibility: "pb.Visibility.ValueType") -> pb.Project:
    """A project of CityLAB with the district as its party."""
    party = pb.Party(organisation=mesh.district.organisation, title="Bezirksamt", roles=[pb.PARTY_ROLE_PARTNER])
    identifiers = [Identifier(scheme="citylab-berlin", id="water")]
    return mesh.citylab.create("water", title=TITLE, visibility=visibility, parties=[party], identifiers=identifiers)


def refusal(method: Callable[[Member, str], Message], member: Member, name: str) -> tuple[str, str, list[str]]:
    """Everything that a caller can tell from a refusal, with the name taken out and without the trace id."""
    with pytest.raises(grpc.RpcError) as raised:
        method(member, name)
    found = Refused.from_rpc(raised.value)
    metadata = {key: value for key, value in found.metadata.items() if key != "traceId"}
    told = [str(detail) for detail in found.details[1:]]
    return (
        f"{found.code} {found.message}".replace(name, "?"),
        str(metadata).replace(name, "?"),
        [text.replace(name, "?") for text in told],
    )


@pytest.mark.parametrize("visibility", [INTERNAL, SHARED])
@pytest.mark.parametrize("method", NAMING)
def test_a_project_that_may_not_be_seen_answers_as_one_that_does_not_exist(
    mesh: Mesh, method: str, visibility: "pb.Visibility.ValueType"
) -> None:
    """Code, message, metadata and details are the same for a hidden name and one that was never used."""
    hidden = recorded(mesh, visibility)
    call = NAMING[method]
    assert refusal(call, mesh.stranger, hidden.name) == refusal(call, mesh.stranger, "projects/citylab.nothing")
    assert "NOT_FOUND" in refusal(call, mesh.stranger, hidden.name)[0]


@pytest.mark.parametrize(
    ("visibility", "owner", "party", "others"),
    [(INTERNAL, True, False, False), (SHARED, True, True, False), (PUBLIC, True, True, True)],
)
def test_a_visibility_means_the_same_in_every_way_of_reading(
    mesh: Mesh, visibility: "pb.Visibility.ValueType", owner: bool, party: bool, others: bool
) -> None:
    """Get, list, filter, German, English, prefix and misspelt search, and history agree on who sees a project."""
    name = recorded(mesh, visibility).name
    for member, sees in ((mesh.citylab, owner), (mesh.district, party), (mesh.stranger, others)):
        expected = [name] if sees else []
        assert member.names() == expected
        assert member.names(filter="identifiers.id = water") == expected
        assert member.names(filter=f'parties.organisation = "{mesh.district.organisation}"') == expected
        for query in ("Wasserkonzept", "water concept", "Wasserkon", "Waserkonzept", "konzept"):
            assert member.search(query) == expected, query
        if sees:
            assert member.get(name).name == name
            history = member.changes.ListChanges(changes.ListChangesRequest(parent=name), timeout=TIMEOUT_SECONDS)
            assert len(history.changes) == 1


@pytest.mark.parametrize("visibility", [SHARED, PUBLIC])
@pytest.mark.parametrize("method", ["UpdateProject", "UpdateProject etag", "UpdateProject invalid", "DeleteProject"])
def test_who_sees_a_project_without_owning_it_is_told_the_rule(
    mesh: Mesh, method: str, visibility: "pb.Visibility.ValueType"
) -> None:
    """PERMISSION_DENIED, NOT_OWNER, with the name of the rule; and nothing changes."""
    before = recorded(mesh, visibility)
    with refused("NOT_OWNER") as found:
        NAMING[method](mesh.district, before.name)
    assert found[0].metadata["rule"] == f"verbund.registry.v1.ProjectService.{method.split(maxsplit=1)[0]}"
    assert found[0].metadata["resource"] == before.name
    assert mesh.citylab.get(before.name) == before


def test_a_project_that_becomes_internal_is_gone_for_others(mesh: Mesh) -> None:
    """After it is hidden, a former reader is told what a stranger is told, in every method."""
    project = recorded(mesh, PUBLIC)
    assert mesh.stranger.get(project.name)
    mesh.citylab.update(pb.Project(name=project.name, visibility=INTERNAL), "visibility")
    assert mesh.stranger.names() == mesh.stranger.names(filter="identifiers.id:*") == []
    assert mesh.stranger.search("Wasserkonzept") == []
    for method in NAMING.values():
        assert refusal(method, mesh.stranger, project.name) == refusal(
            method, mesh.stranger, "projects/citylab.nothing"
        )


def test_operators_see_no_more_than_their_organisation(mesh: Mesh) -> None:
    """Running the mesh is no reason to read its members' internal projects."""
    project = recorded(mesh, INTERNAL)
    operator = mesh.member("operations", roles=("operator", "admin"))
    with refused("NOT_FOUND"):
        operator.get(project.name)
    assert operator.names() == operator.search("Wasserkonzept") == []


def test_row_level_security_hides_rows_whatever_a_statement_says(mesh: Mesh) -> None:
    """The third wall: under the service's role, plain SQL shows and changes nothing of another organisation."""
    recorded(mesh, INTERNAL)
    with psycopg.connect(f"{mesh.dsn}&user=registry_service") as connection:
        for organisation, seen in (("organisations/citylab", 1), ("organisations/stranger", 0), ("", 0)):
            connection.execute("SELECT set_config('verbund.organisation', %s, false)", (organisation,))
            for table in ("projects", "project_identifiers", "changes"):
                count = connection.execute(f"SELECT count(*) FROM registry.{table}").fetchone()  # noqa: S608
                assert count == (seen,), (organisation, table)
        assert connection.execute("UPDATE registry.projects SET status = 6").rowcount == 0
        assert connection.execute("DELETE FROM registry.projects").rowcount == 0
        connection.execute("SELECT set_config('verbund.organisation', 'organisations/stranger', false)")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(
                "INSERT INTO registry.strategies VALUES ('strategies/x', 'organisations/citylab', 1, '')"
            )


def test_without_a_caller_no_table_shows_anything(mesh: Mesh) -> None:
    """A connection that names no organisation sees not even public rows."""
    recorded(mesh, PUBLIC)
    with psycopg.connect(f"{mesh.dsn}&user=registry_service") as connection:
        for table in ("projects", "strategies", "changes"):
            assert connection.execute(f"SELECT count(*) FROM registry.{table}").fetchone() == (0,)  # noqa: S608
