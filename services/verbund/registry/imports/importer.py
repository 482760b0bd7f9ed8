"""Records a file's projects through the mesh: calls under way in parallel, memory that does not grow with the file.

A project is known by its identifier, so that importing a file again changes nothing, and importing a newer one changes
what it changed.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any

import grpc
from google.rpc import error_details_pb2 as details

from verbund.registry.imports.conversion import Entry, RowError, entries_of
from verbund.registry.imports.mapping import Mapped, MappingError, detected
from verbund.registry.imports.reading import Row, Unreadable, opened, rows_of
from verbund.registry.records import changed_paths
from verbund.registry.v1 import project_service_pb2 as pb
from verbund.registry.v1.project_service_pb2_grpc import ProjectServiceStub
from verbund.resources import masks
from verbund.sdk.refusals import Refused

LOOKUP_MAX = 30  # identifiers in one filter, which takes 32 comparisons
FILTER_CHARACTERS_MAX = 1_900
UNDER_WAY_MAX = 32
CALL_SECONDS = 30.0
ATTEMPTS_MAX = 60
PAUSE_SECONDS = 1.0
ERRORS_MAX = 1_000  # kept; all are counted, and all are told while they happen
# What every row would be refused for: going on makes no sense.
HOPELESS = ("NO_TOKEN", "TOKEN_INVALID", "PERMISSION_MISSING", "ASSURANCE_TOO_LOW", "UNKNOWN_METHOD")


@dataclass(slots=True)
class Report:
    """What an import did. `errors` holds the first ones; `failed` counts the projects and rows that were refused."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    failed: int = 0
    seconds: float = 0.0
    errors: list[RowError] = field(default_factory=list)
    first: pb.Project | None = None  # the first project that stands as the file has it

    @property
    def done(self) -> int:
        """How many projects are settled."""
        return self.created + self.updated + self.unchanged + self.failed


def import_file(
    stub: ProjectServiceStub,
    owner: str,
    path: Path,
    *,
    mapped: Mapped | None = None,
    extra: dict[str, str] | None = None,
    told: Callable[[RowError], None] = lambda _: None,
    progress: Callable[[Report], None] = lambda _: None,
) -> Report:
    """Imports a file for its `owner`, `organisations/…`, whose token the stub's channel sends.

    Without a mapping, the shipped one is taken that was made for a file with these columns. Raises MappingError,
    OSError, and Refused where nothing can be imported at all.
    """
    with opened(path) as text:
        rows = rows_of(text)
        first = begun(rows)
        columns = set(first[0].values) if first else set()
        fitting = mapped or detected(columns)
        if fitting is None:
            raise MappingError(f"no shipped mapping is made for the columns {', '.join(sorted(columns))}")
        fitting = fitting.with_fields(extra or {})
        missing = fitting.columns() - columns
        if missing and first and not first[0].problem:
            raise MappingError(f"the file has no column {', '.join(sorted(missing))}; it has {', '.join(columns)}")
        run = Run(stub, owner, fitting, told=told, progress=progress)
        return run.all(chain(first, rows))


def begun(rows: Iterator[Row]) -> list[Row]:
    """The first row, if there is one; a file that cannot even be begun is refused as a whole."""
    try:
        return list(islice(rows, 1))
    except Unreadable as error:
        raise MappingError(f"line {error.line}: {error}") from None


@dataclass(frozen=True, slots=True)
class Pending:
    """A call under way: what it records, and how to make it again."""

    entry: Entry
    change: bool
    call: Callable[[], Any]
    future: Any


