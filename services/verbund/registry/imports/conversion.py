"""A row as a project: dates, codes and texts as the registry has them; what does not fit is told by line and column."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from verbund.registry.imports.mapping import CODES, DATES, FIELDS, PLACEHOLDER, Cell, Mapped
from verbund.registry.imports.reading import Row
from verbund.registry.records import span_of
from verbund.registry.v1 import project_service_pb2 as pb
from verbund.registry.v1.types_pb2 import Identifier, Source
from verbund.resources import masks

ENUMS = {"status": (pb.ProjectStatus, "PROJECT_STATUS_"), "visibility": (pb.Visibility, "VISIBILITY_")}
DATE = re.compile(r"\d{4}(-\d{2}(-\d{2})?)?")
ID_CHARACTERS_MAX = 63
IDENTIFIER_CHARACTERS_MAX = 200
TITLE_CHARACTERS_MAX = 300


@dataclass(frozen=True, slots=True)
class RowError:
    """What is wrong with a row: where it starts, which column, and what of it."""

    line: int
    column: str
    message: str

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column or '-'}: {self.message}"


class Unfit(ValueError):  # noqa: N818 - said of a value
    """A value cannot be taken; raised with its column."""

    def __init__(self, column: str, message: str) -> None:
        super().__init__(message)
        self.column = column


@dataclass(slots=True)
class Entry:
    """A project that the file states, from one row or several of one identifier."""

    line: int
    identifier: str
    project: pb.Project
    columns: dict[str, str] = field(default_factory=dict)  # where each path came from

    @property
    def project_id(self) -> str:
        """The id that the project is recorded under: its identifier, as names can have it."""
        identifier = self.project.identifiers[0]
        text = re.sub(r"[^a-z0-9]+", "-", f"{identifier.scheme}-{identifier.id}".lower()).strip("-")
        return (text if text[:1].isalpha() else f"p-{text}")[:ID_CHARACTERS_MAX].strip("-")

    def merge(self, other: "Entry") -> None:
        """Takes in what another row of the same identifier adds; what both state, the first one states."""
        missing = [path for path in other.columns if path in FIELDS and not stated_at(self.project, path)]
        masks.apply(self.project, other.project, missing)
        self.project.parties.extend(each for each in other.project.parties if each not in self.project.parties)
        self.project.sources.extend(each for each in other.project.sources if each not in self.project.sources)
        self.columns = other.columns | self.columns


def stated_at(project: pb.Project, path: str) -> bool:
    """Whether a project states a field."""
    parent, _, last = path.rpartition(".")
    return bool(getattr(getattr(project, parent) if parent else project, last))


def entries_of(rows: Iterable[Row], mapped: Mapped, wrong: list[RowError]) -> Iterator[Entry]:
    """The projects of some rows; neighbours of one identifier are one project. What is wrong is added to `wrong`."""
    held: Entry | None = None
    for row in rows:
        entry = entry_of(row, mapped, wrong)
        if entry is None:
            continue
        if held is not None and held.identifier == entry.identifier:
            held.merge(entry)
            continue
        if held is not None:
            yield held
        held = entry
    if held is not None:
        yield held


def entry_of(row: Row, mapped: Mapped, wrong: list[RowError]) -> Entry | None:
    """The project of one row; None, and every reason in `wrong`, where there is something wrong with it."""
    if row.problem:
        wrong.append(RowError(row.line, "", row.problem))
        return None
    found: list[RowError] = []
    entry = Entry(row.line, "", pb.Project())
    for step in steps(entry, row, mapped):
        try:
            step()
        except Unfit as unfit:
            found.append(RowError(row.line, unfit.column, str(unfit)))
    wrong.extend(found)
    return None if found else entry


def steps(entry: Entry, row: Row, mapped: Mapped) -> Iterator[Callable[[], None]]:
    """What makes a project of a row, one part after the other, so that each can say what is wrong."""
    yield partial(identify, entry, row, mapped)
    for name, cell in mapped.fields.items():
        yield partial(fill, entry, row, name, cell)
    yield partial(add_parties, entry, row, mapped.parties)
    yield partial(add_sources, entry, row, mapped.sources)


def identify(entry: Entry, row: Row, mapped: Mapped) -> None:
    """Gives the identifier by which a later import knows the project."""
    text = row.values.get(mapped.column, "").strip()
    if mapped.pattern is not None:
        match = mapped.pattern.search(text)
        text = (match[1] if match.re.groups else match[0]) if match else ""
    if not text:
        raise Unfit(mapped.column, "holds no identifier")
    if len(text) > IDENTIFIER_CHARACTERS_MAX:
        raise Unfit(mapped.column, f"is an identifier of more than {IDENTIFIER_CHARACTERS_MAX} characters")
    entry.identifier = text
    entry.columns["identifiers"] = mapped.column
    entry.project.identifiers.append(Identifier(scheme=mapped.scheme, id=text))


def fill(entry: Entry, row: Row, name: str, cell: Cell) -> None:
    """Sets one field."""
    path = PLACEHOLDER.sub(lambda match: row.values.get(match[1], ""), name)
    column, text = value_of(row, cell)
    if PLACEHOLDER.search(name) and path.rpartition(".")[2] not in ("de", "en"):
        raise Unfit(PLACEHOLDER.findall(name)[0], f"{path.rpartition('.')[2]!r} is neither de nor en")
    entry.columns[path] = column
    if path in CODES:
        kind, prefix = ENUMS[path]
        setattr(entry.project, path, code_of(text, kind.items(), prefix, column))
        return
    parent, _, last = path.rpartition(".")
    target = getattr(entry.project, parent) if parent else entry.project
    setattr(target, last, date_of(text, column) if path in DATES else text)


def value_of(row: Row, cell: Cell) -> tuple[str, str]:
    """A cell's column and value; raises Unfit for a value that the mapping does not know."""
    if not cell.columns:
        return "", cell.constant
    texts = ((column, row.values.get(column, "").strip()) for column in cell.columns)
    column, text = next(((column, text) for column, text in texts if text), (cell.columns[0], ""))
    if cell.values is None or not text:
        return column, text
    if text not in cell.values:
        raise Unfit(column, f"{text!r} is none of the values that the mapping knows: {', '.join(cell.values)}")
    return column, cell.values[text]


