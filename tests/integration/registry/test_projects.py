"""Projects over the wire: what is recorded is read back, found, changed by its owner, and gone when deleted."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from google.rpc import error_details_pb2 as details
from verbund.registry.v1 import project_service_pb2 as pb
from verbund.registry.v1.change_service_pb2 import ListChangesRequest
from verbund.registry.v1.strategy_service_pb2 import CreateStrategyRequest, ListStrategiesRequest, Strategy
from verbund.registry.v1.types_pb2 import Identifier, LocalizedText, Period, Source
from verbund.sdk.refusals import Refused

from tests.integration.registry.mesh import Mesh
from tests.support.members import TIMEOUT_SECONDS, new_id, refused

IMPLEMENTATION = pb.PROJECT_STATUS_IMPLEMENTATION
COMPLETION = pb.PROJECT_STATUS_COMPLETION
PARTNER = pb.PARTY_ROLE_PARTNER
PUBLIC = pb.VISIBILITY_PUBLIC


def violations(found: Refused) -> dict[str, str]:
    """The fields that a refusal names."""
    named = [
        each for detail in found.details if isinstance(detail, details.BadRequest) for each in detail.field_violations
    ]
    return {violation.field: violation.description for violation in named}


def test_what_is_recorded_is_read_back(mesh: Mesh) -> None:
    """The answer of CreateProject is what GetProject reads, with owner, name, times and etag set by the registry."""
    created = mesh.citylab.create(
        "hardenbergplatz",
        title=LocalizedText(de="Smart Space Hardenbergplatz"),
        period=Period(start_date="2022-03", end_date="2026-06"),
        name="projects/somebody.else",
        owner="organisations/somebody",
    )
    assert created.name == "projects/citylab.hardenbergplatz"
    assert created.owner == "organisations/citylab"
    assert created.visibility == pb.VISIBILITY_INTERNAL
    assert created.etag
    assert created.create_time == created.update_time
    assert mesh.citylab.get(created.name) == created


def test_without_an_id_the_registry_chooses_a_readable_one(mesh: Mesh) -> None:
    """Two projects without ids get different names in the owner's namespace."""
    names = {mesh.citylab.create().name for _ in range(2)}
    assert len(names) == 2
    assert all(name.startswith("projects/citylab.") for name in names)


def test_an_id_in_use_exists_only_for_its_own_organisation(mesh: Mesh) -> None:
    """A second project of one id is refused; another organisation's is not, so nobody learns what others recorded."""
    mesh.citylab.create("one")
    with refused("ALREADY_EXISTS"):
        mesh.citylab.create("one")
    assert mesh.district.create("one").name == "projects/ba-charlottenburg-wilmersdorf.one"


def test_an_identifier_is_used_once_by_an_organisation(mesh: Mesh) -> None:
    """An organisation cannot give one identifier to two projects, by creation or update; another organisation can."""
    identifier = Identifier(scheme="worldbank", id="P1")
    mesh.citylab.create("one", identifiers=[identifier])
    with refused("ALREADY_EXISTS"):
        mesh.citylab.create("two", identifiers=[identifier])
    other = mesh.citylab.create("three")
    with refused("ALREADY_EXISTS"):
        mesh.citylab.update(pb.Project(name=other.name, identifiers=[identifier]), "identifiers")
    mesh.district.create("one", identifiers=[identifier])


