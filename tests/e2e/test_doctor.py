"""`verbund doctor` beside a running mesh."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from verbund.policy import catalogue

from tests.support.home import Up, place

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("mesh")]

OF_A_MESH = {"supervisor", "processes", "port-gateway", "certificate", "gateway", "clock", "keys-published", "token"}
OF_A_MESH |= {
    "call",
    "database",
    "migrations",
    "traces",
    "blobs",
    "sign-in",
    "port-provider",
    *(f"workers-{area}" for area in catalogue.AREAS),
}


def report(up: Up, **environment: str) -> tuple[int, dict[str, dict[str, Any]], str]:
    """The exit code, the findings by check, and everything that was printed."""
    done = subprocess.run(
        [sys.executable, "-m", "verbund", "doctor", "--json"],
        env=up.environment(**environment),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    found = {finding["check"]: finding for finding in json.loads(done.stdout)["findings"]}
    return done.returncode, found, done.stdout + done.stderr


def test_nothing_is_wrong_with_a_mesh_that_runs(running: Up) -> None:
    """Every part of it was looked at, a call went through everything, and its trace has arrived."""
    code, found, _ = report(running)
    wrong = [finding for finding in found.values() if finding["state"] == "problem"]
    assert (code, wrong) == (0, [])
    assert {check for check in OF_A_MESH if found[check]["state"] != "ok"} == set()


def test_no_secret_is_printed(running: Up) -> None:
    """Neither a key, nor a password, nor a token."""
    _, _, printed = report(running)
    keys = [json.loads(path.read_text()) for path in (running.home / "keys").glob("*.json")]
    secrets = [key[member] for key in keys for member in ("d", "k") if member in key]
    secrets += [person["password"] for person in running.ready()["people"] if "password" in person]
    assert secrets
    assert not [secret for secret in secrets if secret in printed]
    assert "eyJ" not in printed


def test_a_worker_that_hangs_is_named(running: Up) -> None:
    """It has a process and a socket, and answers nobody. The mesh goes on with the other one."""
    pid = next(entry["pid"] for entry in running.ready()["processes"] if entry["name"] == "registry-1")
    os.kill(pid, signal.SIGSTOP)
    try:
        code, found, _ = report(running)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert code == 3
    assert "registry-1 takes no calls" in found["workers-registry"]["says"]
    assert found["workers-identity"]["state"] == "ok"


def test_another_authority_than_the_gateways_is_a_problem(running: Up, tmp_path: Path) -> None:
    """A home whose ready.json names a certificate authority that did not sign the gateway's certificate."""
    del tmp_path
    ready = running.home / "ready.json"
    kept = ready.read_bytes()
    foreign = running.home / "tls" / "foreign.pem"
    key = running.home / "tls" / "foreign.key"
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "9"]
    subprocess.run([*made, "-subj", "/CN=x", "-keyout", key, "-out", foreign], check=True, capture_output=True)
    try:
        ready.write_text(json.dumps({**json.loads(kept), "ca": str(foreign)}))
        code, found, _ = report(running)
    finally:
        ready.write_bytes(kept)
        foreign.unlink()
        key.unlink()
    assert code == 3
    assert "not accepted" in found["certificate"]["says"]
    assert "clock" in found["certificate"]["remedy"]


def test_a_port_that_keycloak_would_need_is_busy() -> None:
    """Who has it and how to start with another is said by doctor before a start, as a warning, and by the start."""
    with place() as home, socket.create_server(("127.0.0.1", 0)) as busy:
        up, port = Up(home), busy.getsockname()[1]
        _, found, _ = report(up, VERBUND_KEYCLOAK_DATABASE_PORT=str(port))
        told = found["port-keycloak-db"]
        assert found["port-keycloak"]["state"] in {"ok", "warning"}  # another mesh may have the usual one
        up.start("--idp", "keycloak", VERBUND_KEYCLOAK_PORT=str(port))
        code, said = up.stop_by_itself()
    assert told["state"] == "warning"
    assert f"{port} (VERBUND_KEYCLOAK_DATABASE_PORT) is in use by process {os.getpid()}" in told["says"]
    assert re.search(r"VERBUND_KEYCLOAK_DATABASE_PORT=\d+ verbund up --idp keycloak", told["remedy"])
    assert code == 3
    assert f"Port {port} (VERBUND_KEYCLOAK_PORT) is in use by process {os.getpid()}" in said
    assert re.search(r"VERBUND_KEYCLOAK_PORT=\d+ verbund up --idp keycloak", said)
