"""Invitations, as those who run the mesh and those who are invited deal with them."""

import uuid
from dataclasses import dataclass
from typing import Any

import grpc
import psycopg
from joserfc.jwk import ECKey
from verbund.identity.v1 import invitation_service_pb2 as pb
from verbund.identity.v1.invitation_service_pb2_grpc import InvitationServiceStub

from tests.integration.identity.mesh import Mesh, Metadata, PrivateKey, public

TITLE = "Bezirksamt Mitte von Berlin"
DAY_SECONDS = 86_400
INVALID = (grpc.StatusCode.PERMISSION_DENIED, "INVITATION_INVALID")


@dataclass(frozen=True)
class Invitations:
    """The service, as those who run the mesh and those who are invited call it."""

    mesh: Mesh
    operator: Metadata

    @property
    def stub(self) -> InvitationServiceStub:
        return InvitationServiceStub(self.mesh.channel)

    def make(self, organisation_id: str | None = None, request_id: str = "", **changes: Any) -> pb.Invitation:
        """A new invitation, with its code."""
        return self.stub.CreateInvitation(creation(organisation_id, request_id, **changes), metadata=self.operator)

    def get(self, name: str) -> pb.Invitation:
        return self.stub.GetInvitation(pb.GetInvitationRequest(name=name), metadata=self.operator)

    def accept(
        self, invitation: pb.Invitation, key: PrivateKey | None = None, **changes: str
    ) -> pb.AcceptInvitationResponse:
        """As the invited organisation, which has no token."""
        return self.stub.AcceptInvitation(acceptance(invitation, key, **changes))

    def admit(self, invitation: pb.Invitation, **more: str) -> pb.Invitation:
        return self.stub.AdmitInvitation(
            pb.AdmitInvitationRequest(name=invitation.name, **more), metadata=self.operator
        )

    def withdraw(self, invitation: pb.Invitation, **more: str) -> pb.Invitation:
        return self.stub.WithdrawInvitation(
            pb.WithdrawInvitationRequest(name=invitation.name, **more), metadata=self.operator
        )

    def pass_time(self, invitation: pb.Invitation, days: int = 1) -> None:
        """Lets the invitation's time be over since so many days."""
        with psycopg.connect(self.mesh.dsn, user="postgres") as connection:
            connection.execute(
                "UPDATE identity.invitations SET expire_time = now() - %(days)s * interval '1 day',"
                " update_time = now() - %(days)s * interval '1 day' WHERE name = %(name)s",
                {"days": days, "name": invitation.name},
            )


def new_id() -> str:
    return f"o{uuid.uuid4().hex[:12]}"


def new_key() -> ECKey:
    return ECKey.generate_key("P-256")


def creation(organisation_id: str | None = None, request_id: str = "", **changes: Any) -> pb.CreateInvitationRequest:
    stated = {
        "organisation_id": organisation_id or new_id(),
        "organisation_title": "Bezirksamt Mitte",
        "system_id": "portal",
        "system_title": "Portal",
        "roles": ["admin", "system"],
    } | changes
    return pb.CreateInvitationRequest(invitation=pb.Invitation(**stated), request_id=request_id)


def acceptance(invitation: pb.Invitation, key: PrivateKey | None = None, **changes: str) -> pb.AcceptInvitationRequest:
    stated = {
        "name": invitation.name,
        "code": invitation.code,
        "jwk": public(key or new_key()),
        "organisation_title": TITLE,
    } | changes
    return pb.AcceptInvitationRequest(**stated)


def query(mesh: Mesh, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
    """What lies in the database, seen by its superuser."""
    with psycopg.connect(mesh.dsn, user="postgres") as connection:
        return connection.execute(statement, parameters).fetchall()


def leaves(mesh: Mesh) -> list[str]:
    """The types of the evidence intents so far."""
    statement = "SELECT convert_from(leaf, 'utf8')::json ->> 'type' FROM evidence.intents ORDER BY position"
    return [row[0] for row in query(mesh, statement)]


def organisation_stands(mesh: Mesh, invitation: pb.Invitation) -> bool:
    """Whether there is the organisation of an invitation."""
    name = f"organisations/{invitation.organisation_id}"
    return query(mesh, "SELECT count(*) FROM identity.organisations WHERE name = %s", name) == [(1,)]
