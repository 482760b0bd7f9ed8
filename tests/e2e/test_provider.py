"""People sign in at the built-in provider of a running mesh; where real work is done, it is not there."""

import json
import socket
import stat
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc import jws
from verbund.tour.signing_in import SignInFailed, sign_in

from tests.support.home import Up, mesh_up, place

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("mesh")]


def claims(token: str) -> dict[str, Any]:
    """What a token says; `sign_in` has verified it."""
    return dict(json.loads(jws.extract_compact(token.encode()).payload))


def test_everybody_in_ready_json_can_sign_in(mesh: dict[str, Any]) -> None:
    """With what stands there and nothing else: issuer, user name, password and the authority to trust."""
    subjects = set()
    for person in mesh["people"]:
        token = sign_in(person["issuer"], ca=Path(mesh["ca"]), username=person["username"], password=person["password"])
        told = claims(token)
        assert (told["iss"], told["aud"], told["name"]) == (person["issuer"], "verbund", person["name"])
        assert person["issuer"].endswith("/" + person["organisation"].removeprefix("organisations/"))
        subjects.add(told["sub"])
    assert {person["organisation"] for person in mesh["people"]} >= {
        "organisations/senatskanzlei",
        "organisations/charlottenburg-wilmersdorf",
    }
    assert len(subjects) == len(mesh["people"])


def test_a_person_of_one_organisation_is_nobody_at_the_other(mesh: dict[str, Any]) -> None:
    """Also where both have a user of the same name."""
    first = mesh["people"][0]
    other = next(person["issuer"] for person in mesh["people"] if person["issuer"] != first["issuer"])
    with pytest.raises(SignInFailed):
        sign_in(other, ca=Path(mesh["ca"]), username=first["username"], password=first["password"])


def test_accounts_are_kept_private(running: Up, mesh: dict[str, Any]) -> None:
    """0600 in the home; no password stands in a log, in arguments or in an environment."""
    files = list((running.home / "provider").iterdir())
    assert {file.name for file in files} == {"senatskanzlei.json", "charlottenburg-wilmersdorf.json"}
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    passwords = [person["password"].encode() for person in mesh["people"]]
    logs = b"".join(log.read_bytes() for log in (running.home / "log").glob("*.log"))
    started_with = b"".join(
        Path(f"/proc/{process['pid']}/{what}").read_bytes()
        for process in mesh["processes"]
        for what in ("cmdline", "environ")
    )
    assert not [password for password in passwords if password in logs + started_with]


def test_nobody_elsewhere_reaches_it(running: Up) -> None:
    """It listens on 127.0.0.1 alone."""
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.2", running.provider_port), timeout=5)


def test_people_stay_who_they_are(running: Up) -> None:
    """After the next start names, passwords and identifiers are the same."""
    with mesh_up() as up:
        before = up.ready()
        up.stop()
        up.start()
        after = up.wait_until_ready()
        assert after["people"] == before["people"] != running.ready()["people"]


def test_in_production_it_refuses_and_says_the_way_out() -> None:
    """Exit code 2, before anything is made: what, who can mend it, and how."""
    with place() as home:
        up = Up(home)
        up.start("--exit", VERBUND_EMBEDDED_STAGE="production")
        code, output = up.stop_by_itself()
        assert code == 2
        assert "does not start where VERBUND_EMBEDDED_STAGE is production" in output
        assert "The operator of this mesh can mend this: start with --idp none" in output
        assert not home.exists()


def test_without_it_the_mesh_runs_in_production() -> None:
    """No provider, no invented people, nobody on its port; the tour leaves out what people do."""
    with mesh_up("--idp", "none", VERBUND_EMBEDDED_STAGE="production") as up:
        ready = up.ready()
        assert ready["people"] == []
        assert "provider" not in {process["name"] for process in ready["processes"]}
        assert list((up.home / "provider").iterdir()) == []
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"https://127.0.0.1:{up.provider_port}/senatskanzlei/jwks")
        steps = [step["step"] for step in up.tour()["steps"]]
        assert "send" in steps
        assert not [step for step in steps if step.startswith("sign-in")]


def test_a_busy_port_of_the_provider_is_named() -> None:
    """Exit code 3, with the setting; nothing is left."""
    with place() as home, socket.create_server(("127.0.0.1", 0)) as taken:
        up = Up(home, provider_port=taken.getsockname()[1])
        up.start("--exit")
        code, output = up.stop_by_itself()
        assert code == 3
        assert f"Port {up.provider_port} (VERBUND_PROVIDER_PORT) is in use by process" in output
        assert up.processes() == []
