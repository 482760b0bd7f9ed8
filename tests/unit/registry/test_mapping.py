"""Mappings: what a file's columns become, and what cannot become anything."""

from pathlib import Path
from typing import Any

import pytest
from verbund.registry.imports.conversion import Entry, RowError, entries_of
from verbund.registry.imports.mapping import Mapped, MappingError, detected, read, shipped
from verbund.registry.imports.reading import Row
from verbund.registry.v1 import project_service_pb2 as pb
from verbund.registry.v1.types_pb2 import Identifier, LocalizedText

STATED: dict[str, Any] = {
    "identifier": {"scheme": "test", "column": "id"},
    "fields": {
        "title.de": ["name", "short"],
        "status": {"column": "state", "values": {"on": "IMPLEMENTATION", "?": ""}},
    },
}


def converted(stated: dict[str, Any], *rows: dict[str, str]) -> tuple[list[Entry], list[RowError]]:
    """The projects of some rows, and what is wrong with them."""
    wrong: list[RowError] = []
    numbered = (Row(line, values) for line, values in enumerate(rows, start=2))
    return list(entries_of(numbered, Mapped.of(stated), wrong)), wrong


def test_a_row_becomes_a_project() -> None:
    """The first column that is not empty counts; texts lose the white space around them."""
    (entry,), wrong = converted(STATED, {"id": " P 1 ", "name": "", "short": " Kurz ", "state": "on"})
    assert not wrong
    assert entry.project == pb.Project(
        title=LocalizedText(de="Kurz"),
        status=pb.PROJECT_STATUS_IMPLEMENTATION,
        identifiers=[Identifier(scheme="test", id="P 1")],
    )
    assert entry.project_id == "test-p-1"


def test_what_is_not_known_stays_unknown() -> None:
    """A value that the mapping knows to say nothing is no status; one that it does not know is told."""
    entries, wrong = converted(STATED, *({"id": state, "name": "N", "state": state} for state in ("?", "on", "off")))
    assert [entry.project.status for entry in entries] == [0, 3]
    assert [(error.line, error.column) for error in wrong] == [(4, "state")]
    (entry,), _ = converted(STATED, {"id": "1", "name": "N", "state": ""})
    assert entry.project.status == 0


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("2022", "2022"),
        ("2022-03", "2022-03"),
        ("2022-03-01", "2022-03-01"),
        ("2022-03-01T23:00:00Z", "2022-03-01"),
        ("", ""),
    ],
)
def test_dates_keep_their_exactness(text: str, date: str) -> None:
    """A year stays a year; a time of day is left out."""
    stated = STATED | {"fields": {"title.de": "name", "period.start_date": "from"}}
    (entry,), _ = converted(stated, {"id": "1", "name": "N", "from": text})
    assert entry.project.period.start_date == date


def test_rows_of_one_identifier_become_one_project() -> None:
    """Neighbours are merged: languages side by side, sources once each; what both state, the first one states."""
    stated = {
        "identifier": {"scheme": "test", "column": "path", "pattern": "^p/([^/]+)/"},
        "fields": {"title.{lang}": "title", "status": "status"},
        "sources": [{"uri": "https://example.org/{path}"}, {"uri": "https://example.org/"}],
    }
    rows = [
        {"path": "p/a/de", "lang": "de", "title": "Eins", "status": ""},
        {"path": "p/a/en", "lang": "en", "title": "One", "status": "COMPLETED"},
        {"path": "p/b/de", "lang": "de", "title": "Zwei", "status": ""},
        {"path": "p/c/fr", "lang": "fr", "title": "Trois", "status": ""},
        {"path": "elsewhere", "lang": "de", "title": "Vier", "status": ""},
    ]
    entries, wrong = converted(stated, *rows)
    assert [entry.project.title for entry in entries] == [LocalizedText(de="Eins", en="One"), LocalizedText(de="Zwei")]
    assert entries[0].project.status == pb.PROJECT_STATUS_COMPLETED
    assert [source.uri[20:] for source in entries[0].project.sources] == ["p/a/de", "", "p/a/en"]
    assert [(error.line, error.column) for error in wrong] == [(5, "lang"), (6, "path")]


@pytest.mark.parametrize(
    "stated",
    [
        {},
        {"identifier": {"scheme": "test"}, "fields": {"title.de": "a"}},
        {"identifier": {"scheme": "test", "column": "id"}, "fields": {}},
        {"identifier": {"scheme": "test", "column": "id"}, "fields": {"title.de": "a", "colour": "b"}},
        {"identifier": {"scheme": "test", "column": "id"}, "fields": {"title.de": {"nothing": 1}}},
        {"identifier": {"scheme": "test", "column": "id", "pattern": "("}, "fields": {"title.de": "a"}},
    ],
)
def test_a_mapping_that_does_not_fit_is_refused_before_the_first_row(stated: dict[str, Any]) -> None:
    """No identifier, no title, unknown fields, wrong patterns."""
    with pytest.raises(MappingError):
        Mapped.of(stated)


def test_a_mapping_is_read_from_toml_and_json(tmp_path: Path) -> None:
    """Both state the same; a file that is neither is refused by name."""
    toml, json = tmp_path / "m.toml", tmp_path / "m.json"
    toml.write_text('[identifier]\nscheme = "test"\ncolumn = "id"\n[fields]\n"title.de" = "name"\n')
    json.write_text('{"identifier": {"scheme": "test", "column": "id"}, "fields": {"title.de": "name"}}')
    assert read(toml) == read(json)
    for wrong in ("m.toml.missing", "wrong.json"):
        (tmp_path / "wrong.json").write_text("{")
        with pytest.raises(MappingError, match=wrong):
            read(tmp_path / wrong)


def test_the_shipped_mappings_are_found_by_their_columns() -> None:
    """Each is recognised by the columns of its file, and by no others."""
    known = shipped()
    assert set(known) == {"citylab-berlin", "worldbank"}
    for mapped in known.values():
        assert detected([*mapped.detect, "another"]) == mapped
    assert detected(["id", "name"]) is None
