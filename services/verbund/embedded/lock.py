"""One supervisor a home, and the end of whatever an earlier one left."""

import fcntl
import json
import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from verbund.embedded import postgres
from verbund.embedded.home import Home
from verbund.failure import EnvironmentFailure
from verbund.files import replace

LEFTOVER_SECONDS_MAX = 10.0


def hold(home: Home) -> BinaryIO:
    """The home's lock, held until the file is closed or the process ends, however; raises EnvironmentFailure."""
    with home.user.acting():
        file = home.lock.open("r+b")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pid = file.read().decode().strip() or "unknown"
        file.close()
        raise EnvironmentFailure(
            f"Verbund already runs in {home.named} (process {pid}).",
            remedy=f"use it, stop it (kill {pid}), or start another one "
            "with --data-dir, VERBUND_GATEWAY_PORT and VERBUND_PROVIDER_PORT.",
        ) from None
    file.truncate(0)
    file.write(f"{os.getpid()}\n".encode())
    file.flush()
    return file


def record(home: Home, processes: Iterable[tuple[str, int]]) -> None:
    """Writes down who was started and when, so that a pid that was given out again is not mistaken."""
    entries = [{"name": name, "pid": pid, "started": started(pid)} for name, pid in processes]
    with home.user.acting():
        replace(home.processes, json.dumps(entries).encode())


def clear(home: Home, *, patience_seconds: float = LEFTOVER_SECONDS_MAX) -> list[str]:
    """Ends what a killed supervisor left behind and removes its sockets; the names of what still ran.

    The caller holds the lock: whatever is found belongs to nobody.
    """
    with home.user.acting():
        left = leftovers(home)
        for pid, name in left.items():
            stop(pid, signal.SIGINT if name == "postgres" else signal.SIGTERM)
        end = time.monotonic() + patience_seconds
        while any(map(alive, left)) and time.monotonic() < end:
            time.sleep(0.02)
        for pid in left:
            stop(pid, signal.SIGKILL)
        while any(map(alive, left)):
            time.sleep(0.01)
        home.ready.unlink(missing_ok=True)
        home.processes.unlink(missing_ok=True)
        remove_sockets(home)
    return list(left.values())


def remove_sockets(home: Home) -> None:
    """Empties the runtime directory. Envoy and killed processes leave theirs."""
    for path in home.run.iterdir():
        path.unlink()


def leftovers(home: Home) -> dict[int, str]:
    """The processes of an earlier supervisor that still run, by pid."""
    try:
        entries = json.loads(home.processes.read_bytes())
    except (OSError, ValueError):
        entries = []
    same = [entry for entry in entries if entry["started"] and started(entry["pid"]) == entry["started"]]
    found = {entry["pid"]: entry["name"] for entry in same}
    server = postgres.postmaster(home)
    return found | ({server: "postgres"} if server else {})


def started(pid: int) -> str | None:
    """When a process began, in the kernel's own count since the boot named with it; None where there is none."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None
    return None if status[0] in "ZX" else f"{status[19]}@{boot}"


def alive(pid: int) -> bool:
    """Whether a process runs; one that only waits to be reaped does not."""
    return started(pid) is not None


def stop(pid: int, number: signal.Signals) -> None:
    """Sends a signal to a process that may have ended."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
