"""`verbund up` brings the whole mesh up, keeps it up, and leaves nothing behind."""

import json
import os
import signal
import socket
import stat
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path

import httpx
import pytest
from verbund.sdk.client import Client
from verbund.sdk.refusals import NotReady, TokenRefused

from tests.support.home import Up, mesh_up, place

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("mesh")]

WAIT_SECONDS_MAX = 30.0
PARTS = {"postgres", "traces", "gateway", "provider", "console-0"} | {
    f"{area}-{number}" for area in ("identity", "exchange", "registry") for number in range(2)
}


def pids(up: Up) -> dict[str, int]:
    """The processes that ready.json names."""
    return {process["name"]: process["pid"] for process in up.ready()["processes"]}


def answers(up: Up) -> bool:
    """Whether the operator's system gets a token and reads through the gateway."""
    try:
        with Client.from_home(up.home) as client:
            return client.http.get("/v1/organisations").is_success
    except (httpx.TransportError, NotReady, TokenRefused):
        return False


def wait_for_new(up: Up, name: str, old: int) -> int:
    """The pid of the process that has taken a killed one's place."""
    end = time.monotonic() + WAIT_SECONDS_MAX
    while time.monotonic() < end:
        new = pids(up).get(name)
        if new not in (None, old):
            return int(new)
        time.sleep(0.02)
    return pytest.fail(f"{name} did not come back")


def wait_until_answers(up: Up) -> None:
    """Returns when the mesh answers again."""
    end = time.monotonic() + WAIT_SECONDS_MAX
    while not answers(up):
        assert time.monotonic() < end, "the mesh does not answer"
        time.sleep(0.05)


def test_ready_means_that_a_client_finds_it_ready(running: Up) -> None:
    """What ready.json names is enough for a token and a call, at once; it is private, and names every process."""
    ready = running.ready()
    assert stat.S_IMODE((running.home / "ready.json").stat().st_mode) == 0o600
    assert ready["gateway"] == f"https://127.0.0.1:{running.port}"
    assert ready["token_endpoint"] == f"{ready['gateway']}/oauth2/token"
    assert set(pids(running)) == PARTS
    system = ready["systems"][0]
    assert system["name"] == system["client_id"] == "organisations/operator/systems/administration"
    assert stat.S_IMODE(Path(system["key"]).stat().st_mode) == 0o600
    assert json.loads(Path(system["key"]).read_text())["d"]
    assert answers(running)


def test_nothing_is_imported_after_root_is_given_up(running: Up) -> None:
    """Where Python's library lies behind a closed door, as it may for root, a late import would fail."""
    late = set()
    for log in (running.home / "log").glob("*.log"):
        for line in log.read_text().splitlines():
            if '"imported late"' in line:
                late.add(json.loads(line)["module"])
    optional = {name for name in late if "." not in name and find_spec(name) is None}
    assert late == optional


def test_no_secret_stands_in_arguments_or_environment(running: Up) -> None:
    """Processes are started with paths, never with what the files hold."""
    keys = [json.loads(path.read_text()) for path in (running.home / "keys").glob("*.json")]
    secrets = [key[member].encode() for key in keys for member in ("d", "k") if member in key]
    assert secrets
    for pid in pids(running).values():
        started_with = Path(f"/proc/{pid}/cmdline").read_bytes() + Path(f"/proc/{pid}/environ").read_bytes()
        assert not any(secret in started_with for secret in secrets)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user of the machine")
def test_another_user_of_the_machine_reaches_no_socket(running: Up) -> None:
    """Services and PostgreSQL are behind a directory that only the mesh's own user can enter."""
    sockets = list((running.home / "run").iterdir())
    assert sockets
    script = "import socket,sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])"
    python = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "/usr/bin/python3", "-c", script]
    for path in (path for path in sockets if path.suffix == ".sock" or path.name == ".s.PGSQL.5432"):
        done = subprocess.run([*python, str(path)], capture_output=True, text=True, check=False)
        assert "PermissionError" in done.stderr, path


def test_a_second_start_in_the_same_home_is_refused(running: Up) -> None:
    """Exit code 3, and who has the home; the first one is not disturbed."""
    second = Up(running.home)
    second.start()
    code, output = second.stop_by_itself()
    assert running.process is not None
    assert code == 3
    assert f"already runs in {running.home} (process {running.process.pid})" in output
    assert answers(running)


def test_a_busy_port_is_named_with_who_has_it_and_what_to_do() -> None:
    """The setting's name, the process, and a command that works; exit code 3; nothing is left."""
    with place() as home, socket.create_server(("127.0.0.1", 0)) as taken:
        up = Up(home, port=taken.getsockname()[1])
        up.start("--exit")
        code, output = up.stop_by_itself()
        assert code == 3
        assert f"Port {up.port} (VERBUND_GATEWAY_PORT) is in use by process {os.getpid()} " in output
        assert "VERBUND_GATEWAY_PORT=" in output.rsplit("choose another port: ", 1)[1]
        assert up.processes() == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stopping_leaves_no_process_and_no_socket(number: signal.Signals) -> None:
    """Exit code 0, ready.json gone, the runtime directory empty, PostgreSQL shut down in order."""
    with mesh_up() as up:
        assert up.processes()
        code, output = up.stop(number)
        assert (code, output.splitlines()[-1]) == (0, "Stopped; nothing is left running.")
        assert up.processes() == []
        assert list((up.home / "run").iterdir()) == []
        assert not (up.home / "ready.json").exists()
        assert "database system is shut down" in (up.home / "log" / "postgres.log").read_text()


def test_interrupted_while_starting_it_stops_too() -> None:
    """Ctrl-C before it is ready: exit code 130, and nothing is left."""
    with place() as home:
        up = Up(home)
        up.start()
        while not (home / "log" / "postgres.log").exists():
            time.sleep(0.01)
        code, _ = up.stop(signal.SIGINT)
        assert code == 130
        assert up.processes() == []


@pytest.mark.faults
def test_each_killed_process_comes_back_and_the_mesh_goes_on() -> None:
    """Whatever is killed is there again, and a client is served; ready.json names the new process."""
    with mesh_up() as up:
        for name, pid in pids(up).items():
            os.kill(pid, signal.SIGKILL)
            wait_for_new(up, name, pid)
            wait_until_answers(up)


@pytest.mark.faults
def test_a_killed_supervisor_takes_its_parts_along_and_the_next_start_recovers() -> None:
    """After kill -9 no part goes on by itself; the next start clears up, and finds everything as it was."""
    with mesh_up() as up:
        before = (up.home / "published" / "jwks.json").read_text()
        up.stop(signal.SIGKILL)
        end = time.monotonic() + WAIT_SECONDS_MAX
        while up.processes():
            assert time.monotonic() < end, "parts outlive their supervisor"
            time.sleep(0.05)
        up.start()
        up.wait_until_ready()
        assert answers(up)
        assert (up.home / "published" / "jwks.json").read_text() == before


@pytest.mark.faults
def test_a_start_right_after_a_kill_waits_for_what_is_left() -> None:
    """The next start does not need a pause: it ends what still runs, PostgreSQL too, before it begins."""
    with mesh_up() as up:
        up.stop(signal.SIGKILL)
        up.start()
        up.wait_until_ready()
        assert answers(up)
