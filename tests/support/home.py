"""A real `verbund up` for tests: one mesh a session, in a home and on a port of its own."""

import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from verbund.embedded import ports
from verbund.embedded.children import LIBC, PR_SET_PDEATHSIG

ROOT = Path(__file__).parents[2]
START_SECONDS_MAX = 90.0
TOUR_SECONDS_MAX = 170.0  # before a test has its three minutes
MARK = "VERBUND_TEST_MARK"


@dataclass(slots=True)
class Up:
    """A `verbund up` in a home, running or not. Whatever it starts can be found by its mark or by the home's path."""

    home: Path
    port: int = field(default_factory=lambda: ports.free_port("127.0.0.1"))
    provider_port: int = field(default_factory=lambda: ports.free_port("127.0.0.1"))
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)
    start_seconds_max: float = START_SECONDS_MAX
    process: subprocess.Popen[str] | None = None
    begun: float = 0.0

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Starts the command. It ends with this test process, however that ends."""
        self.begun = time.time()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "verbund", "up", *arguments],
            cwd=ROOT,
            env=self.environment(**environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=end_with_test,  # noqa: PLW1509 - it is one system call
        )
        return self.process

    def environment(self, **more: str) -> dict[str, str]:
        """The caller's environment without settings of the mesh, and with this home's."""
        own = {
            "VERBUND_HOME": str(self.home),
            "VERBUND_GATEWAY_PORT": str(self.port),
            "VERBUND_PROVIDER_PORT": str(self.provider_port),
            MARK: self.mark,
        }
        foreign = ("VERBUND_", "OTEL_")
        return {name: value for name, value in os.environ.items() if not name.startswith(foreign)} | own | more

    def wait_until_ready(self) -> dict[str, Any]:
        """What ready.json says, as soon as it is there; fails with what the command printed."""
        assert self.process is not None
        end = time.monotonic() + self.start_seconds_max
        while not self.is_ready():
            if self.process.poll() is not None or time.monotonic() > end:
                self.process.kill()
                output, _ = self.process.communicate()
                pytest.fail(f"the mesh did not become ready (exit code {self.process.returncode}):\n{output}")
            time.sleep(0.05)
        return self.ready()

    def is_ready(self) -> bool:
        """Whether ready.json is there, and not left over from a mesh that was killed."""
        try:
            return (self.home / "ready.json").stat().st_mtime >= self.begun
        except FileNotFoundError:
            return False

    def ready(self) -> dict[str, Any]:
        """What ready.json says."""
        found: dict[str, Any] = json.loads((self.home / "ready.json").read_text())
        return found

    def stop(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        """Stops the command; its exit code, and what it had printed."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
        output, _ = self.process.communicate(timeout=60)
        return self.process.returncode, output

    def stop_by_itself(self) -> tuple[int, str]:
        """Waits until the command ends; its exit code, and what it printed."""
        assert self.process is not None
        output, _ = self.process.communicate(timeout=START_SECONDS_MAX)
        return self.process.returncode, output

    def tour(self, **environment: str) -> dict[str, Any]:
        """What a tour that succeeds says of itself; after it, its systems, projects and people are there."""
        done = subprocess.run(
            [sys.executable, "-m", "verbund", "tour", "--json"],
            env=self.environment(**environment),
            capture_output=True,
            text=True,
            timeout=TOUR_SECONDS_MAX,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        told: dict[str, Any] = json.loads(done.stdout)
        return told

    def processes(self) -> list[int]:
        """Everything that was started for this home and still runs."""
        marks = (self.mark.encode(), os.fsencode(self.home.resolve()))
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                traits = (process / "environ").read_bytes() + (process / "cmdline").read_bytes()
            except OSError:
                continue
            if any(mark in traits for mark in marks) and int(process.name) != os.getpid():
                found.append(int(process.name))
        return found


def end_with_test() -> None:
    """Has the kernel stop the mesh when the tests are killed; `verbund up` keeps that when it gives root up."""
    LIBC.prctl(PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGTERM), 0, 0, 0)


@contextmanager
def place() -> Iterator[Path]:
    """A path for a home: short, as sockets need it, and where every user may go, as root's home needs it."""
    directory = Path(tempfile.mkdtemp(prefix="verbund-", dir="/tmp"))
    directory.chmod(0o711)
    try:
        yield directory / "home"
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def standing(up: Up, *arguments: str, **environment: str) -> Iterator[Up]:
    """The mesh while it is ready, stopped afterwards."""
    up.start(*arguments, **environment)
    try:
        up.wait_until_ready()
        yield up
    finally:
        up.stop()


@contextmanager
def mesh_up(*arguments: str, **environment: str) -> Iterator[Up]:
    """A mesh in a new home, while it is ready."""
    with place() as home, standing(Up(home), *arguments, **environment) as up:
        yield up


@pytest.fixture(scope="session")
def running() -> Iterator[Up]:
    """The session's mesh with its process. Tests that stop or break it start one of their own instead."""
    with mesh_up() as up:
        yield up


@pytest.fixture(scope="session")
def mesh(running: Up) -> dict[str, Any]:
    """What ready.json says of the session's mesh.

    Mark modules that use it with `pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("mesh")]`: then one process
    of a parallel run has them all, and starts one mesh.
    """
    return running.ready()
