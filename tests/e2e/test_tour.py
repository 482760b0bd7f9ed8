"""The tour on a real mesh: `verbund up` in an empty home, then `verbund tour`, as a person types them."""

import hashlib
import json
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from verbund.exchange.v1 import delivery_service_pb2 as deliveries
from verbund.sdk.client import Client

from tests.support.home import ROOT, Up

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("mesh")]
STEPS = [
    *("admit", "invite", "record", "token", "find", "change", "refuse"),
    *("sign-in", "mailbox", "sign-in-district", "send", "accept", "timeline", "hide", "trace", "answer", "page"),
]
DISTRICT = "organisations/charlottenburg-wilmersdorf"
CITYLAB = ROOT.parent / "shared" / "data" / "citylab_berlin_projects.json"
Tour = Callable[..., dict[str, Any]]


def verbund(running: Up, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs a command in the mesh's environment; it has two minutes."""
    command = [sys.executable, "-m", "verbund", *arguments]
    return subprocess.run(command, env=running.environment(), capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def tour(running: Up) -> Tour:
    """The steps of a tour that succeeds, by name."""

    def told(*arguments: str) -> dict[str, Any]:
        done = verbund(running, "tour", "--json", *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        document = json.loads(done.stdout)
        assert document["ok"] is True
        return {step["step"]: step for step in document["steps"]}

    return told


def test_every_step_says_what_happened_and_how_long_it_took(tour: Tour) -> None:
    """In one line; ids and traces are there for machines."""
    steps = tour()
    assert list(steps) == STEPS
    assert all(step["said"] and step["durationMs"] > 0 for step in steps.values())
    assert steps["find"]["project"] == "projects/charlottenburg-wilmersdorf.smart-space-hardenbergplatz"
    assert steps["change"]["changedPaths"] == ["description.en"]
    assert steps["refuse"]["reason"] == "PERMISSION_MISSING"
    assert steps["refuse"]["rule"] == "verbund.registry.v1.ProjectService.UpdateProject"
    assert steps["trace"]["trace"] == steps["send"]["trace"]


def test_people_sign_in_at_home_and_are_known_by_a_pseudonym(tour: Tour) -> None:
    """Roles and assurance come from their own provider; the pseudonym is the same the next time."""
    first, again = tour(), tour()
    for name, organisation in (("sign-in", "organisations/senatskanzlei"), ("sign-in-district", DISTRICT)):
        step = first[name]
        assert step["subject"].startswith(f"{organisation}/people/")
        assert (step["roles"], step["assurance"]) == (["approver", "caseworker"], "substantial")
        assert step["issuer"].rpartition("/")[2] == organisation.partition("/")[2]
        assert again[name]["subject"] == step["subject"]


def test_a_document_is_delivered_and_both_sides_see_each_step(tour: Tour) -> None:
    """It is sent, claimed, verified and accepted; a stranger learns nothing. Each tour sends it anew."""
    first, again = tour(), tour()
    assert first["send"]["delivery"].startswith(f"{DISTRICT}/deliveries/")
    assert first["send"]["delivery"] != again["send"]["delivery"]
    assert first["timeline"]["timeline"] == ["created", "document_added", "submitted", "claimed", "accepted"]
    assert first["hide"]["reason"] == "NOT_FOUND"


def test_something_waits_for_a_person(running: Up, tour: Tour) -> None:
    """Who follows the tour's link finds a delivery that nobody has taken, and can act on it."""
    told = tour()["answer"]
    with Client.from_home(running.home, f"{DISTRICT}/systems/projekte") as client:
        found = client.deliveries.get(told["delivery"])
    assert (found.state, found.next.organisation) == (deliveries.DELIVERY_STATE_AVAILABLE, DISTRICT)


def test_a_file_of_ones_own_is_sent(tour: Tour, tmp_path: Path) -> None:
    """Whatever `--document` names."""
    document = tmp_path / "Vermerk.txt"
    document.write_text("Ein Vermerk, der nichts bedeutet.\n")
    sent = tour("--document", str(document))["send"]
    assert sent["sha256"] == hashlib.sha256(document.read_bytes()).hexdigest()
    assert "Vermerk.txt" in sent["said"]


def test_it_can_be_repeated_on_the_same_home(running: Up, tour: Tour) -> None:
    """For people it prints a line a step, the trees below the last but one, and a link that opens below the last."""
    tour()
    told = verbund(running, "tour")
    assert told.returncode == 0, told.stdout + told.stderr
    numbered = [line for line in told.stdout.splitlines() if line and not line.startswith(" ")]
    assert [line.split(".")[0] for line in numbered] == [str(number) for number in range(1, len(STEPS) + 1)]
    assert "source: https://" in told.stdout
    assert "└─ exchange  verbund.exchange.v1.DeliveryService/CreateDelivery" in told.stdout
    link, who, trust = (line.strip() for line in told.stdout.splitlines()[-3:])
    ready = json.loads((running.home / "ready.json").read_text())
    assert link.startswith(f"{ready['gateway']}/console/deliveries/citylab-berlin/")
    named = {each["username"] for each in ready["people"] if each["organisation"] == DISTRICT}
    assert any(f" as {username}; " in who for username in named)
    assert all(each["password"] not in told.stdout for each in ready["people"])
    assert trust.endswith("/tls/ca.pem")


def test_the_trace_leads_from_the_gateway_to_the_row(running: Up, tour: Tour) -> None:
    """One root at the gateway, the service below it, SQL below that; so each later step, and `verbund trace` too."""
    told = tour()["trace"]
    assert len(told["linked"]) == 4
    for trace in (told, *told["linked"]):
        spans = {span["spanId"]: span for span in trace["spans"]}
        roots = [span for span in spans.values() if not span["parentId"]]
        assert [root["service"] for root in roots] == ["gateway"]
        sql = next(span for span in spans.values() if span["attributes"].get("db.system.name") == "postgresql")
        service = spans[sql["parentId"]]
        assert (service["service"], spans[service["parentId"]]["spanId"]) == ("exchange", roots[0]["spanId"])
    drawn = json.loads(verbund(running, "trace", told["trace"], "--json").stdout)
    assert {span["spanId"] for span in drawn["spans"]} >= {span["spanId"] for span in told["spans"]}


def test_its_systems_are_there_for_clients_afterwards(running: Up, tour: Tour) -> None:
    """ready.json lists them, their keys are 0600, and each gets a token."""
    admitted = [*tour()["admit"]["systems"], f"{DISTRICT}/systems/projekte"]
    ready = json.loads((running.home / "ready.json").read_text())
    listed = {system["name"]: Path(system["key"]) for system in ready["systems"]}
    assert set(admitted) <= set(listed)
    assert {stat.S_IMODE(listed[name].stat().st_mode) for name in admitted} == {0o600}
    for name in admitted:
        with Client.from_home(running.home, name) as client:
            assert client.http.get("/v1/projects").is_success


def test_a_real_list_is_imported_first_and_searched(tour: Tour) -> None:
    """A second time nothing of it changes; the tour goes on as without it."""
    if not CITYLAB.parent.exists():
        pytest.skip(f"{CITYLAB.parent} does not exist")
    tour("--data", str(CITYLAB))
    steps = tour("--data", str(CITYLAB))
    assert list(steps) == [*STEPS[:4], "import", "search", *STEPS[4:]]
    assert {name: steps["import"][name] for name in ("created", "updated", "unchanged", "failed")} == {
        "created": 0,
        "updated": 0,
        "unchanged": 36,
        "failed": 0,
    }
    assert steps["search"]["matches"] >= 1


def test_what_is_no_list_ends_the_tour_with_the_way_out(running: Up, tmp_path: Path) -> None:
    """Exit code 1, and how to try it alone."""
    wrong = tmp_path / "list.csv"
    wrong.write_text("a,b\n1,2\n")
    told = verbund(running, "tour", "--data", str(wrong))
    assert told.returncode == 1
    assert "FAILED: " in told.stdout
    assert "verbund project import" in told.stdout


def test_a_lost_key_is_replaced(running: Up, tour: Tour) -> None:
    """The next tour gives the system another one."""
    tour()
    (running.home / "keys" / "organisations.citylab-berlin.systems.portal.json").unlink()
    tour()


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
