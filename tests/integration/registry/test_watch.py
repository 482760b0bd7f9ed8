"""The feed over the wire: each watcher gets what it may see, in order, exactly once, also over breaks."""

import itertools
import random
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import grpc
import pytest
from verbund.clock import wall_clock
from verbund.database.database import Database
from verbund.feeds.cursors import Cursor
from verbund.feeds.reading import Rest
from verbund.registry.changes.domain import Change
from verbund.registry.changes.messages import TOKENS
from verbund.registry.changes.store import ChangeStore
from verbund.registry.projects.domain import Project
from verbund.registry.projects.store import ProjectStore
from verbund.registry.v1 import change_service_pb2 as pb
from verbund.registry.v1 import project_service_pb2 as projects
from verbund.registry.v1.types_pb2 import LocalizedText
from verbund.resources.names import OrganisationName, ProjectName
from verbund.serving.call import Call

from tests.integration.registry.mesh import Member, Mesh, running
from tests.support.members import environment, refused, worker_process

IMPLEMENTATION = projects.PROJECT_STATUS_IMPLEMENTATION
PARTNER = projects.PARTY_ROLE_PARTNER
CREATED, UPDATED = pb.CHANGE_TYPE_CREATED, pb.CHANGE_TYPE_UPDATED
DELETED, HIDDEN = pb.CHANGE_TYPE_DELETED, pb.CHANGE_TYPE_HIDDEN
INTERNAL, SHARED, PUBLIC = projects.VISIBILITY_INTERNAL, projects.VISIBILITY_SHARED, projects.VISIBILITY_PUBLIC
CITYLAB = OrganisationName("organisations/citylab")
STREAM_SECONDS = 60


@contextmanager
def watching(member: Member, token: str = "", *resources: str) -> Iterator[Any]:
    """An open watch whose first message has arrived."""
    request = pb.WatchChangesRequest(resume_token=token, resources=resources)
    stream = member.changes.WatchChanges(request, timeout=STREAM_SECONDS)
    try:
        first = next(stream)
        assert first.HasField("started")
        assert first.resume_token
        yield stream
    finally:
        stream.cancel()


def take(stream: Any, count: int) -> list[tuple[int, str]]:
    """The next changes: what is told, of which resource."""
    messages = [next(stream) for _ in range(count)]
    return [(message.change.type, message.change.resource.rpartition(".")[2]) for message in messages]


def test_a_watcher_gets_what_changes_from_now_on(mesh: Mesh) -> None:
    """What was there before is not told; each later change is, with the resource after it."""
    mesh.citylab.create("old")
    with watching(mesh.citylab) as stream:
        created = mesh.citylab.create("new")
        updated = mesh.citylab.update(projects.Project(name=created.name, status=IMPLEMENTATION), "status")
        mesh.citylab.delete(created.name)
        messages = [next(stream) for _ in range(3)]
    assert [message.change.type for message in messages] == [CREATED, UPDATED, DELETED]
    assert [message.change.project for message in messages[:2]] == [created, updated]
    assert list(messages[1].change.changed_paths) == ["status"]
    assert not messages[2].change.HasField("after")


def test_each_watcher_is_told_what_it_may_see(mesh: Mesh) -> None:
    """Who newly sees a project is told CREATED, who no longer does HIDDEN without content, a stranger nothing."""
    with watching(mesh.citylab) as owner, watching(mesh.district) as party, watching(mesh.stranger) as stranger:
        parties = [projects.Party(organisation=mesh.district.organisation, title="BA", roles=[PARTNER])]
        project = mesh.citylab.create("p", parties=parties)
        for visibility in (SHARED, PUBLIC, SHARED, INTERNAL):
            mesh.citylab.update(projects.Project(name=project.name, visibility=visibility), "visibility")
        mesh.citylab.delete(project.name)
        mesh.citylab.create("end", visibility=PUBLIC)
        assert [kind for kind, _ in take(owner, 7)] == [CREATED, *[UPDATED] * 4, DELETED, CREATED]
        assert [kind for kind, _ in take(party, 5)] == [CREATED, UPDATED, UPDATED, HIDDEN, CREATED]
        assert take(stranger, 3) == [(CREATED, "p"), (HIDDEN, "p"), (CREATED, "end")]


