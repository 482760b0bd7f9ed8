"""What /openapi.json says is what happens: calls made from the document, right ones and wrong ones, by schemathesis."""

import json
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from verbund.embedded import home as homes
from verbund.sdk.client import Client
from verbund.tour import members
from verbund.tour.sample import Member

from tests.support.home import Up
from tests.support.load import System

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("mesh")]

ROLES = ("admin", "caseworker", "dpo", "operator")
CHECKS = ("not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance")
# What would end the run or harm the mesh that other tests use.
LEFT_OUT = {
    "ChangeService_WatchChanges": "it has no end",
    "DeliveryService_WatchDeliveries": "it has no end",
    "DeliveryService_WatchDeliveries_2": "it has no end",
    "OrganisationService_SuspendOrganisation": "it could suspend the operator, or the caller",
    "SystemService_SuspendSystem": "it could suspend the caller",
    "SystemService_RemoveSystemKey": "it could remove the caller's key",
    "identity_tokens_revoke": "it could revoke the caller's token",
}
SECONDS_MAX = 200


@pytest.fixture(scope="module")
def caller(running: Up) -> Iterator[System]:
    """A system that may do nearly everything, of an organisation that was admitted for this."""
    organisation = f"schemathesis-{uuid.uuid4().hex[:8]}"
    member = Member(organisation, "Called by schemathesis", "test", "A test's system", ROLES)
    with Client.from_home(running.home) as operator:
        members.admit(operator.channel, homes.find(running.home), member)
    system = System(running, member.system)
    yield system
    system.close()


@pytest.fixture(scope="module")
def resources(caller: System) -> dict[str, str]:
    """What there is to call, by the names of the parameters; made over JSON, as the document says."""
    organisation = caller.organisation.partition("/")[2]
    http = caller.http
    strategy = http.post("/v1/strategies?strategyId=" + organisation, json={"title": {"de": "Ein Beispiel"}}).json()
    measure = http.post(f"/v1/{strategy['name']}/measures?measureId=one", json={"title": {"de": "Eins"}}).json()
    project = http.post("/v1/projects?projectId=one", json={"title": {"de": "Eins"}}).json()
    mailbox = http.post(f"/v1/{caller.organisation}/mailboxes?mailboxId=one", json={"title": "Eins"}).json()
    delivery = http.post(
        f"/v1/{caller.organisation}/deliveries?deliveryId=one", json={"mailbox": mailbox["name"], "subject": "Eins"}
    ).json()
    names = [strategy["name"], measure["name"], project["name"], mailbox["name"], delivery["name"], caller.name]
    parts = [part for name in names for part in zip(name.split("/")[::2], name.split("/")[1::2], strict=True)]
    singular = {"strategies": "strategy", "mailboxes": "mailbox", "deliveries": "delivery"}
    return {singular.get(collection, collection[:-1]): member for collection, member in parts}


def narrowed(document: dict[str, Any], known: dict[str, str]) -> dict[str, Any]:
    """The document with parameters that name what there is, every other time: what is never there tells little."""
    for item in document["paths"].values():
        for operation in item.values():
            for parameter in operation.get("parameters", ()):
                if parameter["in"] == "path" and parameter["name"] in known:
                    parameter["schema"] = {"anyOf": [{"const": known[parameter["name"]]}, parameter["schema"]]}
                    parameter["example"] = known[parameter["name"]]
                if parameter["name"] == "requestId":
                    # One id for different requests is refused, and this is not what is asked here.
                    operation["parameters"] = [each for each in operation["parameters"] if each is not parameter]
    return document


def test_what_is_left_out_exists(caller: System) -> None:
    """A name that is misspelt leaves nothing out."""
    document = caller.http.get("/openapi.json").json()
    ids = {operation["operationId"] for item in document["paths"].values() for operation in item.values()}
    assert set(LEFT_OUT) <= ids


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    ("mode", "examples", "phases"), [("positive", 6, "examples,fuzzing"), ("negative", 2, "fuzzing")]
)
def test_answers_are_those_that_are_described(
    caller: System, resources: dict[str, str], tmp_path: Path, mode: str, examples: int, phases: str
) -> None:
    """No 5xx, no status that is not described, no answer that breaks its schema: for right input, and for wrong."""
    described = caller.http.get("/openapi.json").json()
    (tmp_path / "openapi.json").write_text(json.dumps(narrowed(described, resources)))
    excluded = [argument for name in LEFT_OUT for argument in ("--exclude-operation-id", name)]
    program = [str(Path(sys.executable).parent / "schemathesis"), "run", "openapi.json"]
    options = [
        *("--url", caller.ready["gateway"], "--tls-verify", caller.ready["ca"]),
        *("--header", f"Authorization: Bearer {caller.tokens.token()}"),
        *("--checks", ",".join(CHECKS), "--mode", mode, "--phases", phases),
        *("--max-examples", str(examples), "--seed", "1", "--generation-deterministic", "--no-shrink"),
        *("--continue-on-failure", "--no-color", "--warnings", "off"),
    ]
    done = subprocess.run(
        [*program, *options, *excluded], cwd=tmp_path, capture_output=True, text=True, timeout=SECONDS_MAX, check=False
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]
