"""A change that five hundred watch: how soon all know, and whether anybody else notices that they watch."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from google.protobuf.field_mask_pb2 import FieldMask
from verbund.registry.v1 import project_service_pb2 as pb
from verbund.registry.v1.change_service_pb2 import WatchChangesRequest
from verbund.registry.v1.project_service_pb2_grpc import ProjectServiceStub
from verbund.registry.v1.types_pb2 import LocalizedText

from tests.bench.figures import Figure, percentile, ratios
from tests.bench.parts import Parts
from tests.bench.servers import PROJECT
from tests.bench.streams import Connection, Streams

ROUNDS = 5
WATCHES, CONNECTIONS = 500, 4
CHANGES = 8  # a round
CALLS = 300  # of one caller, one after the other
SECONDS_MAX = 20.0
TARGET_MS = 100.0
METHOD = "/verbund.registry.v1.ChangeService/WatchChanges"
COMMITTED = "SELECT extract(epoch FROM pg_xact_commit_timestamp(xmin))::float8 FROM registry.projects WHERE name = %s"


def measure(parts: Parts) -> list[Figure]:
    """The times of the changes, and of a single caller's calls with and without the watches."""
    latencies: list[list[float]] = []
    without: list[float] = []
    during: list[float] = []
    with (
        parts.channel("registry") as channel,
        psycopg.connect(parts.dsn, autocommit=True) as database,
    ):
        stub = ProjectServiceStub(channel)
        read_all(parts, stub)
        for _ in range(ROUNDS):
            without.append(read_all(parts, stub))
            with watched(parts) as streams:
                during.append(read_all(parts, stub))
                latencies.append(change_all(parts, stub, database, streams))
    return figures(latencies, ratios(during, without))


def figures(latencies: list[list[float]], unary: list[float]) -> list[Figure]:
    """The rounds' percentiles in milliseconds, and the ratio of the medians."""
    name = f"one change, {WATCHES} watches: from the commit to the arrival"
    return [
        Figure(
            what=f"{name}, p99",
            unit="ms",
            rounds=[1000 * percentile(times, 0.99) for times in latencies],
            target=TARGET_MS,
        ),
        Figure(what=f"{name}, p50", unit="ms", rounds=[1000 * percentile(times, 0.5) for times in latencies]),
        Figure(what=f"GetProject beside {WATCHES} watches, p50", unit="x without watches", rounds=unary, target=1.15),
    ]


@contextmanager
def watched(parts: Parts) -> Iterator[Streams]:
    """The watches, once all stand."""
    request = WatchChangesRequest(resources=[PROJECT]).SerializeToString()
    headers = [("content-type", "application/grpc"), *parts.metadata]
    path = parts.sockets / "registry-0.grpc.sock"
    connections = [Connection(path, METHOD, request, headers, WATCHES // CONNECTIONS) for _ in range(CONNECTIONS)]
    with Streams(connections) as streams:
        streams.take(WATCHES, SECONDS_MAX)
        yield streams


def read_all(parts: Parts, stub: ProjectServiceStub) -> float:
    """The median time of a call, in seconds."""
    request = pb.GetProjectRequest(name=PROJECT)
    times = []
    for _ in range(CALLS):
        begun = time.perf_counter()
        stub.GetProject(request, metadata=parts.metadata)
        times.append(time.perf_counter() - begun)
    return percentile(times, 0.5)


def change_all(
    parts: Parts, stub: ProjectServiceStub, database: psycopg.Connection[tuple[float]], streams: Streams
) -> list[float]:
    """Changes the project several times; how long after each commit, by PostgreSQL's clock, each watch knew it."""
    times: list[float] = []
    mask = FieldMask(paths=["title"])
    for _ in range(CHANGES):
        project = stub.GetProject(pb.GetProjectRequest(name=PROJECT), metadata=parts.metadata)
        project.title.CopyFrom(LocalizedText(de=f"Smart Space {time.time_ns()}"))
        stub.UpdateProject(pb.UpdateProjectRequest(project=project, update_mask=mask), metadata=parts.metadata)
        arrivals = streams.take(WATCHES, SECONDS_MAX)
        row = database.execute(COMMITTED, (PROJECT,)).fetchone()
        assert row is not None
        times += [arrival - row[0] for arrival in arrivals]
    return times
