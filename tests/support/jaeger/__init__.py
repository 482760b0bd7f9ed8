"""A foreign backend for traces with the real Jaeger UI: the crate `otlp-embedded`, built once from the files here."""

import fcntl
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from verbund.embedded.ports import free_port

from tests.support.home import ROOT
from tests.support.lacking import lacking

SOURCES = Path(__file__).parent
BUILT = ROOT / "build" / "jaeger"
PROGRAM = BUILT / "target" / "debug" / "backend"
BUILD_SECONDS_MAX = 900
START_SECONDS_MAX = 60.0
ARRIVAL_SECONDS_MAX = 60.0
PROTOC = '#!/bin/sh\nexec "{python}" -m grpc_tools.protoc "$@"\n'


@dataclass(frozen=True)
class Jaeger:
    """The running backend: where it takes spans by OTLP over gRPC, and where its UI and its query API are."""

    otlp: str
    url: str

    def trace(self, trace_id: str, *, spans: int) -> dict[str, Any]:
        """A trace in Jaeger's JSON, once it has so many spans; with those that are there when the time is over."""
        return arrived(f"{self.url}/api/traces/{trace_id}", spans=spans)


def arrived(url: str, *, spans: int, http: httpx.Client | None = None) -> dict[str, Any]:
    """The trace at a URL of a query API, once it has so many spans, and nothing came after them for a moment."""
    end = time.monotonic() + ARRIVAL_SECONDS_MAX
    found: dict[str, Any] = {"spans": [], "processes": {}}
    while time.monotonic() < end:
        answer = http.get(url) if http else httpx.get(url, trust_env=False)
        enough = len(found["spans"]) >= spans
        if answer.is_success:
            (found,) = answer.json()["data"]
        if enough:
            break
        time.sleep(0.7 if len(found["spans"]) >= spans else 0.1)
    return found


def shape(trace: dict[str, Any]) -> list[tuple[str, str, str]]:
    """The spans of a trace in Jaeger's JSON: service, name, and the parent's name; sorted."""
    names = {span["spanID"]: span["operationName"] for span in trace["spans"]}
    services = {key: process["serviceName"] for key, process in trace["processes"].items()}
    found = []
    for span in trace["spans"]:
        parents = [ref["spanID"] for ref in span["references"] or () if ref["refType"] == "CHILD_OF"]
        parent = names.get(parents[0], "missing") if parents else ""
        found.append((services[span["processID"]], span["operationName"], parent))
    return sorted(found)


@pytest.fixture(scope="session")
def jaeger_program() -> Path:
    """The backend's program; the test is skipped where it cannot be built."""
    BUILT.mkdir(parents=True, exist_ok=True)
    with (BUILT / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        sources = [SOURCES / name for name in ("Cargo.toml", "main.rs")]
        same = all((BUILT / source.name).exists() and agree(source, BUILT / source.name) for source in sources)
        if not (same and PROGRAM.exists()):
            build(sources)
    return PROGRAM


def agree(one: Path, other: Path) -> bool:
    """Whether two files have the same content."""
    return one.read_bytes() == other.read_bytes()


def build(sources: list[Path]) -> None:
    """Builds it outside the sources: Cargo writes beside what it builds."""
    if shutil.which("cargo") is None:
        lacking("Cargo is not installed, and the backend with Jaeger's UI is built from its crate")
    for source in sources:
        shutil.copy(source, BUILT)
    protoc = BUILT / "protoc"
    protoc.write_text(PROTOC.format(python=sys.executable))
    protoc.chmod(0o755)
    done = subprocess.run(
        ["cargo", "build", "--quiet"],
        cwd=BUILT,
        env=os.environ | {"PROTOC": str(protoc)},
        capture_output=True,
        text=True,
        timeout=BUILD_SECONDS_MAX,
        check=False,
    )
    if done.returncode:
        lacking(f"the backend with Jaeger's UI cannot be built here: {done.stderr.strip()[-500:]}")


@pytest.fixture(scope="module")
def jaeger(jaeger_program: Path) -> Iterator[Jaeger]:
    """The backend on two ports of loopback."""
    ports = [free_port("127.0.0.1") for _ in range(2)]
    with subprocess.Popen([jaeger_program, *map(str, ports)]) as process:
        try:
            for port in ports:
                wait_for(port)
            yield Jaeger(otlp=f"http://127.0.0.1:{ports[0]}", url=f"http://127.0.0.1:{ports[1]}")
        finally:
            process.terminate()


def wait_for(port: int) -> None:
    """Returns when somebody listens on the port."""
    end = time.monotonic() + START_SECONDS_MAX
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert time.monotonic() < end, "the backend does not listen"
            time.sleep(0.02)
        else:
            return