def test_an_identifier_that_is_given_up_can_be_used_again(mesh: Mesh) -> None:
    """Removing an identifier, or deleting its project, sets it free."""
    identifier = Identifier(scheme="worldbank", id="P1")
    first = mesh.citylab.create("one", identifiers=[identifier])
    mesh.citylab.update(pb.Project(name=first.name), "identifiers")
    second = mesh.citylab.create("two", identifiers=[identifier])
    mesh.citylab.delete(second.name)
    mesh.citylab.create("three", identifiers=[identifier])


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"period": Period(start_date="2022-03-02", end_date="2022-03-01")}, "project.period"),
        ({"period": Period(start_date="2023", end_date="2022")}, "project.period"),
        ({"period": Period(start_date="2022-02-30")}, "project.period.start_date"),
        ({"period": Period(start_date="02.03.2022")}, "project.period.start_date"),
        ({"sources": [Source(uri="https://example.org/", as_of="2022-02-30")]}, "project.sources[0].as_of"),
        ({"sources": [Source(uri="javascript:alert(1)")]}, "project.sources[0].uri"),
        ({"identifiers": [Identifier(scheme="a", id="1"), Identifier(scheme="a", id="1")]}, "project.identifiers[1]"),
        ({"identifiers": [Identifier(scheme="a", id="1\0")]}, "project.identifiers[0].id"),
        ({"title": LocalizedText(de="a\0b")}, "project"),
        ({"strategy": "strategies/gdb"}, "project.strategy"),
        ({"measure": "strategies/gdb/measures/m"}, "project.measure"),
        ({"strategy": "strategies/gdx", "measure": "strategies/gdb/measures/m"}, "project.measure"),
        ({"parties": [pb.Party(title="X")]}, "project.parties[0].roles"),
        ({"status": 99}, "project.status"),
    ],
)
def test_a_field_that_breaks_a_rule_is_named(mesh: Mesh, fields: dict[str, Any], path: str) -> None:
    """INVALID_ARGUMENT names the proto path of the field that is wrong."""
    with refused("INPUT_INVALID") as found:
        mesh.citylab.create("wrong", **fields)
    assert path in violations(found[0])
    with refused("NOT_FOUND"):
        mesh.citylab.get("projects/citylab.wrong")


@pytest.mark.parametrize(
    ("start", "end"),
    [("2022-03", "2022-03-01"), ("2022-03-31", "2022-03"), ("2022", "2022-01"), ("", "2020"), ("2020", "")],
)
def test_dates_count_as_exact_as_they_are_known(mesh: Mesh, start: str, end: str) -> None:
    """A period is refused only where no reading of its dates has it end after it begins."""
    mesh.citylab.create(period=Period(start_date=start, end_date=end))


def test_a_title_is_required_in_one_language(mesh: Mesh) -> None:
    """A project without a title is neither recorded nor left behind by an update."""
    with refused("INPUT_INVALID"):
        mesh.citylab.create("untitled", title=LocalizedText())
    project = mesh.citylab.create("titled", title=LocalizedText(en="A project"))
    with refused("INPUT_INVALID") as found:
        mesh.citylab.update(pb.Project(name=project.name), "title")
    assert "project.title" in violations(found[0])


def test_an_update_changes_what_the_mask_names_and_nothing_else(mesh: Mesh) -> None:
    """Fields outside the mask stay, a masked field that is not sent is cleared, parts of texts change one by one."""
    before = mesh.citylab.create(
        "p", title=LocalizedText(de="Titel", en="Title"), status=IMPLEMENTATION, period=Period(start_date="2022")
    )
    sent = pb.Project(name=before.name, title=LocalizedText(de="Neu", en="ignored"), status=COMPLETION)
    after = mesh.citylab.update(sent, "title.de", "period")
    assert after.title == LocalizedText(de="Neu", en="Title")
    assert after.status == IMPLEMENTATION
    assert not after.HasField("period")
    assert after.etag != before.etag
    assert after.create_time == before.create_time
    assert mesh.citylab.get(before.name) == after


def test_an_update_without_a_mask_changes_what_is_set(mesh: Mesh) -> None:
    """An empty mask means every field that is set; `*` means all, so that what is not set is cleared."""
    before = mesh.citylab.create("p", status=IMPLEMENTATION, visibility=PUBLIC)
    after = mesh.citylab.update(pb.Project(name=before.name, title=LocalizedText(en="Title")))
    assert after.status == IMPLEMENTATION
    after = mesh.citylab.update(pb.Project(name=before.name, title=LocalizedText(en="Title")), "*")
    assert after.status == pb.PROJECT_STATUS_UNSPECIFIED
    assert after.visibility == pb.VISIBILITY_INTERNAL  # what is not stated is not made public


