"""InvitationService over the wire: whatever a stranger could try, and what is wrong with a request."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from joserfc.jwk import OctKey
from verbund.identity.invitations.domain import MISSES_MAX, new_code, new_name
from verbund.identity.v1 import invitation_service_pb2 as pb

from tests.integration.identity.inviting import INVALID, Invitations, acceptance, creation, new_id, new_key, query
from tests.integration.identity.mesh import Mesh, Metadata, Refused


def refusals() -> dict[str, Callable[[Invitations], pb.AcceptInvitationRequest]]:
    """Every acceptance that must be refused, and must not tell from which other it differs."""

    def part(invitations: Invitations) -> pb.AcceptInvitationRequest:
        made = invitations.make()
        return acceptance(made, code=made.code[:-1])

    def withdrawn(invitations: Invitations) -> pb.AcceptInvitationRequest:
        made = invitations.make()
        invitations.withdraw(made)
        return acceptance(made)

    def expired(invitations: Invitations) -> pb.AcceptInvitationRequest:
        made = invitations.make()
        invitations.pass_time(made)
        return acceptance(made)

    def used(invitations: Invitations) -> pb.AcceptInvitationRequest:
        made = invitations.make()
        invitations.accept(made)
        return acceptance(made)

    def retitled(invitations: Invitations) -> pb.AcceptInvitationRequest:
        made, key = invitations.make(), new_key()
        invitations.accept(made, key)
        return acceptance(made, key, organisation_title="Another")

    def admitted(invitations: Invitations) -> pb.AcceptInvitationRequest:
        made = invitations.make()
        invitations.accept(made)
        invitations.admit(made)
        return acceptance(made)

    def late(invitations: Invitations) -> pb.AcceptInvitationRequest:
        made, key = invitations.make(), new_key()
        invitations.accept(made, key)
        invitations.pass_time(made)
        return acceptance(made, key)

    return {
        "unknown": lambda _: acceptance(pb.Invitation(name=new_name(), code=new_code())),
        "wrong code": lambda found: acceptance(found.make(), code=new_code()),
        "another's code": lambda found: acceptance(found.make(), code=found.make().code),
        "part of the code": part,
        "no text of a code": lambda found: acceptance(found.make(), code="\N{ZERO WIDTH SPACE}\0 '--"),
        "withdrawn": withdrawn,
        "expired": expired,
        "used with another key": used,
        "used with another title": retitled,
        "admitted": admitted,
        "accepted and expired": late,
    }


@pytest.mark.parametrize("case", refusals())
def test_every_refusal_to_accept_is_one(mesh: Mesh, invitations: Invitations, case: str) -> None:
    """Byte for byte, but for the trace: nobody learns which invitations there are, and what became of them. And
    nothing changes.
    """
    request = refusals()[case](invitations)
    count = "SELECT count(*) FROM identity.invitations WHERE kid IS NOT NULL"
    before = query(mesh, count)
    refused = Refused.by(lambda: invitations.stub.AcceptInvitation(request))
    assert (refused.code, refused.reason) == INVALID
    assert refused.metadata == {"rule": "verbund.identity.v1.InvitationService.AcceptInvitation"}
    assert refused.details == ("ErrorInfo",)
    assert query(mesh, count) == before


def test_guessing_ends(invitations: Invitations) -> None:
    """After ten wrong codes the right one is refused too, in the same words; another invitation is untouched. Right
    codes do not count.
    """
    made, other = invitations.make(), invitations.make()
    for _ in range(MISSES_MAX):
        assert Refused.by(lambda: invitations.accept(made, code=new_code())).reason == "INVITATION_INVALID"
    refused = Refused.by(lambda: invitations.accept(made))
    assert (refused.code, refused.reason) == INVALID
    assert invitations.get(made.name).state == pb.INVITATION_STATE_INVITED
    for _ in range(MISSES_MAX - 1):
        Refused.by(lambda: invitations.accept(other, code=new_code()))
    key = new_key()
    for _ in range(3):
        assert invitations.accept(other, key).state == pb.INVITATION_STATE_ACCEPTED


def test_guesses_at_the_same_time_are_all_counted(mesh: Mesh, invitations: Invitations) -> None:
    """Many at once are no way around the limit."""
    made = invitations.make()

    def guess(_: int) -> str:
        return Refused.by(lambda: invitations.accept(made, code=new_code())).reason

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(guess, range(MISSES_MAX))) == {"INVITATION_INVALID"}
    assert query(mesh, "SELECT misses FROM identity.invitations WHERE name = %s", made.name) == [(MISSES_MAX,)]
    assert Refused.by(lambda: invitations.accept(made)).reason == "INVITATION_INVALID"


def test_a_token_is_not_looked_at(invitations: Invitations) -> None:
    """Who accepts has none; a wrong one, and an operator's, change nothing."""
    for value in ("nonsense", dict(invitations.operator)["authorization"]):
        made = invitations.make()
        request = acceptance(made)
        answer = invitations.stub.AcceptInvitation(request, metadata=(("authorization", value),))
        assert answer.state == pb.INVITATION_STATE_ACCEPTED
        assert Refused.by(partial(invitations.accept, made, code=new_code())).reason == "INVITATION_INVALID"


def wrong_keys() -> dict[str, tuple[str, str]]:
    """Keys that no system may have, and what must not be repeated of them."""
    key = new_key()
    private = key.as_dict(private=True)
    return {
        "private": (json.dumps(private), str(private["d"])),
        "symmetric": (json.dumps(OctKey.generate_key(256).as_dict()), '"k"'),
        "no JSON": ("-----BEGIN PRIVATE KEY-----", "BEGIN"),
        "off the curve": (json.dumps(key.as_dict(private=False) | {"x": "A" * 43}), "AAAA"),
    }