def test_a_watch_of_some_resources_is_told_of_them_only(mesh: Mesh) -> None:
    """A resource that may not be seen can be named, and tells nothing until it may."""
    name = "projects/citylab.b"
    with watching(mesh.stranger, "", name) as stream:
        mesh.citylab.create("a", visibility=PUBLIC)
        mesh.citylab.create("b")
        mesh.citylab.update(projects.Project(name=name, visibility=PUBLIC), "visibility")
        assert take(stream, 1) == [(CREATED, "b")]


@pytest.mark.parametrize("kept", [True, False])
def test_what_was_withdrawn_is_not_shown_again(mesh: Mesh, *, kept: bool) -> None:
    """An old or a made-up token leads to what may be seen now: of the rest comes that it went, from memory or table."""
    with watching(mesh.citylab) if kept else nullcontext() as memory:
        mesh.citylab.create("begin", visibility=PUBLIC)
        token = next(memory).resume_token if memory else TOKENS.token_of(Cursor(0, 0))
        for project_id in ("p", "q"):
            created = mesh.citylab.create(project_id, visibility=PUBLIC)
            mesh.citylab.update(projects.Project(name=created.name, status=IMPLEMENTATION), "status")
        mesh.citylab.update(projects.Project(name="projects/citylab.p", visibility=INTERNAL), "visibility")
        mesh.citylab.delete("projects/citylab.q")
        mesh.citylab.create("end", visibility=PUBLIC)
        if memory:
            take(memory, 7)
        with watching(mesh.stranger, token) as resumed:
            expected = [*([] if kept else [(CREATED, "begin")]), (HIDDEN, "p"), (DELETED, "q"), (CREATED, "end")]
            assert take(resumed, len(expected)) == expected


def test_a_token_that_this_feed_never_gave_is_refused(mesh: Mesh) -> None:
    """Nonsense, a cut token, and one of a feed that is further on are all CURSOR_INVALID."""
    with watching(mesh.citylab) as stream:
        mesh.citylab.create("p")
        token = next(stream).resume_token
    for wrong in ("x", token[:-3], TOKENS.token_of(Cursor(2**40, 1))):
        with refused("CURSOR_INVALID"):
            next(mesh.citylab.changes.WatchChanges(pb.WatchChangesRequest(resume_token=wrong), timeout=STREAM_SECONDS))


class Writer:
    """Writes as the service does, in transactions that the test can hold open."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.projects = ProjectStore()
        self.changes = ChangeStore()

    def call(self) -> Call:
        """A call of CityLAB."""
        return Call.internal("test", organisation=CITYLAB)

    def create(self, tx: Any, last: str) -> None:
        """Records a project."""
        request = projects.CreateProjectRequest(project_id=last, project=projects.Project(title=LocalizedText(de=last)))
        project = Project.created(request, owner=CITYLAB, at=wall_clock())
        self.projects.insert(tx, project)
        self.changes.record(tx, Change.created(project, self.call()))

    def update(self, tx: Any, last: str, title: str) -> None:
        """Changes a project's title."""
        before = self.projects.lock(tx, ProjectName(f"projects/citylab.{last}"), CITYLAB)
        given = projects.Project(title=LocalizedText(de=title))
        after = before.updated(given, projects.UpdateProjectRequest().update_mask, call=self.call(), at=wall_clock())
        self.projects.save(tx, before, after)
        self.changes.record(tx, Change.updated(before, after, self.call()))


