"""How much processor time processes take, whoever else is busy on the machine."""

from collections.abc import Callable

import psutil

Counts = dict[str, float]


def seconds_of(pid: int) -> float:
    """The CPU seconds of a process and of all that it started, those that ended included."""
    process = psutil.Process(pid)
    own = process.cpu_times()
    total: float = own.user + own.system + own.children_user + own.children_system
    for child in process.children(recursive=True):
        try:
            times = child.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


def spent(parts: dict[str, int], work: Callable[[], int]) -> Counts:
    """The CPU seconds that each part takes for a thousand of the calls that `work` makes; it tells how many."""
    before = {name: seconds_of(pid) for name, pid in parts.items()}
    calls = work()
    return {name: (seconds_of(pid) - before[name]) / calls * 1000 for name, pid in parts.items()}
