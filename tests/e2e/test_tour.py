"""The tour on a real mesh: `verbund up` in an empty home, then `verbund tour`, as a person types them."""

import json
import os
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from verbund.sdk.client import Client

from tests.support.envoy import free_port

pytestmark = pytest.mark.e2e
READY_SECONDS_MAX = 90
STEPS = ["admit", "record", "token", "find", "change", "refuse", "trace"]


@dataclass(frozen=True)
class Running:
    """A mesh and the environment in which commands find it."""

    home: Path
    environment: dict[str, str]
    process: subprocess.Popen[bytes]

    def verbund(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs a command; it has two minutes."""
        command = [sys.executable, "-m", "verbund", *arguments]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=120, check=False)

    def tour(self, *arguments: str) -> dict[str, Any]:
        """The steps of a tour that succeeds."""
        told = self.verbund("tour", "--json", *arguments)
        assert told.returncode == 0, told.stdout + told.stderr
        document = json.loads(told.stdout)
        assert document["ok"] is True
        return {step["step"]: step for step in document["steps"]}

    def stop(self) -> None:
        """Ends the mesh as Ctrl-C does."""
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(60) in (0, 130)


@pytest.fixture(scope="module")
def mesh() -> Iterator[Running]:
    with tempfile.TemporaryDirectory(prefix="tour-") as directory:
        Path(directory).chmod(0o755)
        home = Path(directory) / "home"
        environment = os.environ | {"VERBUND_HOME": str(home), "VERBUND_GATEWAY_PORT": str(free_port())}
        with (Path(directory) / "up.log").open("wb") as log:
            process = subprocess.Popen([sys.executable, "-m", "verbund", "up"], env=environment, stdout=log, stderr=log)
        running = Running(home, environment, process)
        try:
            wait_until_ready(running, Path(directory) / "up.log")
            yield running
        finally:
            if process.poll() is None:
                running.stop()


def wait_until_ready(running: Running, log: Path) -> None:
    """Returns when ready.json stands."""
    end = time.monotonic() + READY_SECONDS_MAX
    while not (running.home / "ready.json").exists():
        assert running.process.poll() is None, log.read_text()
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.1)


def test_an_empty_home_is_filled_and_shown(mesh: Running) -> None:
    """Every step succeeds, says one line and its time, and gives ids and traces to machines."""
    steps = mesh.tour()
    assert list(steps) == STEPS
    assert all(step["said"] and step["durationMs"] > 0 for step in steps.values())
    assert steps["find"]["project"] == "projects/charlottenburg-wilmersdorf.smart-space-hardenbergplatz"
    assert steps["change"]["changedPaths"] == ["description.en"]
    assert steps["refuse"]["reason"] == "PERMISSION_MISSING"
    assert steps["refuse"]["rule"] == "verbund.registry.v1.ProjectService.UpdateProject"
    assert steps["trace"]["trace"] == steps["find"]["trace"]


def test_it_can_be_repeated_on_the_same_home(mesh: Running) -> None:
    """For people it prints a line a step, and the tree below the last."""
    mesh.tour()
    told = mesh.verbund("tour")
    assert told.returncode == 0, told.stdout + told.stderr
    numbered = [line for line in told.stdout.splitlines() if not line.startswith(" ")]
    assert [line.split(".")[0] for line in numbered] == [str(number) for number in range(1, len(STEPS) + 1)]
    assert "source: https://" in told.stdout
    assert "└─ registry  verbund.registry.v1.ProjectService/SearchProjects" in told.stdout


def test_the_trace_leads_from_the_gateway_to_the_row(mesh: Running) -> None:
    """One root at the gateway, the service below it, SQL below that; and `verbund trace` draws the same."""
    steps = mesh.tour()
    spans = {span["spanId"]: span for span in steps["trace"]["spans"]}
    roots = [span for span in spans.values() if not span["parentId"]]
    assert [root["service"] for root in roots] == ["gateway"]
    sql = next(span for span in spans.values() if span["attributes"].get("db.system.name") == "postgresql")
    service = spans[sql["parentId"]]
    assert (service["service"], spans[service["parentId"]]["spanId"]) == ("registry", roots[0]["spanId"])
    drawn = mesh.verbund("trace", steps["trace"]["trace"], "--json")
    assert {span["spanId"] for span in json.loads(drawn.stdout)["spans"]} >= set(spans)


def test_its_systems_are_there_for_clients_afterwards(mesh: Running) -> None:
    """ready.json lists them, their keys are 0600, and each gets a token."""
    admitted = mesh.tour()["admit"]["systems"]
    ready = json.loads((mesh.home / "ready.json").read_text())
    listed = {system["name"]: Path(system["key"]) for system in ready["systems"]}
    assert set(admitted) <= set(listed)
    assert {stat.S_IMODE(listed[name].stat().st_mode) for name in admitted} == {0o600}
    for name in admitted:
        with Client.from_home(mesh.home, name) as client:
            assert client.http.get("/v1/projects").is_success


def test_a_lost_key_is_replaced(mesh: Running) -> None:
    """The next tour gives the system another one."""
    mesh.tour()
    (mesh.home / "keys" / "organisations.citylab-berlin.systems.portal.json").unlink()
    mesh.tour()


def test_without_a_mesh_it_ends_with_1_and_the_way_out(tmp_path: Path) -> None:
    """In words and in JSON."""

    def tour(*options: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "verbund", "tour", "--home", str(tmp_path), *options]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    told = tour()
    assert told.returncode == 1
    assert "FAILED: no mesh is running" in told.stdout
    assert "The way out: start the mesh with `verbund up`" in told.stdout
    failed = json.loads(tour("--json").stdout)
    assert (failed["ok"], [step["ok"] for step in failed["steps"]]) == (False, [False])