@pytest.fixture
def writer(mesh: Mesh) -> Iterator[Writer]:
    """A writer of the service's own role."""
    database = Database(mesh.dsn, role="registry_service", schema="registry", pool_size=4)
    yield Writer(database)
    database.close()


def test_a_page_of_the_feed_is_bounded_in_bytes(mesh: Mesh, writer: Writer) -> None:
    """Large changes come a few at a time, at least one, and none is lost between two pages."""
    mesh.citylab.create("a")
    mesh.citylab.create("b")
    changes = ChangeStore()
    with writer.database.read(writer.call()) as rows:
        first, rest = changes.backlog(rows, Cursor(0, 0), size=10, bytes_max=1)
        second, end = changes.backlog(rows, first[-1].cursor, size=10, bytes_max=1)
    assert [entry.change.resource for entry in [*first, *second]] == ["projects/citylab.a", "projects/citylab.b"]
    assert (rest, end) == (Rest.MORE, Rest.NOTHING)


def test_a_late_commit_is_not_skipped(mesh: Mesh, writer: Writer) -> None:
    """A change whose transaction began first and commits last comes first: no token is given that it could precede."""
    with watching(mesh.citylab) as stream:
        with writer.database.transaction(writer.call()) as late:
            writer.create(late, "late")
            mesh.citylab.create("early")  # commits while `late` is open
            held = threading.Event()
            arrived: list[tuple[int, str]] = []

            def read() -> None:
                arrived.extend(take(stream, 2))
                held.set()

            reader = threading.Thread(target=read)
            reader.start()
            assert not held.wait(0.3)
            assert arrived == []
        reader.join(timeout=20)
        assert arrived == [(CREATED, "late"), (CREATED, "early")]


def test_a_watch_resumed_beside_an_open_transaction_misses_nothing(mesh: Mesh, writer: Writer) -> None:
    """A token got before a late commit leads to it, whether memory or the table answers."""
    with watching(mesh.citylab) as stream:
        mesh.citylab.create("a")
        token = next(stream).resume_token
    with writer.database.transaction(writer.call()) as late:
        writer.create(late, "late")
        mesh.citylab.create("early")
        with watching(mesh.citylab, token) as resumed:
            writer.database.ready()
    with watching(mesh.citylab, token) as resumed:
        assert take(resumed, 2) == [(CREATED, "late"), (CREATED, "early")]


def test_changes_of_one_resource_come_in_the_order_they_were_made(mesh: Mesh, writer: Writer) -> None:
    """Also where the transaction of the second began before that of the first."""
    project = mesh.citylab.create("p")
    with watching(mesh.citylab) as stream:
        with writer.database.transaction(writer.call()) as second:
            second.one("SELECT pg_current_xact_id()::text AS id")  # takes its place in the order of transactions
            mesh.citylab.update(projects.Project(name=project.name, title=LocalizedText(de="eins")), "title")
            writer.update(second, "p", "zwei")
        titles = [next(stream).change.project.title.de for _ in range(2)]
    assert titles == ["eins", "zwei"]
    history = mesh.citylab.changes.ListChanges(pb.ListChangesRequest(parent=project.name)).changes
    assert [change.project.title.de for change in history][:2] == ["zwei", "eins"]


