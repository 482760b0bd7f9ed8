"""An organisation joins by invitation: a code that is told once, a key that it makes itself, a look before it is in."""

import uuid
from datetime import UTC, datetime, timedelta

import grpc

from verbund.identity.invitations.joining import accept
from verbund.identity.v1 import invitation_service_pb2 as invitations
from verbund.identity.v1 import organisation_service_pb2 as organisations
from verbund.identity.v1.invitation_service_pb2_grpc import InvitationServiceStub
from verbund.identity.v1.organisation_service_pb2_grpc import OrganisationServiceStub
from verbund.sdk.client import Client
from verbund.sdk.refusals import Refused
from verbund.tour import members
from verbund.tour.mesh import Mesh
from verbund.tour.sample import Member
from verbund.tour.steps import StepFailed, Told

TIMEOUT_SECONDS = 15.0
DAYS = 14


def join(mesh: Mesh, member: Member) -> Told[None]:
    """The operator invites, the invited accepts with a key of its own, the operator compares it and admits."""
    operator = mesh.operator()
    if is_member(operator, member):
        members.accept_key(operator.channel, mesh.home, member)
        return Told(f"{member.title} has joined by invitation before.", None, {"organisation": member.organisation})
    invitation = invite(operator.channel, member)
    kid = accepted(mesh, member, invitation)
    admitted = admit(operator.channel, invitation.name, kid)
    mesh.wait_until_listed({member.system})
    line = f"{member.title} is invited, accepts with a key that it made itself, and is admitted."
    below = [f"{invitation.name}: the operator compares the key's thumbprint, {kid[:12]}…, before admitting"]
    return Told(line, None, {"organisation": member.organisation, "invitation": admitted.name, "kid": kid}, below)


def is_member(operator: Client, member: Member) -> bool:
    """Whether the organisation stands already."""
    request = organisations.GetOrganisationRequest(name=member.organisation)
    try:
        OrganisationServiceStub(operator.channel).GetOrganisation(request, timeout=TIMEOUT_SECONDS)
    except Refused as refused:
        if refused.code is not grpc.StatusCode.NOT_FOUND:
            raise
        return False
    return True


def invite(channel: grpc.Channel, member: Member) -> invitations.Invitation:
    """The invitation with its code, which goes to the invited and to nobody else."""
    wanted = invitations.Invitation(
        organisation_id=member.organisation_id,
        organisation_title=member.title,
        system_id=member.system_id,
        system_title=member.system_title,
        roles=member.roles,
    )
    wanted.expire_time.FromDatetime(datetime.now(UTC) + timedelta(days=DAYS))
    request = invitations.CreateInvitationRequest(invitation=wanted, request_id=str(uuid.uuid4()))
    return InvitationServiceStub(channel).CreateInvitation(request, timeout=TIMEOUT_SECONDS)


def accepted(mesh: Mesh, member: Member, invitation: invitations.Invitation) -> str:
    """The invited's own step, for which it needs no token; the value is the thumbprint of its key."""
    ready = mesh.ready()
    answer = accept(
        ready["gateway"],
        mesh.ca,
        invitation=invitation.name,
        code=invitation.code,
        key=members.key_of(mesh.home, member.system),
        title=member.title,
    )
    return answer.kid


def admit(channel: grpc.Channel, name: str, kid: str) -> invitations.Invitation:
    """Admits who accepted, where the key is the one that they told of."""
    stub = InvitationServiceStub(channel)
    seen = stub.GetInvitation(invitations.GetInvitationRequest(name=name), timeout=TIMEOUT_SECONDS)
    if seen.key.kid != kid:
        raise StepFailed("Somebody else accepted the invitation.", "withdraw it: `verbund org withdraw`")
    request = invitations.AdmitInvitationRequest(name=name, etag=seen.etag, request_id=str(uuid.uuid4()))
    return stub.AdmitInvitation(request, timeout=TIMEOUT_SECONDS)
