"""The deliveries of one project: listed for each side, by page, and found by an index however many others there are."""

from collections.abc import Iterator

import psycopg
import pytest
from verbund.database.exchange import compile_statement
from verbund.exchange.deliveries.store import LIST_RECEIVED_OF_PROJECT, LIST_SENT_OF_PROJECT
from verbund.exchange.v1 import delivery_service_pb2 as pb

from tests.integration.exchange.mesh import Member, Mesh
from tests.support.members import fields_of, refused

PROJECT, OTHER = "projects/citylab.hardenbergplatz", "projects/citylab.kiezbox"


@pytest.fixture
def concerning(mesh: Mesh) -> list[str]:
    """Deliveries of a project, with others between them; the newest first."""
    names = []
    for number in range(3):
        mesh.district.send(mesh.mailbox, f"none-{number}")
        names.append(mesh.district.send(mesh.mailbox, f"ours-{number}", project=PROJECT).name)
        mesh.district.send(mesh.mailbox, f"other-{number}", project=OTHER)
    return names[::-1]


def sides(mesh: Mesh) -> list[tuple[Member, str]]:
    """Who lists what: the sender all that it sends, the receiver a mailbox."""
    return [(mesh.district, mesh.district.organisation), (mesh.citylab, mesh.mailbox)]


def test_each_side_lists_the_deliveries_of_a_project(mesh: Mesh, concerning: list[str]) -> None:
    """Those and no others, by page, with the states too; a draft is on its sender's list only."""
    draft = mesh.district.begin(mesh.mailbox, "draft", project=PROJECT)
    mesh.citylab.claim(concerning[1])
    for member, parent in sides(mesh):
        expected = [draft.name, *concerning] if member is mesh.district else concerning
        found, token = [], ""
        for _ in range(len(expected)):
            page = member.page(parent, project=PROJECT, page_size=1, page_token=token)
            found += [delivery.name for delivery in page.deliveries]
            token = page.next_page_token
        assert (found, token) == (expected, "")
        claimed = member.page(parent, project=PROJECT, states=[pb.DELIVERY_STATE_CLAIMED])
        assert [delivery.name for delivery in claimed.deliveries] == [concerning[1]]
        assert not member.page(parent, project="projects/citylab.nothing").deliveries
        assert len(member.page(parent).deliveries) == (10 if member is mesh.district else 9)


def test_a_page_of_one_project_does_not_go_on_with_another(mesh: Mesh, concerning: list[str]) -> None:
    """A token belongs to the list that it came from."""
    assert concerning
    token = mesh.district.page(project=PROJECT, page_size=1).next_page_token
    for other in ("", OTHER):
        with refused("CURSOR_INVALID"):
            mesh.district.page(project=other, page_size=1, page_token=token)


def test_what_is_no_project_and_no_state_is_refused(mesh: Mesh) -> None:
    """The field is named."""
    for wrong in ("hardenbergplatz", "projects/x", "projects/", "organisations/citylab", "projects/a.b/c"):
        with refused("INPUT_INVALID") as found:
            mesh.district.page(project=wrong)
        assert fields_of(found[0]) == ["project"]
    with refused("INPUT_INVALID") as found:
        mesh.district.page(states=[pb.DELIVERY_STATE_DRAFT, pb.DELIVERY_STATE_UNSPECIFIED])
    assert fields_of(found[0]) == ["states[1]"]


def test_nobody_elses_deliveries_are_on_the_list(mesh: Mesh, concerning: list[str]) -> None:
    """Whoever knows the project's name learns nothing by it."""
    assert concerning
    assert not mesh.stranger.page(project=PROJECT).deliveries
    with refused("NOT_FOUND"):
        mesh.stranger.page(mesh.mailbox, project=PROJECT)


@pytest.fixture
def service(mesh: Mesh) -> Iterator["psycopg.Connection[tuple[str]]"]:
    """The service's role, among many deliveries of which one in a hundred concerns the project."""
    mesh.fill(20_000, projects=[PROJECT, *["", OTHER] * 50])
    with psycopg.connect(f"{mesh.dsn}&user=exchange_service", autocommit=True) as connection:
        yield connection


@pytest.mark.parametrize("plan", ["force_generic_plan", "force_custom_plan"])
@pytest.mark.parametrize("side", ["sent", "received"])
def test_a_list_of_one_project_reads_no_other_deliveries(
    mesh: Mesh, service: "psycopg.Connection[tuple[str]]", side: str, plan: str
) -> None:
    """Each side's list is read from its index, under row-level security, prepared or not: as the service asks."""
    member, parent = sides(mesh)[side == "received"]
    statement = LIST_RECEIVED_OF_PROJECT if side == "received" else LIST_SENT_OF_PROJECT
    values = {"parent": parent, "project": PROJECT, "states": "{}", "time": "9999-01-01", "name": ""}
    values |= {"size": "51", "bytes": "2000000"}
    text, names = compile_statement(statement)
    service.execute("SELECT set_config('verbund.organisation', %s, false)", (member.organisation,))
    service.execute("SELECT set_config('plan_cache_mode', %s, false)", (plan,))
    service.execute(b"PREPARE listed AS " + text)
    given = ", ".join(f"'{values[name]}'" for name in names)
    rows = service.execute(f"EXPLAIN EXECUTE listed({given})".encode()).fetchall()
    told = "\n".join(row[0] for row in rows)
    assert f"Index Scan using deliveries_{side}_of_project" in told, told
    assert "Seq Scan on deliveries" not in told
