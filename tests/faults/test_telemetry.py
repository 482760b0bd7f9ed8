"""Nobody takes the spans: that costs spans, and nothing else."""

import json
from collections.abc import Iterator
from typing import Any

import psutil
import pytest
from verbund.embedded import ports

from tests.support.collector import collecting
from tests.support.home import Up, mesh_up
from tests.support.load import UNLIMITED, Load, admitted, pids, read_over_grpc, read_over_json, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.faults, pytest.mark.xdist_group("faults-telemetry")]

QUEUE, BATCH = 600, 512  # spans that a worker keeps for a backend that is down, and that it is just sending
SPANS = 2  # of a call at least: its own, and its statement's
MIB = 1024 * 1024
GROWTH_BYTES_MAX = 64 * MIB
WORKERS = ("registry-0", "registry-1")


def told(up: Up, name: str) -> Iterator[dict[str, Any]]:
    """What a worker's log says of its telemetry."""
    for line in (up.home / "log" / f"{name}.log").read_text().splitlines():
        if '"event":"telemetry"' in line:
            yield json.loads(line)


def sizes(up: Up) -> dict[str, int]:
    """The memory of gateway and workers, in bytes."""
    running = {name: pid for name, pid in pids(up).items() if name in (*WORKERS, "gateway")}
    return {name: psutil.Process(pid).memory_info().rss for name, pid in running.items()}


def test_without_a_backend_calls_go_on_and_what_is_lost_is_counted() -> None:
    """While nothing listens where spans go, no call fails and no process grows. Each worker says that it loses spans,
    and when the backend is there, how many; those of later calls arrive.
    """
    port = ports.free_port("127.0.0.1")
    backend = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}",
        "OTEL_EXPORTER_OTLP_INSECURE": "true",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "5",
        "OTEL_BSP_MAX_QUEUE_SIZE": str(QUEUE),
    }
    with mesh_up(**UNLIMITED, **backend) as up, admitted(up, caller="system") as (system,):
        project = system.create("standing")
        turns = (read_over_json(system, project.name), read_over_grpc(system, project.name))
        with Load(*turns, *turns, pause_seconds=0.0) as load:
            load.go_on(50)
            before = sizes(up)
            load.go_on(500)
            wait_until(lambda: all([*told(up, name)] for name in WORKERS), "nobody says that spans are lost")
            after = sizes(up)
            made = SPANS * sum(load.answered)
            with collecting(f"127.0.0.1:{port}") as collector:
                wait_until(
                    lambda: all([*told(up, name)][-1]["state"] == "flowing" for name in WORKERS),
                    lambda: f"spans do not flow: {[[*told(up, name)] for name in WORKERS]}",
                )
                arrived = len(collector.spans())
                wait_until(lambda: len(collector.spans()) > arrived, "no later span arrives")
        assert load.failures == []
        for name in WORKERS:
            lost, *_, flowing = told(up, name)
            assert lost["state"] == "lost"
            assert flowing["dropped"] >= lost["dropped"] > 0
        assert all(after[name] - before[name] < GROWTH_BYTES_MAX for name in before)
        dropped = sum([*told(up, name)][-1]["dropped"] for name in WORKERS)
        assert dropped >= made - len(WORKERS) * (QUEUE + BATCH) > 0
