"""Imports through the real registry: real lists, broken rows, and the same file again."""

import json
from pathlib import Path

import pytest
from verbund.registry.imports import mapping as mappings
from verbund.registry.imports.importer import Report, import_file
from verbund.registry.v1 import project_service_pb2 as pb
from verbund.registry.v1.types_pb2 import LocalizedText

from tests.integration.registry.mesh import Member, Mesh

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.exists(), reason="the folder shared/data beside the repository does not exist")
SMALL = mappings.Mapped.of(
    {
        "identifier": {"scheme": "test", "column": "id"},
        "fields": {"title.de": "name", "status": "status", "period.start_date": "from", "period.end_date": "to"},
    }
)


def imported(member: Member, path: Path, mapped: mappings.Mapped | None = None) -> Report:
    """Imports a file as a member."""
    return import_file(member.projects, member.organisation, path, mapped=mapped)


def counts(report: Report) -> tuple[int, int, int, int]:
    """What was created, updated, unchanged, refused."""
    return report.created, report.updated, report.unchanged, report.failed


def written(path: Path, text: str) -> Path:
    """A file with a text."""
    path.write_text(text)
    return path


@needs_data
def test_the_citylab_list_becomes_projects_in_two_languages(mesh: Mesh) -> None:
    """72 records of 36 folders become 36 projects; what is not known stays unknown; a second import changes nothing."""
    path = DATA / "citylab_berlin_projects.json"
    assert counts(imported(mesh.citylab, path)) == (36, 0, 0, 0)
    lakes = mesh.citylab.get("projects/citylab.citylab-berlin-bathing-water")
    assert lakes.title == LocalizedText(de="Badestellen Berlin", en="Berlin's swimming lakes & rivers")
    assert (lakes.status, lakes.visibility) == (pb.PROJECT_STATUS_COMPLETED, pb.VISIBILITY_PUBLIC)
    assert (lakes.period.start_date, lakes.period.end_date) == ("2018-01-01", "2018-06-01")
    assert mesh.citylab.get("projects/citylab.citylab-berlin-h3ll0w0rld").status == pb.PROJECT_STATUS_UNSPECIFIED
    assert mesh.citylab.search("Badestelle")[0] == mesh.citylab.search("swimming lake")[0] == lakes.name
    assert counts(imported(mesh.citylab, path)) == (0, 0, 36, 0)


@needs_data
def test_world_bank_rows_are_imported_and_contradictions_are_told(mesh: Mesh, tmp_path: Path) -> None:
    """Rows that end before they begin are told with their line; the others stand, also the second time."""
    import gzip  # noqa: PLC0415

    with gzip.open(DATA / "worldbank_projects_2025-03-31.csv.gz", "rt", encoding="utf-8-sig", newline="") as source:
        part = "".join(line for line, _ in zip(source, range(1700), strict=False))
    path = tmp_path / "part.csv"
    path.write_text(part, newline="")
    report = imported(mesh.citylab, path)
    assert report.failed == 1
    assert (report.errors[0].line, report.errors[0].message) == (1637, "ends before it begins")
    assert report.created > 1300
    project = mesh.citylab.get("projects/citylab.worldbank-p000001")
    assert project.status == pb.PROJECT_STATUS_COMPLETED
    assert project.period.start_date == "1995-09-14"
    assert counts(imported(mesh.citylab, path)) == (0, 0, report.created, 1)