class Run:
    """One import."""

    def __init__(
        self,
        stub: ProjectServiceStub,
        owner: str,
        mapped: Mapped,
        *,
        told: Callable[[RowError], None],
        progress: Callable[[Report], None],
    ) -> None:
        self.report = Report()
        self._stub = stub
        self._owner = owner
        self._mapped = mapped
        self._told = told
        self._progress = progress
        self._pending: deque[Pending] = deque()
        self._begun = time.monotonic()

    def all(self, rows: Iterable[Row]) -> Report:
        """Imports every row."""
        wrong: list[RowError] = []
        entries = entries_of(self._readable(rows), self._mapped, wrong)
        while batch := take_batch(entries):
            self._tell(wrong)
            if {entry.identifier for entry in batch} & {pending.entry.identifier for pending in self._pending}:
                self._settle_all()
            known = self._known(batch)
            for entry in batch:
                self._record(entry, known.get(entry.identifier))
        self._tell(wrong)
        self._settle_all()
        self.report.seconds = time.monotonic() - self._begun
        self._progress(self.report)
        return self.report

    def _readable(self, rows: Iterable[Row]) -> Iterator[Row]:
        """The rows up to where the file cannot be read any more."""
        try:
            yield from rows
        except Unreadable as error:
            self._tell([RowError(error.line, "", str(error))])

    def _known(self, batch: Sequence[Entry]) -> dict[str, pb.Project]:
        """The owner's projects with these identifiers."""
        request = pb.ListProjectsRequest(page_size=1000, filter=self._filter(batch))
        found = self._patient(lambda: self._stub.ListProjects(request, timeout=CALL_SECONDS))
        return {
            identifier.id: project
            for project in found.projects
            for identifier in project.identifiers
            if identifier.scheme == self._mapped.scheme
        }

    def _filter(self, batch: Sequence[Entry]) -> str:
        named = " OR ".join(f"identifiers.id = {quoted(entry.identifier)}" for entry in batch)
        return f"owner = {quoted(self._owner)} AND identifiers.scheme = {quoted(self._mapped.scheme)} AND ({named})"

    def _record(self, entry: Entry, known: pb.Project | None) -> None:
        """Starts the call that an entry needs, if it needs one."""
        self._start(entry, known)
        while len(self._pending) > UNDER_WAY_MAX:
            self._settle(self._pending.popleft())

    def _start(self, entry: Entry, known: pb.Project | None, *, named: bool = True) -> None:
        if known is None:
            create = pb.CreateProjectRequest(project=entry.project, project_id=entry.project_id if named else "")
            self._call(entry, lambda: self._stub.CreateProject.future(create, timeout=CALL_SECONDS), change=False)
            return
        paths = self._mapped.paths(entry.columns)
        changed = pb.Project()
        changed.CopyFrom(known)
        masks.apply(changed, entry.project, paths)
        if not changed_paths(known, changed):
            self._count("unchanged", known)
            return
        entry.project.name = known.name
        update = pb.UpdateProjectRequest(project=entry.project)
        update.update_mask.paths.extend(paths)
        self._call(entry, lambda: self._stub.UpdateProject.future(update, timeout=CALL_SECONDS), change=True)

    def _call(self, entry: Entry, call: Callable[[], Any], *, change: bool) -> None:
        self._pending.append(Pending(entry, change, call, call()))

    def _settle(self, pending: Pending) -> None:
        """Waits for a call, and repeats it where that can help."""
        futures = chain([pending.future], iter(pending.call, None))
        try:
            project = self._patient(lambda: next(futures).result())
        except Refused as refused:
            self._refused(pending.entry, refused)
        else:
            self._count("updated" if pending.change else "created", project)

    def _settle_all(self) -> None:
        while self._pending:
            self._settle(self._pending.popleft())

    def _refused(self, entry: Entry, refused: Refused) -> None:
        """Tells why a project was not recorded, unless it is there: by another row, or a call that was repeated."""
        if refused.reason in HOPELESS:
            raise refused
        if refused.code == grpc.StatusCode.ALREADY_EXISTS:
            known = self._known([entry]).get(entry.identifier)
            self._start(entry, known, named=False)
            return
        violations = [
            RowError(entry.line, column_of(violation.field, entry), violation.description)
            for detail in refused.details
            if isinstance(detail, details.BadRequest)
            for violation in detail.field_violations
        ]
        self._tell(
            violations or [RowError(entry.line, "", f"{refused.reason or refused.code.name}: {refused.message}")]
        )

    def _patient(self, call: Callable[[], Any]) -> Any:
        """Makes a call, and waits as it is told where waiting helps. Raises Refused."""
        for attempt in range(ATTEMPTS_MAX):
            try:
                return call()
            except grpc.RpcError as error:
                refused = Refused.from_rpc(error)
                lost = refused.code == grpc.StatusCode.UNAVAILABLE
                if attempt + 1 == ATTEMPTS_MAX or not (refused.retry_can_help or lost):
                    raise refused from None
                time.sleep(pause_of(refused))
        raise AssertionError("unreachable")

    def _tell(self, errors: list[RowError]) -> None:
        """Tells what is wrong with rows, and forgets it."""
        self.report.failed += len({error.line for error in errors})
        for error in errors:
            self._told(error)
            if len(self.report.errors) < ERRORS_MAX:
                self.report.errors.append(error)
        errors.clear()

    def _count(self, what: str, project: pb.Project) -> None:
        setattr(self.report, what, getattr(self.report, what) + 1)
        self.report.first = self.report.first or project
        self.report.seconds = time.monotonic() - self._begun
        self._progress(self.report)


def take_batch(entries: Iterator[Entry]) -> list[Entry]:
    """The next projects whose identifiers fit into one filter."""
    batch: dict[str, Entry] = {}
    characters = 0
    for entry in islice(entries, LOOKUP_MAX):
        batch[entry.identifier] = entry  # of two with one identifier, the later counts
        characters += len(quoted(entry.identifier)) + len("identifiers.id = ") + len(" OR ")
        if characters > FILTER_CHARACTERS_MAX - 600:  # one more could be that long
            break
    return list(batch.values())


def quoted(text: str) -> str:
    """A text as a filter has it."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def column_of(path: str, entry: Entry) -> str:
    """The column that a proto path of a refusal came from."""
    inner = path.removeprefix("project.").partition("[")[0]
    near = [column for known, column in entry.columns.items() if known.startswith(inner) or inner.startswith(known)]
    return entry.columns.get(inner) or (near[-1] if near else "")


def pause_of(refused: Refused) -> float:
    """How long the mesh says to wait."""
    delays = (detail.retry_delay for detail in refused.details if isinstance(detail, details.RetryInfo))
    return max((delay.seconds + delay.nanos / 1e9 for delay in delays), default=PAUSE_SECONDS)
