"""Each process of the mesh is killed while callers read and write."""

from collections.abc import Iterator

import pytest
from verbund.registry.v1 import project_service_pb2 as pb

from tests.support.home import Up, mesh_up
from tests.support.load import (
    UNLIMITED,
    Load,
    System,
    Writer,
    admitted,
    kill,
    read_over_grpc,
    read_over_json,
    writers,
)

pytestmark = [pytest.mark.e2e, pytest.mark.faults, pytest.mark.xdist_group("faults-kill")]


@pytest.fixture(scope="module")
def up() -> Iterator[Up]:
    """A mesh whose parts these tests kill."""
    with mesh_up(**UNLIMITED) as up:
        yield up


@pytest.fixture(scope="module")
def system(up: Up) -> Iterator[System]:
    """Who reads and writes."""
    with admitted(up, builder="system") as (system,):
        yield system


@pytest.fixture(scope="module")
def project(system: System) -> pb.Project:
    """What is read."""
    return system.create("standing")


@pytest.mark.parametrize("name", ["identity-0", "identity-1", "registry-0", "registry-1", "traces"])
def test_a_killed_part_costs_no_read_and_nothing_acknowledged(
    up: Up, system: System, project: pb.Project, name: str
) -> None:
    """Safe calls do not notice that a worker died. A write may be refused as UNAVAILABLE; sent again it has one
    effect, and what was acknowledged is there.
    """
    pair = writers(system, name)
    readers = (read_over_json(system, project.name), read_over_grpc(system, project.name))
    with Load(*readers, *readers) as reads, Load(*pair) as writes:
        writes.go_on()
        kill(up, name)
        reads.go_on(50)
        writes.go_on()
    assert reads.failures == []
    assert writes.reasons <= {"UNAVAILABLE"}
    assert all(refusal.retry_can_help for refusal in writes.refusals)
    everything_is_there(system, *pair)


def test_a_killed_gateway_comes_back_and_nothing_acknowledged_is_lost(
    up: Up, system: System, project: pb.Project
) -> None:
    """Callers lose their connections and nothing else: what they send again has one effect."""
    pair = writers(system, "gateway")
    with (
        Load(read_over_json(system, project.name), read_over_grpc(system, project.name)) as reads,
        Load(*pair) as writes,
    ):
        writes.go_on()
        kill(up, "gateway")
        reads.go_on(50)
        writes.go_on()
    broken = {"", "ConnectError", "ReadError", "RemoteProtocolError", "WriteError"}
    assert reads.reasons | writes.reasons <= broken
    assert {refusal.code.name for refusal in reads.refusals + writes.refusals} <= {"UNAVAILABLE"}
    everything_is_there(system, *pair)


def test_a_killed_database_loses_nothing_that_it_acknowledged(up: Up, system: System, project: pb.Project) -> None:
    """While PostgreSQL recovers callers are told UNAVAILABLE, and when to come back; no service is started anew."""
    pair = writers(system, "postgres")
    with (
        Load(read_over_json(system, project.name), read_over_grpc(system, project.name)) as reads,
        Load(*pair) as writes,
    ):
        writes.go_on()
        kill(up, "postgres")
        reads.go_on(50)
        writes.go_on()
    assert reads.reasons | writes.reasons <= {"UNAVAILABLE"}
    everything_is_there(system, *pair)


def everything_is_there(system: System, *pair: Writer) -> None:
    """What was acknowledged is listed, once each, and nothing else by these writers."""
    for writer in pair:
        listed = [name for name in system.names() if name.startswith(f"projects/builder.{writer.prefix}-")]
        assert len(listed) == len(set(listed))
        assert writer.names <= set(listed)
        assert len(set(listed) - writer.names) <= 1
