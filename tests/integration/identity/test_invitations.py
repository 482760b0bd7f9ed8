"""InvitationService over the wire: how an organisation joins, and who is in the way of whom."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import grpc
from verbund.database.sweeping import Sweep
from verbund.identity.invitations.domain import new_name
from verbund.identity.main import EXPIRED
from verbund.identity.v1 import invitation_service_pb2 as pb
from verbund.identity.v1 import organisation_service_pb2 as organisations_pb
from verbund.identity.v1 import system_service_pb2 as systems_pb

from tests.integration.identity.inviting import (
    DAY_SECONDS,
    TITLE,
    Invitations,
    creation,
    leaves,
    new_id,
    new_key,
    organisation_stands,
    query,
)
from tests.integration.identity.mesh import Mesh, Refused, System


def test_an_organisation_joins_with_its_own_key(mesh: Mesh, invitations: Invitations) -> None:
    """Invited, accepted, admitted: then its system gets tokens with the key that it alone has, and not before."""
    before = len(leaves(mesh))
    made = invitations.make("joining")
    assert (made.state, made.organisation_id) == (pb.INVITATION_STATE_INVITED, "joining")
    assert made.expire_time.seconds - made.create_time.seconds == 14 * DAY_SECONDS
    assert made.creator == mesh.operator.name
    system = System("organisations/joining/systems/portal")
    accepted = invitations.accept(made, system.key)
    assert (accepted.organisation, accepted.system) == ("organisations/joining", system.name)
    assert (accepted.kid, accepted.state) == (system.key.thumbprint(), pb.INVITATION_STATE_ACCEPTED)
    assert mesh.http.post("/oauth2/token", data=system.form()).status_code == 401
    seen = invitations.get(made.name)
    assert (seen.state, seen.confirmed_title, seen.key.kid) == (pb.INVITATION_STATE_ACCEPTED, TITLE, accepted.kid)
    admitted = invitations.admit(made, etag=seen.etag)
    assert admitted.state == pb.INVITATION_STATE_ADMITTED
    assert mesh.token(system)
    own = mesh.as_(system)
    organisation = mesh.organisations.GetOrganisation(
        organisations_pb.GetOrganisationRequest(name="organisations/joining"), metadata=own
    )
    assert organisation.title == TITLE
    standing = mesh.systems.GetSystem(systems_pb.GetSystemRequest(name=system.name), metadata=own)
    assert (list(standing.roles), [key.kid for key in standing.keys]) == (["admin", "system"], [accepted.kid])
    assert [kind.removeprefix("identity.") for kind in leaves(mesh)[before:]] == [
        "invitation.created",
        "invitation.accepted",
        "organisation.created",
        "system.created",
        "invitation.admitted",
    ]


def test_the_code_is_told_once_and_kept_nowhere(mesh: Mesh, invitations: Invitations) -> None:
    """Not in what is read later, not in the answer to a repetition, not in any table."""
    request = creation(request_id=str(uuid.uuid4()))
    first = invitations.stub.CreateInvitation(request, metadata=invitations.operator)
    again = invitations.stub.CreateInvitation(request, metadata=invitations.operator)
    assert len(first.code) == 43
    assert (again.name, again.code) == (first.name, "")
    assert invitations.get(first.name) == again
    for (table,) in query(mesh, "SELECT tablename FROM pg_tables WHERE schemaname = 'identity'"):
        rows = query(mesh, f"SELECT t::text FROM identity.{table} t")  # noqa: S608 - a name of the catalogue
        assert not [row for (row,) in rows if first.code in row], table
    stored = [bytes(row) for (row,) in query(mesh, "SELECT answer FROM identity.idempotency WHERE answer IS NOT NULL")]
    assert any(first.name.encode() in answer for answer in stored)
    assert not any(first.code.encode() in answer for answer in stored)


def test_accepting_again_has_the_same_answer(mesh: Mesh, invitations: Invitations) -> None:
    """A caller that heard nothing calls again: one effect, also when it called sixteen times at once."""
    made, key = invitations.make(), new_key()
    before = leaves(mesh).count("identity.invitation.accepted")
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: invitations.accept(made, key), range(16)))
    assert all(answer == answers[0] for answer in answers)
    assert leaves(mesh).count("identity.invitation.accepted") == before + 1
    invitations.admit(made)
    assert invitations.accept(made, key).state == pb.INVITATION_STATE_ADMITTED


def test_of_two_who_accept_one_does(invitations: Invitations) -> None:
    """Whoever is second, with a key of their own, is refused."""
    made = invitations.make()

    def attempt(_: int) -> str:
        try:
            return invitations.accept(made).kid
        except grpc.RpcError as error:
            return error.code().name

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(attempt, range(8)))
    assert outcomes.count("PERMISSION_DENIED") == 7
    assert invitations.get(made.name).key.kid in outcomes


def test_a_key_that_came_in_meanwhile_is_not_admitted(mesh: Mesh, invitations: Invitations) -> None:
    """The operator is told; nothing is made, and the invitation can be withdrawn."""
    made, key = invitations.make(), new_key()
    invitations.accept(made, key)
    mesh.register(mesh.admit(new_id()), "portal", key=key)
    refused = Refused.by(lambda: invitations.admit(made))
    assert (refused.code, refused.metadata["type"]) == (grpc.StatusCode.FAILED_PRECONDITION, "KEY_IN_USE")
    assert not organisation_stands(mesh, made)
    assert invitations.withdraw(made).state == pb.INVITATION_STATE_WITHDRAWN


def test_of_two_with_one_key_one_is_admitted(mesh: Mesh, invitations: Invitations) -> None:
    """Also when both are admitted at the same time: the database decides."""
    key = new_key()
    pair = [invitations.make(), invitations.make()]
    for made in pair:
        invitations.accept(made, key)

    def admit(made: pb.Invitation) -> str:
        try:
            invitations.admit(made)
        except grpc.RpcError:
            return Refused.by(lambda: invitations.admit(made)).metadata["type"]
        return ""

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(admit, pair)) == ["", "KEY_IN_USE"]
    assert sorted(organisation_stands(mesh, made) for made in pair) == [False, True]


def test_nobody_is_admitted_who_did_not_accept(mesh: Mesh, invitations: Invitations) -> None:
    """The refusal says what has become of the invitation."""

    def only_made() -> pb.Invitation:
        return invitations.make()

    def withdrawn() -> pb.Invitation:
        made = invitations.make()
        invitations.accept(made)
        return invitations.withdraw(made)

    def expired() -> pb.Invitation:
        made = invitations.make()
        invitations.accept(made)
        invitations.pass_time(made)
        return made

    for make, state in ((only_made, "INVITED"), (withdrawn, "WITHDRAWN"), (expired, "EXPIRED")):
        made = make()
        refused = Refused.by(partial(invitations.admit, made))
        assert (refused.code, refused.metadata["type"]) == (
            grpc.StatusCode.FAILED_PRECONDITION,
            f"INVITATION_{state}",
        )
        assert not organisation_stands(mesh, made)
    missing = Refused.by(lambda: invitations.admit(pb.Invitation(name=new_name())))
    assert (missing.code, missing.details) == (grpc.StatusCode.NOT_FOUND, ("ErrorInfo", "ResourceInfo"))


def test_admitting_has_one_effect(mesh: Mesh, invitations: Invitations) -> None:
    """Twice one after the other, and eight times at once; the same request again has the same answer."""
    made, request_id = invitations.make(), str(uuid.uuid4())
    invitations.accept(made)
    first = invitations.admit(made, request_id=request_id)
    assert invitations.admit(made, request_id=request_id) == first
    refused = Refused.by(lambda: invitations.admit(made))
    assert (refused.code, refused.metadata["type"]) == (grpc.StatusCode.FAILED_PRECONDITION, "INVITATION_ADMITTED")
    raced = invitations.make()
    invitations.accept(raced)
    before = leaves(mesh).count("identity.invitation.admitted")

    def admit(_: int) -> str:
        try:
            return pb.InvitationState.Name(invitations.admit(raced).state)
        except grpc.RpcError as error:
            return error.code().name

    with ThreadPoolExecutor(8) as pool:
        outcomes = sorted(pool.map(admit, range(8)))
    assert outcomes == ["FAILED_PRECONDITION"] * 7 + ["INVITATION_STATE_ADMITTED"]
    assert leaves(mesh).count("identity.invitation.admitted") == before + 1


def test_an_id_that_was_taken_meanwhile(mesh: Mesh, invitations: Invitations) -> None:
    """Is said to be taken; the invitation stays as it was, and no half of it is made. Nobody is invited to become who
    is there.
    """
    made = invitations.make()
    invitations.accept(made)
    before = invitations.get(made.name)
    name = mesh.admit(made.organisation_id)
    refused = Refused.by(lambda: invitations.admit(made))
    assert (refused.code, refused.metadata["resource"]) == (grpc.StatusCode.ALREADY_EXISTS, name)
    assert invitations.get(made.name) == before
    assert query(mesh, "SELECT count(*) FROM identity.systems WHERE organisation = %s", name) == [(0,)]
    again = Refused.by(lambda: invitations.make(made.organisation_id))
    assert (again.code, again.metadata["resource"]) == (grpc.StatusCode.ALREADY_EXISTS, name)


def test_who_admits_says_what_they_looked_at(invitations: Invitations) -> None:
    """An invitation that was accepted since it was read is not admitted or withdrawn by that reading."""
    made = invitations.make()
    invitations.accept(made)
    for act in (invitations.admit, invitations.withdraw):
        refused = Refused.by(partial(act, made, etag=made.etag))
        assert (refused.code, refused.reason) == (grpc.StatusCode.ABORTED, "STALE")


def test_withdrawing(invitations: Invitations) -> None:
    """Twice is once; who was admitted is a member and is not withdrawn."""
    made = invitations.make()
    first = invitations.withdraw(made, request_id=str(uuid.uuid4()))
    assert first.state == pb.INVITATION_STATE_WITHDRAWN
    assert invitations.withdraw(made) == first
    admitted = invitations.make()
    invitations.accept(admitted)
    invitations.admit(admitted)
    refused = Refused.by(lambda: invitations.withdraw(admitted))
    assert (refused.code, refused.metadata["type"]) == (grpc.StatusCode.FAILED_PRECONDITION, "INVITATION_ADMITTED")


def test_a_list_has_every_invitation_once(invitations: Invitations) -> None:
    """By name, in pages, without a code."""
    made = {invitations.make().name for _ in range(5)}
    names: list[str] = []
    request = pb.ListInvitationsRequest(page_size=2)
    for _ in range(200):
        answer = invitations.stub.ListInvitations(request, metadata=invitations.operator)
        assert not any(found.code for found in answer.invitations)
        names += [found.name for found in answer.invitations]
        request.page_token = answer.next_page_token
        if not request.page_token:
            break
    assert names == sorted(set(names))
    assert made <= set(names)
    request.page_token = "bm90aGluZw"
    refused = Refused.by(lambda: invitations.stub.ListInvitations(request, metadata=invitations.operator))
    assert refused.reason == "CURSOR_INVALID"


def test_old_invitations_are_forgotten(mesh: Mesh, invitations: Invitations) -> None:
    """90 days after their time; younger ones stay, as expired."""
    old, young = invitations.make(), invitations.make()
    invitations.pass_time(old, days=91)
    invitations.pass_time(young, days=89)
    jobs = mesh.jobs()
    Sweep(jobs, "test", EXPIRED).run()
    jobs.close()
    assert Refused.by(lambda: invitations.get(old.name)).code is grpc.StatusCode.NOT_FOUND
    assert invitations.get(young.name).state == pb.INVITATION_STATE_EXPIRED