def test_every_wrong_row_is_told_and_the_others_are_imported(mesh: Mesh, tmp_path: Path) -> None:
    """Line and column of each mistake, found here or by the registry; no row is imported in part."""
    text = (
        "id,name,status,from,to\n"
        "1,Eins,COMPLETED,2020,2021\n"
        "2,Zwei,UNHEARD,gestern,2021\n"
        ',"Ohne\nKennung",,,\n'
        "4,Vier,,2022,2021\n"
        "5,,,,\n"
        "6,Sechs\n"
        "7,Sieben,,2021-02-30,\n"
        "8,Acht,,2021-02-28T00:00:00Z,\n"
    )
    report = imported(mesh.citylab, written(tmp_path / "list.csv", text), SMALL)
    found = {(error.line, error.column) for error in report.errors}
    assert found == {(3, "status"), (3, "from"), (4, "id"), (6, "to"), (7, "name"), (8, ""), (9, "from")}
    assert (report.created, report.failed) == (2, 6)
    assert mesh.citylab.names() == ["projects/citylab.test-1", "projects/citylab.test-8"]


def test_a_newer_file_changes_what_it_changed(mesh: Mesh, tmp_path: Path) -> None:
    """Only mapped fields change; what was recorded by hand stays, and so do projects that the file does not name."""
    first = written(tmp_path / "a.csv", "id,name,status,from,to\n1,Eins,,2020,\n2,Zwei,,,\n")
    imported(mesh.citylab, first, SMALL)
    name = "projects/citylab.test-1"
    mesh.citylab.update(pb.Project(name=name, title=LocalizedText(en="One")), "title.en")
    newer = written(tmp_path / "b.csv", "id;name;status;from;to\n1;Neu;COMPLETED;;\n3;Drei;;;\n")
    assert counts(imported(mesh.citylab, newer, SMALL)) == (1, 1, 0, 0)
    changed = mesh.citylab.get(name)
    assert changed.title == LocalizedText(de="Neu", en="One")
    assert changed.status == pb.PROJECT_STATUS_COMPLETED
    assert not changed.HasField("period")
    assert len(mesh.citylab.names()) == 3


def test_a_project_is_known_by_its_identifier_whatever_its_name(mesh: Mesh, tmp_path: Path) -> None:
    """A project recorded by hand is updated; one whose name the import would take does not stand in its way."""
    by_hand = mesh.citylab.create("by-hand", identifiers=[{"scheme": "test", "id": "1"}])
    mesh.citylab.create("test-2")
    path = written(tmp_path / "a.csv", "id,name,status,from,to\n1,Eins,,,\n2,Zwei,,,\n")
    assert counts(imported(mesh.citylab, path, SMALL)) == (1, 1, 0, 0)
    assert mesh.citylab.get(by_hand.name).title.de == "Eins"
    assert mesh.citylab.names(filter="identifiers.id = 2") != ["projects/citylab.test-2"]


def test_an_identifier_twice_in_a_file_is_one_project(mesh: Mesh, tmp_path: Path) -> None:
    """The later row counts."""
    path = written(tmp_path / "a.csv", "id,name,status,from,to\n1,Eins,,,\n2,Zwei,,,\n1,Neu,,,\n")
    assert counts(imported(mesh.citylab, path, SMALL)) == (2, 0, 0, 0)
    assert mesh.citylab.get("projects/citylab.test-1").title.de == "Neu"


def test_json_that_breaks_off_is_imported_up_to_there(mesh: Mesh, tmp_path: Path) -> None:
    """What could be read is imported, and the line where reading ended is told."""
    record = {"id": "1", "name": "Eins", "status": "", "from": "", "to": ""}
    path = written(tmp_path / "a.json", f"[{json.dumps(record)},\n" + '{"id": "2", "name": "Zw')
    report = imported(mesh.citylab, path, SMALL)
    assert (report.created, report.failed, report.errors[0].line) == (1, 1, 2)


def test_who_may_not_record_is_told_once(mesh: Mesh, tmp_path: Path) -> None:
    """A caller without the permission is refused as a whole, not row by row."""
    from verbund.sdk.refusals import Refused  # noqa: PLC0415

    viewer = mesh.member("citylab", roles=("viewer",))
    path = written(tmp_path / "a.csv", "id,name,status,from,to\n1,Eins,,,\n")
    with pytest.raises(Refused) as refused:
        imported(viewer, path, SMALL)
    assert refused.value.reason == "PERMISSION_MISSING"