def test_a_mask_that_names_what_cannot_be_changed_is_refused(mesh: Mesh) -> None:
    """Owner, name and unknown fields are no fields of an update."""
    project = mesh.citylab.create()
    for path in ("owner", "name", "create_time", "nothing", "title.fr"):
        with refused("INPUT_INVALID"):
            mesh.citylab.update(project, path)


def test_an_outdated_etag_is_refused(mesh: Mesh) -> None:
    """Who changes or deletes what has changed since is told so; without an etag the last change wins."""
    first = mesh.citylab.create("p")
    second = mesh.citylab.update(pb.Project(name=first.name, etag=first.etag, status=IMPLEMENTATION), "status")
    with refused("STALE"):
        mesh.citylab.update(pb.Project(name=first.name, etag=first.etag, status=COMPLETION), "status")
    with refused("STALE"):
        mesh.citylab.projects.DeleteProject(
            pb.DeleteProjectRequest(name=first.name, etag=first.etag), timeout=TIMEOUT_SECONDS
        )
    mesh.citylab.update(pb.Project(name=first.name, status=COMPLETION), "status")
    assert mesh.citylab.get(first.name).etag != second.etag


def test_an_etag_never_fits_a_later_project_of_the_same_name(mesh: Mesh) -> None:
    """A project that is deleted and recorded again has another etag."""
    first = mesh.citylab.create("p")
    mesh.citylab.delete(first.name)
    assert mesh.citylab.create("p").etag != first.etag


def test_parallel_updates_with_one_etag_let_one_through(mesh: Mesh) -> None:
    """Of twenty updates that read the same etag, one is carried out and nineteen are told that they are late."""
    project = mesh.citylab.create("p")

    def change(number: int) -> str:
        try:
            mesh.citylab.update(
                pb.Project(name=project.name, etag=project.etag, title=LocalizedText(de=f"{number}")), "title"
            )
        except Exception as error:  # noqa: BLE001 - told below
            return Refused.from_rpc(error).reason  # type: ignore[arg-type]
        return "done"

    with ThreadPoolExecutor(20) as pool:
        assert Counter(pool.map(change, range(20))) == {"done": 1, "STALE": 19}


def test_one_request_id_has_one_effect_and_one_answer(mesh: Mesh) -> None:
    """A hundred parallel calls with one request id record one project and answer the same; another body is refused."""
    request_id = new_id()
    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(lambda _: mesh.citylab.create(request_id=request_id), range(100)))
    assert len({answer.SerializeToString(deterministic=True) for answer in answers}) == 1
    assert mesh.citylab.names() == [answers[0].name]
    with refused("REQUEST_ID_REUSED"):
        mesh.citylab.create("other", request_id=request_id)
    assert mesh.district.create(request_id=request_id).name != answers[0].name  # another organisation's ids are its own


def test_a_refused_request_may_be_repeated_under_its_id(mesh: Mesh) -> None:
    """A call that changed nothing keeps no answer: after the cause is gone, the same request goes through."""
    request_id = new_id()
    with refused("INPUT_INVALID"):
        mesh.citylab.create("p", strategy="strategies/gdb", request_id=request_id)
    mesh.citylab.strategies.CreateStrategy(
        CreateStrategyRequest(strategy_id="gdb", strategy=Strategy(title=LocalizedText(de="Gemeinsam Digital: Berlin")))
    )
    assert mesh.citylab.create("p", strategy="strategies/gdb", request_id=request_id).strategy == "strategies/gdb"


def test_every_change_owes_the_evidence_log_a_leaf(mesh: Mesh) -> None:
    """Creation, update and deletion commit one intent each; an update that changes nothing commits none."""
    project = mesh.citylab.create("p")
    mesh.citylab.update(pb.Project(name=project.name, status=IMPLEMENTATION), "status")
    mesh.citylab.update(pb.Project(name=project.name, status=IMPLEMENTATION), "status")
    mesh.citylab.delete(project.name)
    with psycopg.connect(f"{mesh.dsn}&user=postgres") as connection:
        leaves = connection.execute(
            "SELECT convert_from(leaf, 'UTF8')::json->>'type' FROM evidence.intents ORDER BY position"
        )
        assert [kind for (kind,) in leaves] == [
            "registry.project.created",
            "registry.project.updated",
            "registry.project.deleted",
        ]


