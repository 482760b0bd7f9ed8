"""`verbund doctor` on machines with something wrong, without a running mesh."""

import json
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from verbund.embedded import ports

from tests.support.home import place

NOBODY = 65534


def doctor(home: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs the command on a home, without the caller's own settings, and on ports that are free."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("VERBUND_", "OTEL_"))}
    free = {name: str(ports.free_port("127.0.0.1")) for name in ("VERBUND_GATEWAY_PORT", "VERBUND_PROVIDER_PORT")}
    return subprocess.run(
        [sys.executable, "-m", "verbund", "doctor", "--data-dir", str(home), *arguments],
        env=inherited | free | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def report(home: Path, **environment: str) -> tuple[int, dict[str, dict[str, Any]]]:
    """The exit code, and the findings by check."""
    done = doctor(home, "--json", **environment)
    assert done.stderr == ""
    return done.returncode, {finding["check"]: finding for finding in json.loads(done.stdout)["findings"]}


def snapshot(folder: Path) -> dict[str, tuple[int, int, int, int]]:
    """Everything below a folder: mode, owner, size, time of the last change."""
    found = {}
    for path in (folder, *folder.rglob("*")):
        status = path.lstat()
        found[str(path)] = (stat.S_IMODE(status.st_mode), status.st_uid, status.st_size, status.st_mtime_ns)
    return found


def home_in(folder: Path) -> Path:
    """A home that a killed mesh has left: ready.json, a lock, a private key, a process that is gone."""
    home = folder / "home"
    (home / "keys").mkdir(parents=True)
    (home / "lock").write_text("999999\n")
    key = home / "keys" / "organisations.operator.systems.administration.json"
    key.write_text(json.dumps({"kty": "EC", "d": "swordfish"}))
    ready: dict[str, Any] = {"gateway": "https://127.0.0.1:1", "ca": "none", "token_endpoint": "https://127.0.0.1:1/"}
    ready |= {"systems": [], "people": [{"name": "x", "password": "swordfish"}], "processes": []}
    (home / "ready.json").write_text(json.dumps(ready))
    for path in (home, *home.rglob("*")):
        path.chmod(0o700 if path.is_dir() else 0o600)
        if os.geteuid() == 0:
            os.chown(path, NOBODY, NOBODY)
    return home


def test_a_machine_on_which_nothing_is_wrong() -> None:
    """Exit code 0, a line a check, and a last line that says so."""
    with place() as home:
        done = doctor(home)
        assert (done.returncode, done.stderr) == (0, "")
        lines = done.stdout.splitlines()
        assert lines[-1].endswith("nothing is wrong.")
        assert {line.split()[0] for line in lines[:-1]} <= {"ok", "warning", "skipped", "You", "The"}
        assert not home.exists()


def test_a_busy_port_is_named_with_its_setting_and_its_owner() -> None:
    """Exit code 3; the line below says who can mend it and how."""
    with place() as home, socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = doctor(home, VERBUND_GATEWAY_PORT=str(port))
        assert done.returncode == 3
        line = next(line for line in done.stdout.splitlines() if line.startswith("problem"))
        assert f"Port {port} (VERBUND_GATEWAY_PORT) is in use by process {os.getpid()}" in line
        assert f"You can mend this: stop it (kill {os.getpid()})" in done.stdout


def test_what_a_killed_mesh_left_is_found_and_nothing_is_changed_or_shown() -> None:
    """Names, times, modes and sizes stay as they were; no key and no password is printed, in either form."""
    with place() as folder:
        home = home_in(folder.parent)
        before = snapshot(home)
        code, found = report(home)
        assert (code, found["supervisor"]["state"]) == (3, "problem")
        assert "it was killed" in found["supervisor"]["says"]
        assert "verbund up" in found["supervisor"]["remedy"]
        assert "swordfish" not in json.dumps(found) + doctor(home).stdout
        assert snapshot(home) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user of the machine")
def test_another_users_home_is_said_and_not_looked_into() -> None:
    """An ordinary user gets a report like anybody, in which the home is closed."""
    script = """
import os, sys
from importlib import import_module
from verbund.doctor import commands, examination
for name in examination.GROUPS:
    import_module(name)
os.setgroups([]), os.setgid(65534), os.setuid(65534)
commands.doctor(sys.argv[1:])
"""
    with place() as folder:
        home = home_in(folder.parent)
        os.chown(home, 1, 1)
        done = subprocess.run(
            [sys.executable, "-c", script, "--data-dir", str(home), "--json"],
            capture_output=True,
            text=True,
            check=False,
        )
        found = {finding["check"]: finding for finding in json.loads(done.stdout)["findings"]}
        assert (done.returncode, found["home"]["state"]) == (3, "problem")
        assert "not to you" in found["home"]["says"]
        assert "nobody" in found["rights"]["says"]
        assert "swordfish" not in done.stdout


def test_a_terminal_without_utf_8_is_a_finding_and_no_failure() -> None:
    """The report is made of what can be shown."""
    with place() as home:
        ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}
        code, found = report(home.with_name("hömé"), **ascii_only)
        assert (code, found["locale"]["state"]) == (0, "warning")
        assert doctor(home.with_name("hömé"), **ascii_only).returncode == 0


def test_the_report_for_programs_has_the_same_findings() -> None:
    """Names and states, line by line."""
    with place() as home:
        done = doctor(home, VERBUND_GATEWAY_PROT="1")
        shown = [tuple(line.split()[:2]) for line in done.stdout.splitlines()[:-1] if not line.startswith(" ")]
        code, found = report(home, VERBUND_GATEWAY_PROT="1")
        assert (done.returncode, code) == (3, 3)
        assert shown == [(finding["state"], finding["check"]) for finding in found.values()]