def test_a_drained_worker_tells_where_to_go_on(database_dsn: str, tmp_path: Path) -> None:
    """Each of many watches ends with DRAIN and a token that leads another worker to what it has not had."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with running(database_dsn, tmp_path / "b", number=1) as other, ThreadPoolExecutor(50) as pool:
        with running(database_dsn, tmp_path / "a") as mesh:
            open_watch = mesh.citylab.changes.WatchChanges
            streams = [open_watch(pb.WatchChangesRequest(), timeout=STREAM_SECONDS) for _ in range(50)]
            assert all(next(stream).HasField("started") for stream in streams)
            readers = [pool.submit(list, stream) for stream in streams]
            mesh.citylab.create("before")
        other.citylab.create("after")
        for reader in readers:
            *before, end = reader.result()
            assert end.end.cause == pb.WATCH_END_CAUSE_DRAIN
            names = [message.change.resource.rpartition(".")[2] for message in before]
            with watching(other.citylab, end.resume_token) as resumed:
                names += [last for _, last in take(resumed, 2 - len(names))]
            assert names == ["before", "after"]


def test_a_long_backlog_arrives_whole_and_in_order(mesh: Mesh, writer: Writer) -> None:
    """A watcher that was away for more than memory and queue hold gets every change once, and then the new ones."""
    with watching(mesh.citylab) as stream:
        mesh.citylab.create("first")
        token = next(stream).resume_token
    count = 1_500
    with writer.database.transaction(writer.call()) as tx:
        for number in range(count):
            writer.create(tx, f"p{number}")
    with watching(mesh.citylab, token) as resumed:
        mesh.citylab.create("last")
        expected = [*(f"p{number}" for number in range(count)), "last"]
        assert [last for _, last in take(resumed, count + 1)] == expected


def test_another_worker_reads_a_backlog_in_the_order_it_was_made(database_dsn: str, tmp_path: Path) -> None:
    """A worker that has none of it in memory tells every change of many transactions once, in order."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with running(database_dsn, tmp_path / "a") as mesh:
        with watching(mesh.citylab) as stream:
            names = [mesh.citylab.create(f"p{number}").name for number in range(250)]
            token = next(stream).resume_token
        with running(database_dsn, tmp_path / "b", number=1) as other, watching(other.citylab, token) as resumed:
            assert [next(resumed).change.resource for _ in names[1:]] == names[1:]


def test_a_watcher_that_resumes_over_kills_gets_each_change_once(mesh: Mesh, tmp_path: Path) -> None:
    """Killed workers, broken streams, parallel writers: what arrives is exactly what was acknowledged, in order."""
    random.seed(3)
    stated = environment(mesh.dsn, mesh.issuer, tmp_path)
    done = threading.Event()
    acknowledged: list[str] = []

    def write(name: str) -> None:
        for number in itertools.count():
            if done.is_set():
                return
            acknowledged.append(mesh.citylab.create(f"{name}{number}").name)

    got: list[str] = []
    with watching(mesh.citylab) as stream:
        mesh.citylab.create("first")
        token = next(stream).resume_token
    with ThreadPoolExecutor(3) as pool:
        for name in ("x", "y", "z"):
            pool.submit(write, name)
        try:
            for number in range(3):
                with worker_process("registry", tmp_path, number, stated) as (process, channel):
                    member = Member(channel, mesh.issuer.token("citylab"), "citylab")
                    for attempt in range(6):
                        token = follow(member, token, got, random.randrange(1, 60), process if attempt == 5 else None)
        finally:
            done.set()
    with watching(mesh.citylab, token) as stream:
        while len(got) < len(acknowledged):
            got.append(next(stream).change.resource)
    assert sorted(got) == sorted(acknowledged)
    for name in ("x", "y", "z"):
        own = [resource for resource in got if resource.startswith(f"projects/citylab.{name}")]
        assert own == [f"projects/citylab.{name}{number}" for number in range(len(own))]


def follow(member: Member, token: str, got: list[str], count: int, victim: subprocess.Popen[bytes] | None) -> str:
    """Takes some changes, then breaks off, or has the worker killed; the token of the last one that arrived."""
    stream = member.changes.WatchChanges(pb.WatchChangesRequest(resume_token=token), timeout=STREAM_SECONDS)
    for taken in itertools.count():
        if taken == count and victim is None:
            stream.cancel()
            return token
        if taken == count and victim is not None:
            victim.kill()
        try:
            message = next(stream)
        except (grpc.RpcError, StopIteration):
            return token
        token = message.resume_token
        if message.HasField("change"):
            got.append(message.change.resource)
    return token