def test_what_is_deleted_is_gone(mesh: Mesh) -> None:
    """A deleted project is neither read, listed nor found, and cannot be deleted again."""
    project = mesh.citylab.create("p", title=LocalizedText(de="Badestelle"))
    mesh.citylab.delete(project.name)
    assert mesh.citylab.names() == mesh.citylab.search("Badestelle") == []
    with refused("NOT_FOUND"):
        mesh.citylab.get(project.name)
    with refused("NOT_FOUND"):
        mesh.citylab.delete(project.name)


def test_pages_of_a_list_hold_each_project_once(mesh: Mesh) -> None:
    """Pages come in the order of names, and what is recorded between them does not shift them."""
    names = sorted(mesh.citylab.create(f"p{number}").name for number in range(7))
    request = pb.ListProjectsRequest(page_size=3)
    seen: list[str] = []
    while True:
        page = mesh.citylab.projects.ListProjects(request, timeout=TIMEOUT_SECONDS)
        seen += [project.name for project in page.projects]
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
        mesh.citylab.create(f"a{len(seen)}")  # before the present position
    assert seen == names


def pages_of(call: Callable[..., Any], request: Any) -> list[Any]:
    """Every page of a list."""
    found = [call(request, timeout=TIMEOUT_SECONDS)]
    while found[-1].next_page_token:
        request.page_token = found[-1].next_page_token
        found.append(call(request, timeout=TIMEOUT_SECONDS))
    return found


def test_large_resources_make_small_pages(mesh: Mesh) -> None:
    """Whatever others record, a list, a search and a history can be answered: pages are bounded in bytes, too."""
    large = LocalizedText(de="platz " + "\N{CJK UNIFIED IDEOGRAPH-4E00}" * 19_000)
    long = LocalizedText(de=large.de, en=large.de)
    for number in range(20):
        mesh.citylab.create(f"p{number:02}", title=long, description=long, visibility=PUBLIC)
        mesh.citylab.update(pb.Project(name="projects/citylab.p00", title=LocalizedText(en=f"{number}")), "title.en")
        strategy = Strategy(title=long, description=long)
        request = CreateStrategyRequest(strategy_id=f"s{number:02}", strategy=strategy)
        mesh.citylab.strategies.CreateStrategy(request, timeout=TIMEOUT_SECONDS)
    lists = pages_of(mesh.stranger.projects.ListProjects, pb.ListProjectsRequest(page_size=1000))
    searches = pages_of(mesh.stranger.projects.SearchProjects, pb.SearchProjectsRequest(query="platz", page_size=100))
    histories = pages_of(mesh.stranger.changes.ListChanges, ListChangesRequest(parent="projects/citylab.p00"))
    strategies = pages_of(mesh.stranger.strategies.ListStrategies, ListStrategiesRequest())
    for found in (lists, searches, histories, strategies):
        assert len(found) > 1
        assert all(page.ByteSize() < 3 * 1024 * 1024 for page in found)
    for found in (lists, searches):
        assert sorted(each.name[-3:] for page in found for each in page.projects) == [f"p{n:02}" for n in range(20)]
    assert [each.name[-3:] for page in strategies for each in page.strategies] == [f"s{n:02}" for n in range(20)]
    assert len([each for page in histories for each in page.changes]) == 21


