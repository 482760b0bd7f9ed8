"""The whole mesh as `verbund up` starts it: how long until it is ready, and how much memory it holds."""

import time
from pathlib import Path

import psutil

from tests.bench.figures import Figure
from tests.support.home import Up, place

HOMES = 2
LATER_STARTS = 2  # of each home
SETTLE_SECONDS = 3.0
MIB = 1024 * 1024
FIRST_TARGET, LATER_TARGET, MEMORY_TARGET = 12.0, 5.0, 500.0


def measure() -> list[Figure]:
    """New homes and homes that were used before, in turns."""
    first: list[float] = []
    later: list[float] = []
    memory: list[float] = []
    for _ in range(HOMES):
        with place() as home:
            up = Up(home)
            first.append(start(up))
            memory.append(idle_mebibytes(up))
            up.stop()
            for _ in range(LATER_STARTS):
                later.append(start(up))
                up.stop()
    return [
        Figure(what="`verbund up` in a new home, until ready", unit="s", rounds=first, target=FIRST_TARGET),
        Figure(what="`verbund up` in a used home, until ready", unit="s", rounds=later, target=LATER_TARGET),
        Figure(what="the whole mesh, idle: PSS", unit="MiB", rounds=memory, target=MEMORY_TARGET),
    ]


def start(up: Up) -> float:
    """Starts the mesh; the seconds until ready.json was there."""
    begun = time.perf_counter()
    up.start()
    up.wait_until_ready()
    return time.perf_counter() - begun


def idle_mebibytes(up: Up) -> float:
    """The proportional set size of the supervisor and of everything below it, a little after the start."""
    time.sleep(SETTLE_SECONDS)
    assert up.process is not None
    supervisor = psutil.Process(up.process.pid)
    pids = {supervisor.pid, *(child.pid for child in supervisor.children(recursive=True))}
    missing = {process["pid"] for process in up.ready()["processes"]} - pids
    assert not missing, f"not below the supervisor: {missing}"
    return sum(map(proportional_bytes, pids)) / MIB


def proportional_bytes(pid: int) -> int:
    """The memory of a process, what it shares with others divided among them."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise ValueError(f"no Pss of process {pid}")