@pytest.mark.parametrize("case", wrong_keys())
def test_a_key_that_is_none_or_no_longer_secret_is_refused(
    invitations: Invitations, case: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Before anything is looked up, without a word of it in refusal, log or table; the invitation stays as it was."""
    text, secret = wrong_keys()[case]
    made = invitations.make()
    with caplog.at_level("DEBUG"), pytest.raises(grpc.RpcError) as caught:
        invitations.accept(made, jwk=text)
    refused = Refused.by(lambda: invitations.accept(made, jwk=text))
    assert (refused.code, refused.paths) == (grpc.StatusCode.INVALID_ARGUMENT, ("jwk",))
    printed = "".join(capfd.readouterr())
    assert secret not in caplog.text + printed + str(caught.value)
    assert invitations.get(made.name).state == pb.INVITATION_STATE_INVITED
    assert invitations.accept(made).state == pb.INVITATION_STATE_ACCEPTED


def test_a_private_key_is_refused_whoever_sends_it(invitations: Invitations) -> None:
    """Also with a wrong code: what the answer says depends on the key alone."""
    text = json.dumps(new_key().as_dict(private=True))
    unknown = pb.Invitation(name=new_name(), code=new_code())
    assert Refused.by(lambda: invitations.accept(unknown, jwk=text)) == Refused.by(
        lambda: invitations.accept(invitations.make(), jwk=text)
    )


def test_a_systems_key_is_its_own(mesh: Mesh, invitations: Invitations) -> None:
    """Who accepts with the key of a system of the mesh is told to make another one, and can do so."""
    system = mesh.register(mesh.admit(new_id()), "portal")
    made = invitations.make()
    refused = Refused.by(lambda: invitations.accept(made, system.key))
    assert (refused.code, refused.paths) == (grpc.StatusCode.INVALID_ARGUMENT, ("jwk",))
    assert invitations.accept(made).state == pb.INVITATION_STATE_ACCEPTED


def test_only_operators_invite(invitations: Invitations, administrator: Metadata) -> None:
    """An organisation's administrator is refused by each method's rule; whoever has no token, by having none."""
    made, stub = invitations.make(), invitations.stub
    calls: dict[str, tuple[Any, Any]] = {
        "CreateInvitation": (stub.CreateInvitation, creation()),
        "GetInvitation": (stub.GetInvitation, pb.GetInvitationRequest(name=made.name)),
        "ListInvitations": (stub.ListInvitations, pb.ListInvitationsRequest()),
        "WithdrawInvitation": (stub.WithdrawInvitation, pb.WithdrawInvitationRequest(name=made.name)),
        "AdmitInvitation": (stub.AdmitInvitation, pb.AdmitInvitationRequest(name=made.name)),
    }
    for method, (call, request) in calls.items():
        refused = Refused.by(partial(call, request, metadata=administrator))
        assert (refused.code, refused.reason) == (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_MISSING")
        assert refused.metadata["rule"] == f"verbund.identity.v1.InvitationService.{method}"
        assert Refused.by(partial(call, request)).reason == "NO_TOKEN"
    assert invitations.get(made.name).state == pb.INVITATION_STATE_INVITED


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"organisation_id": "Upper"}, "invitation.organisation_id"),
        ({"organisation_id": "a/systems/b"}, "invitation.organisation_id"),
        ({"organisation_title": ""}, "invitation.organisation_title"),
        ({"organisation_title": "x" * 201}, "invitation.organisation_title"),
        ({"system_id": ""}, "invitation.system_id"),
        ({"system_title": ""}, "invitation.system_title"),
        ({"roles": []}, "invitation.roles"),
        ({"roles": ["operator"]}, "invitation.roles[0]"),
        ({"roles": ["viewer", "viewer"]}, "invitation.roles"),
        ({"expire_time": Timestamp(seconds=1)}, "invitation.expire_time"),
        ({"expire_time": Timestamp(seconds=253_402_300_799)}, "invitation.expire_time"),
    ],
)
def test_a_wrong_invitation_names_its_field(invitations: Invitations, changes: dict[str, Any], path: str) -> None:
    """Above all: nobody is invited to run the mesh."""
    refused = Refused.by(lambda: invitations.make(**changes))
    assert (refused.code, refused.paths) == (grpc.StatusCode.INVALID_ARGUMENT, (path,))


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"name": "invitations/short"}, "name"),
        ({"name": "organisations/senatskanzlei"}, "name"),
        ({"code": ""}, "code"),
        ({"code": "x" * 257}, "code"),
        ({"jwk": ""}, "jwk"),
        ({"jwk": "x" * 4097}, "jwk"),
        ({"organisation_title": ""}, "organisation_title"),
        ({"organisation_title": "x" * 201}, "organisation_title"),
        ({"organisation_title": "Bezirksamt \x1b[2J"}, "organisation_title"),
        ({"organisation_title": "Bezirksamt \N{RIGHT-TO-LEFT OVERRIDE}"}, "organisation_title"),
    ],
)
def test_a_wrong_acceptance_names_its_field(invitations: Invitations, changes: dict[str, str], path: str) -> None:
    """Whatever the code is. A title cannot write over an operator's terminal."""
    refused = Refused.by(lambda: invitations.accept(invitations.make(), None, **changes))
    assert (refused.code, refused.paths) == (grpc.StatusCode.INVALID_ARGUMENT, (path,))