def test_a_page_token_is_good_for_its_own_list_only(mesh: Mesh) -> None:
    """A token sent with another filter, by another organisation, or made up is refused."""
    for number in range(3):
        mesh.citylab.create(f"p{number}", visibility=PUBLIC)
    token = mesh.citylab.projects.ListProjects(
        pb.ListProjectsRequest(page_size=1), timeout=TIMEOUT_SECONDS
    ).next_page_token
    for member, fields in [
        (mesh.citylab, {"filter": "status = COMPLETED", "page_token": token}),
        (mesh.district, {"page_token": token}),
        (mesh.citylab, {"page_token": "nonsense"}),
    ]:
        with refused("CURSOR_INVALID"):
            member.names(**fields)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('owner = "organisations/citylab"', "abc"),
        ("status = IMPLEMENTATION", "a"),
        ("status = PROJECT_STATUS_IMPLEMENTATION", "a"),
        ("status != IMPLEMENTATION", "bc"),
        ("NOT status = IMPLEMENTATION", "bc"),
        ("status:*", "ab"),
        ("visibility = PUBLIC OR visibility = SHARED", "ab"),
        ('strategy = "strategies/gdb"', "a"),
        ('NOT strategy = "strategies/gdb"', "bc"),
        ('strategy != "strategies/gdb"', "bc"),
        ('strategy = ""', "bc"),
        ("strategy:*", "a"),
        ('parties.organisation = "organisations/ba-mitte"', "b"),
        ('parties.organisation != "organisations/ba-mitte"', "ac"),
        ("identifiers.scheme = worldbank AND identifiers.id = P1", "a"),
        ("identifiers.id = P1 OR identifiers.id = P2 OR identifiers.id = P3", "ab"),
        ("identifiers.id:*", "ab"),
        ('period.start_date >= "2022"', "ab"),
        ('period.start_date > "2022"', "b"),
        ('period.start_date = "2022"', "a"),
        ('period.start_date <= "2022-03"', "a"),
        ('period.end_date = ""', "ac"),
        ('NOT period.end_date < "2030"', "ac"),
        ('update_time > "2020-01-01T00:00:00Z"', "abc"),
        ('update_time < "2020-01-01T00:00:00+01:00"', ""),
        ("status = IMPLEMENTATION AND (visibility = INTERNAL OR visibility = PUBLIC)", "a"),
        ("visibility = PUBLIC AND status = PREPARATION OR status = IMPLEMENTATION", "a"),
        ("", "abc"),
    ],
)
def test_a_filter_finds_what_it_says(mesh: Mesh, text: str, found: str) -> None:
    """Every field and operator that ListProjects promises, unknown values included; OR binds tighter than AND."""
    strategy = Strategy(title=LocalizedText(de="Gemeinsam Digital: Berlin"))
    mesh.citylab.strategies.CreateStrategy(CreateStrategyRequest(strategy_id="gdb", strategy=strategy))
    mesh.citylab.create(
        "a",
        status=pb.PROJECT_STATUS_IMPLEMENTATION,
        strategy="strategies/gdb",
        visibility=PUBLIC,
        identifiers=[Identifier(scheme="worldbank", id="P1")],
        period=Period(start_date="2022-03-01"),
    )
    mesh.citylab.create(
        "b",
        status=pb.PROJECT_STATUS_PREPARATION,
        visibility=pb.VISIBILITY_SHARED,
        identifiers=[Identifier(scheme="worldbank", id="P2")],
        parties=[pb.Party(organisation="organisations/ba-mitte", title="BA Mitte", roles=[PARTNER])],
        period=Period(start_date="2023", end_date="2024"),
    )
    mesh.citylab.create("c")
    assert mesh.citylab.names(filter=text) == [f"projects/citylab.{last}" for last in found]


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("nothing = 1", 0),
        ("status = ", 9),
        ("status = NOWHERE", 0),
        ("status = COMPLETED status = COMPLETED", 19),
        ("(status = COMPLETED", 19),
        ('owner = "x', 8),
        ("period.start_date = 2022-13", 0),
        ("update_time > 2022", 0),
        ("status > COMPLETED", 0),
    ],
)
def test_a_filter_that_cannot_be_read_is_refused_with_the_position(mesh: Mesh, text: str, position: int) -> None:
    """INVALID_ARGUMENT names the field `filter` and where in it reading failed."""
    with refused("INPUT_INVALID") as found:
        mesh.citylab.names(filter=text)
    assert violations(found[0])["filter"].startswith(f"at position {position}:")
