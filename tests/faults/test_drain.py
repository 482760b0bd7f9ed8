"""A worker that is told to stop, while hundreds watch it and others change what they watch."""

import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from verbund.registry.v1 import change_service_pb2 as pb
from verbund.registry.v1.change_service_pb2_grpc import ChangeServiceStub

from tests.support.home import Up, mesh_up
from tests.support.load import (
    UNLIMITED,
    WAIT_SECONDS_MAX,
    Load,
    System,
    admitted,
    get_token,
    kill,
    pids,
    read_over_grpc,
    wait_until,
    writers,
)

pytestmark = [pytest.mark.e2e, pytest.mark.faults, pytest.mark.xdist_group("faults-drain")]

WATCHES = 500
CONNECTIONS = 10  # the gateway takes a hundred streams on each
STREAM_SECONDS_MAX = 100


@pytest.fixture(scope="module")
def up() -> Iterator[Up]:
    """A mesh whose workers these tests stop."""
    with mesh_up(**UNLIMITED) as up:
        yield up


@pytest.fixture(scope="module")
def system(up: Up) -> Iterator[System]:
    """Who watches, reads and writes."""
    with admitted(up, watcher="system") as (system,):
        yield system


class Watcher:
    """Follows all changes until the one of `last`, and resumes wherever it is told to."""

    def __init__(self, changes: ChangeServiceStub, last: str) -> None:
        self.seen: list[str] = []
        self.causes: list[int] = []
        self.started = threading.Event()
        self._changes = changes
        self._last = last
        self._token = ""

    def run(self) -> None:
        """Reads stream after stream."""
        while self._last not in self.seen:
            request = pb.WatchChangesRequest(resume_token=self._token)
            for message in self._changes.WatchChanges(request, timeout=STREAM_SECONDS_MAX):
                self._take(message)
                if self._last in self.seen:
                    break

    def _take(self, message: pb.WatchChangesResponse) -> None:
        assert message.resume_token
        self._token = message.resume_token
        if message.HasField("change"):
            self.seen.append(message.change.resource)
        elif message.HasField("end"):
            self.causes.append(message.end.cause)
        else:
            self.started.set()


def test_five_hundred_watches_go_on_elsewhere_when_their_worker_stops(up: Up, system: System) -> None:
    """SIGTERM ends the worker in time. Each of its watchers is told so with a resume token, and sees every change
    once and in order, though changes go on all the time.
    """
    last = "projects/watcher.last"
    pair = writers(system, "drain")
    with Load(read_over_grpc(system, system.create("first").name)) as reads:
        reads.go_on(50)  # by then the gateway knows both workers
    with ExitStack() as stack, ThreadPoolExecutor(WATCHES) as pool:
        channels = [stack.enter_context(system.new_channel()) for _ in range(CONNECTIONS)]
        watchers = [Watcher(ChangeServiceStub(channels[number % CONNECTIONS]), last) for number in range(WATCHES)]
        followed = [pool.submit(watcher.run) for watcher in watchers]
        for watcher, following in zip(watchers, followed, strict=True):
            assert watcher.started.wait(WAIT_SECONDS_MAX), following
        with Load(*pair, pause_seconds=0.05) as writes:
            writes.go_on(5)
            old = pids(up)["registry-0"]
            os.kill(old, signal.SIGTERM)
            wait_until(lambda: pids(up).get("registry-0") not in (None, old), "the worker did not end in time")
            writes.go_on(5)
        system.create("last")
        for following in followed:
            following.result()
    expected = sorted([*pair[0].names, *pair[1].names, last])
    told = [watcher.causes for watcher in watchers]
    assert {tuple(causes) for causes in told} == {(), (pb.WATCH_END_CAUSE_DRAIN,)}
    assert sum(bool(causes) for causes in told) > WATCHES / 10
    assert all(sorted(watcher.seen) == expected for watcher in watchers)
    assert all(watcher.seen == watchers[0].seen for watcher in watchers)


@pytest.mark.parametrize("name", ["identity-0", "identity-1", "registry-0", "registry-1"])
def test_a_worker_that_stops_in_order_costs_nobody_a_call(up: Up, system: System, name: str) -> None:
    """Neither reads, nor writes, nor requests for tokens are refused while a worker is replaced."""
    pair = writers(system, f"stop-{name}")
    reader = read_over_grpc(system, system.create(f"read-{name}").name)
    with Load(*pair, reader, get_token(system)) as load:
        load.go_on()
        kill(up, name, signal.SIGTERM)
        load.go_on()
    assert load.failures == []
