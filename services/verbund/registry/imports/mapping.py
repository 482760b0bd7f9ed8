"""How a file's columns become fields of projects: read from TOML or JSON, checked before the first row.

[identifier]
scheme = "worldbank"
column = "id"                          # pattern = "…(…)…" takes a part of it
[fields]
"title.en" = "project_name"            # or several columns: the first that is not empty
status = { column = "status", values = { Active = "IMPLEMENTATION", Unclear = "" } }
visibility = { constant = "PUBLIC" }
"title.{lang}" = "title"               # a column's value as part of the field's name
[[parties]]
title = { column = "impagency" }
roles = ["PUBLIC_AUTHORITY"]
[[sources]]
uri = "https://example.org/projects/{id}"
"""

import json
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import Any, Self

from verbund.registry.projects.domain import Project

TEXTS = ("title.de", "title.en", "description.de", "description.en")
DATES = ("period.start_date", "period.end_date")
CODES = ("status", "visibility")
OTHERS = ("strategy", "measure")
FIELDS = (*TEXTS, *CODES, *DATES, *OTHERS)
PLACEHOLDER = re.compile(r"\{([^{}]+)\}")
SHIPPED = ".toml"


class MappingError(ValueError):
    """A mapping does not fit: the message says what of it."""


@dataclass(frozen=True, slots=True)
class Cell:
    """Where a value comes from: the first of some columns that is not empty, or a constant; then translated."""

    columns: tuple[str, ...] = ()
    constant: str = ""
    values: Mapping[str, str] | None = None

    @classmethod
    def of(cls, stated: Any) -> Self:
        """As a mapping states it; raises MappingError."""
        match stated:
            case str():
                return cls(columns=(stated,))
            case list():
                return cls(columns=tuple(map(str, stated)))
            case {"constant": constant}:
                return cls(constant=str(constant))
            case {"column": column, **rest}:
                columns = tuple(map(str, column)) if isinstance(column, list) else (str(column),)
                values = rest.get("values")
                return cls(columns=columns, values=values if isinstance(values, dict) else None)
        raise MappingError(f"{stated!r} is neither a column, nor columns, nor a constant")


@dataclass(frozen=True, slots=True)
class Mapped:
    """The mapping of a file's columns."""

    scheme: str
    column: str
    pattern: re.Pattern[str] | None
    fields: Mapping[str, Cell]
    parties: Sequence[Mapping[str, Any]] = ()
    sources: Sequence[Mapping[str, str]] = ()
    detect: frozenset[str] = field(default=frozenset())

    @classmethod
    def of(cls, stated: Mapping[str, Any]) -> Self:
        """As a file states it; raises MappingError."""
        try:
            identifier = stated["identifier"]
            pattern = re.compile(identifier["pattern"]) if "pattern" in identifier else None
            mapped = cls(
                scheme=identifier["scheme"],
                column=identifier["column"],
                pattern=pattern,
                fields={name: Cell.of(cell) for name, cell in stated.get("fields", {}).items()},
                parties=tuple(stated.get("parties", ())),
                sources=tuple(stated.get("sources", ())),
                detect=frozenset(stated.get("detect", ())),
            )
        except (KeyError, TypeError, AttributeError, re.error) as error:
            raise MappingError(f"the mapping lacks or misstates {error}") from None
        mapped.check()
        return mapped

    def check(self) -> None:
        """Raises MappingError for a field that projects do not have."""
        for name in self.fields:
            if PLACEHOLDER.sub("de", name) not in FIELDS:
                raise MappingError(f"there is no field {name!r}; there are {', '.join(FIELDS)}")
        if not any(name.startswith("title.") for name in self.fields):
            raise MappingError("the mapping gives no title: map title.de or title.en")

    def with_fields(self, extra: Mapping[str, str]) -> Self:
        """The mapping with some fields from other columns: `{"title.de": "project_name"}`."""
        changed = replace(self, fields={**self.fields, **{name: Cell.of(column) for name, column in extra.items()}})
        changed.check()
        return changed

    def columns(self) -> set[str]:
        """The columns that it reads."""
        cells = [*self.fields.values(), *(Cell.of(party["title"]) for party in self.parties)]
        texts = [*self.fields, *(source["uri"] for source in self.sources)]
        named = {column for text in texts for column in PLACEHOLDER.findall(text)}
        return {self.column} | named | {column for cell in cells for column in cell.columns}

    def paths(self, names: Iterable[str]) -> list[str]:
        """The paths of an update of what this mapping says; `names` are its fields with their columns filled in."""
        lists = [name for name, stated in (("parties", self.parties), ("sources", self.sources)) if stated]
        return [path for path in Project.changeable if path in {*names, *lists}]


def shipped() -> dict[str, Mapped]:
    """The mappings that come with the registry, by name."""
    folder = files("verbund.registry.imports").joinpath("mappings")
    found = {entry.name.removesuffix(SHIPPED): entry for entry in folder.iterdir() if entry.name.endswith(SHIPPED)}
    return {name: Mapped.of(tomllib.loads(found[name].read_text())) for name in sorted(found)}


def read(path: Path) -> Mapped:
    """The mapping in a TOML or JSON file; raises MappingError."""
    try:
        text = path.read_text()
        return Mapped.of(json.loads(text) if path.suffix == ".json" else tomllib.loads(text))
    except (OSError, ValueError) as error:
        raise MappingError(f"{path}: {error}") from None


def detected(columns: Iterable[str]) -> Mapped | None:
    """The shipped mapping that was made for a file with these columns."""
    present = frozenset(columns)
    return next((each for each in shipped().values() if each.detect and each.detect <= present), None)
