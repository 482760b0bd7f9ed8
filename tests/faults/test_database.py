"""PostgreSQL is down for a while, or does not answer: callers are told so in time, and nobody starts anything anew."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from google.rpc import code_pb2
from verbund.registry.v1 import change_service_pb2 as changes
from verbund.registry.v1 import project_service_pb2 as pb

from tests.support.asks import DIALECTS, creating, dialects, get
from tests.support.dialects import info, retry_seconds
from tests.support.home import Up, mesh_up
from tests.support.load import (
    UNLIMITED,
    Load,
    System,
    admitted,
    attempt,
    creation,
    get_token,
    pids,
    read_over_grpc,
    read_over_json,
    wait_until,
    writers,
)

pytestmark = [pytest.mark.e2e, pytest.mark.faults, pytest.mark.xdist_group("faults-database")]

DEADLINE_SECONDS = 3.0  # of the mesh; callers would wait for 20
SECONDS_MAX = 18.0


@pytest.fixture(scope="module")
def up() -> Iterator[Up]:
    """A mesh whose database these tests take away."""
    with mesh_up(**UNLIMITED, VERBUND_SERVING_DEADLINE_SECONDS_MAX=str(DEADLINE_SECONDS)) as up:
        yield up


@pytest.fixture(scope="module")
def system(up: Up) -> Iterator[System]:
    """Who reads and writes."""
    with admitted(up, builder="system") as (system,):
        yield system


@contextmanager
def down(up: Up) -> Iterator[None]:
    """PostgreSQL killed, and kept from starting by a setting that it does not take."""
    settings = up.home.resolve() / "postgresql.local.conf"
    settings.write_text("shared_buffers = nonsense\n")
    os.kill(pids(up)["postgres"], signal.SIGKILL)
    try:
        yield
    finally:
        settings.unlink()


@contextmanager
def silent(up: Up) -> Iterator[None]:
    """PostgreSQL and its children stopped: connections stand, and nothing comes back."""
    server = pids(up)["postgres"]
    children = Path(f"/proc/{server}/task/{server}/children").read_text().split()
    family = [server, *map(int, children)]
    for pid in family:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in family:
            os.kill(pid, signal.SIGCONT)


def services(up: Up) -> dict[str, int]:
    """The processes of the services."""
    return {name: pid for name, pid in pids(up).items() if name.startswith(("identity", "registry"))}


def test_while_postgresql_is_down_callers_are_told_when_to_come_back(up: Up, system: System) -> None:
    """UNAVAILABLE with RetryInfo to reads and writes, over JSON and gRPC, in time. When it is back the same processes
    answer, what was acknowledged is there, and an open watch goes on without a gap.
    """
    project = system.create("standing", pb.VISIBILITY_PUBLIC)
    watch = system.changes.WatchChanges(changes.WatchChangesRequest(), timeout=100)
    assert next(watch).HasField("started")
    pair = writers(system, "down")
    before = services(up)
    with Load(read_over_json(system, project.name), read_over_grpc(system, project.name), *pair) as load:
        load.go_on(5)
        with down(up):
            wait_until(lambda: load.failures, "nobody notices that the database is down")
            for dialect in DIALECTS.values():
                for ask in (get(project.name), creating(creation("late"))):
                    started = time.monotonic()
                    status = dialect(ask, system)
                    assert time.monotonic() - started < SECONDS_MAX
                    assert (status.code, info(status).reason) == (code_pb2.UNAVAILABLE, "UNAVAILABLE")
                    assert (info(status).metadata["retry"], retry_seconds(status) > 0) == ("true", True)
            assert system.anonymous.post("/oauth2/token", data={}).status_code in (400, 401, 503)
            assert attempt(get_token(system)) is not None
        load.go_on(5)
    assert load.reasons == {"UNAVAILABLE"}
    assert services(up) == before
    acknowledged = pair[0].names | pair[1].names
    assert acknowledged <= set(system.names())
    told: list[str] = []
    while not acknowledged <= set(told):
        message = next(watch)
        assert message.HasField("change"), message
        told.append(message.change.resource)
    assert len(told) == len(set(told))
    watch.cancel()


@dialects
def test_a_database_that_does_not_answer_holds_nobody_for_long(up: Up, system: System, dialect: str) -> None:
    """Callers are refused by the mesh's own deadline, and may repeat the call; then it goes on as before."""
    project = system.create(f"silent-{dialect}")
    before = services(up)
    with silent(up):
        started = time.monotonic()
        status = DIALECTS[dialect](get(project.name), system)
        assert time.monotonic() - started < SECONDS_MAX
        assert status.code in (code_pb2.DEADLINE_EXCEEDED, code_pb2.UNAVAILABLE)
        assert info(status).metadata["retry"] == "true"
    read = {"json": read_over_json, "grpc": read_over_grpc}[dialect](system, project.name)
    wait_until(lambda: attempt(read) is None, "the mesh does not go on")
    assert services(up) == before