def code_of(text: str, codes: Sequence[tuple[str, int]], prefix: str, column: str) -> int:
    """The number of a code, 0 where it is not known; raises Unfit."""
    known = {name.removeprefix(prefix): number for name, number in codes}
    if text and text.upper() not in known:
        raise Unfit(column, f"{text!r} is none of {', '.join(list(known)[1:])}")
    return known[text.upper()] if text else 0


def date_of(text: str, column: str) -> str:
    """A date as exact as it is known; a time of day is left out. Raises Unfit."""
    if not text:
        return ""
    date = text
    if not DATE.fullmatch(text):
        try:
            date = datetime.fromisoformat(text).date().isoformat()
        except ValueError:
            raise Unfit(column, f"{text!r} is no date of ISO 8601") from None
    if span_of(date) is None:
        raise Unfit(column, f"{text!r} is no day of the calendar")
    return date


def add_parties(entry: Entry, row: Row, parties: Sequence[Mapping[str, object]]) -> None:
    """Adds the parties that the row names."""
    for stated in parties:
        column, title = value_of(row, Cell.of(stated["title"]))
        entry.columns.setdefault("parties", column)
        if not title:
            continue
        if len(title) > TITLE_CHARACTERS_MAX:
            raise Unfit(column, f"is longer than {TITLE_CHARACTERS_MAX} characters")
        roles = [pb.PartyRole.Value(f"PARTY_ROLE_{role}") for role in stated["roles"]]  # type: ignore[attr-defined]
        entry.project.parties.append(pb.Party(title=title, roles=roles))


def add_sources(entry: Entry, row: Row, sources: Sequence[Mapping[str, str]]) -> None:
    """Adds where the facts were read."""
    for stated in sources:
        uri = PLACEHOLDER.sub(lambda match: row.values.get(match[1], "").strip(), stated["uri"])
        entry.columns.setdefault("sources", next(iter(PLACEHOLDER.findall(stated["uri"])), ""))
        entry.project.sources.append(Source(uri=uri, as_of=stated.get("as_of", "")))
