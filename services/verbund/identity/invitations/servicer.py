"""InvitationService: protos in, domain, protos out."""

import dataclasses
from datetime import datetime

from verbund.clock import Clock
from verbund.database.database import Database
from verbund.database.rows import Transaction
from verbund.identity.invitations.domain import Invitation, State, expiry, new_code, proven, refused
from verbund.identity.invitations.store import InvitationStore, key_taken
from verbund.identity.leaves import answered, owed
from verbund.identity.organisations import servicer as organisation_servicer
from verbund.identity.organisations.domain import Organisation
from verbund.identity.organisations.store import OrganisationStore
from verbund.identity.systems import jwk
from verbund.identity.systems import servicer as system_servicer
from verbund.identity.systems.domain import Key, System
from verbund.identity.systems.jwk import Jwk
from verbund.identity.systems.store import SystemStore
from verbund.identity.v1 import invitation_service_pb2 as pb
from verbund.identity.v1.system_service_pb2 import SystemKey
from verbund.resources.names import InvitationName, OrganisationName, SystemName, last
from verbund.resources.pages import Page
from verbund.resources.times import timestamp
from verbund.serving.call import Call
from verbund.serving.refusals import Absent, Exists, Invalid

STATES = {
    State.INVITED: pb.INVITATION_STATE_INVITED,
    State.ACCEPTED: pb.INVITATION_STATE_ACCEPTED,
    State.ADMITTED: pb.INVITATION_STATE_ADMITTED,
    State.WITHDRAWN: pb.INVITATION_STATE_WITHDRAWN,
    State.EXPIRED: pb.INVITATION_STATE_EXPIRED,
}


class InvitationServicer:
    """The invitations of the mesh."""

    service = pb.DESCRIPTOR.services_by_name["InvitationService"]

    def __init__(
        self,
        *,
        database: Database,
        invitations: InvitationStore,
        organisations: OrganisationStore,
        systems: SystemStore,
        clock: Clock,
    ) -> None:
        self._database = database
        self._invitations = invitations
        self._organisations = organisations
        self._systems = systems
        self._clock = clock

    def CreateInvitation(self, request: pb.CreateInvitationRequest, call: Call) -> pb.Invitation:
        """Invites. The code is in this answer alone: what is kept for a repetition of the request is without it, since
        whoever reads the table of answers must not be able to join.
        """
        now, code = self._clock(), new_code()
        new = invited(request.invitation, code=code, call=call, at=now)
        with self._database.transaction(call) as tx:
            self._refuse_member(tx, new.organisation)
            self._invitations.insert(tx, new)
            kept = answered(tx, call, "created", to_proto(new, at=now), organisation=new.organisation)
        told = pb.Invitation(code=code)
        told.MergeFrom(kept)
        return told

    def GetInvitation(self, request: pb.GetInvitationRequest, call: Call) -> pb.Invitation:
        """Reads one invitation."""
        with self._database.read(call) as rows:
            return to_proto(self._invitations.find(rows, InvitationName(request.name)), at=self._clock())

    def ListInvitations(self, request: pb.ListInvitationsRequest, call: Call) -> pb.ListInvitationsResponse:
        """Lists the invitations."""
        page = Page.asked(request, call.organisation)
        with self._database.read(call) as rows:
            found = self._invitations.list(rows, after=page.after, size=page.limit)
        shown = [to_proto(invitation, at=self._clock()) for invitation in page.shown(found)]
        return pb.ListInvitationsResponse(invitations=shown, next_page_token=page.next_token(found))

    def WithdrawInvitation(self, request: pb.WithdrawInvitationRequest, call: Call) -> pb.Invitation:
        """Ends an invitation."""
        now = self._clock()
        with self._database.transaction(call) as tx:
            present = self._invitations.lock(tx, InvitationName(request.name))
            present.check(request.etag)
            changed = present.withdrawn(at=now)
            if changed is present:
                return tx.answer(to_proto(present, at=now))
            self._invitations.save(tx, changed)
            return answered(tx, call, "withdrawn", to_proto(changed, at=now), organisation=changed.organisation)

    def AcceptInvitation(self, request: pb.AcceptInvitationRequest, call: Call) -> pb.AcceptInvitationResponse:
        """Accepts. A wrong code is counted, so its transaction commits before the refusal."""
        key = jwk.parse(request.jwk)
        name = InvitationName(request.name)
        with self._database.transaction(acting_for(name, call)) as tx:
            present = proven(self._invitations.lock_if_any(tx, name), request.code)
            if present is not None:
                return self._accepted(tx, call, present, key, request.organisation_title)
            self._invitations.miss(tx, name)
        raise refused(call)

    def AdmitInvitation(self, request: pb.AdmitInvitationRequest, call: Call) -> pb.Invitation:
        """Makes the organisation and its system, with the key that was sent."""
        now = self._clock()
        with self._database.transaction(call) as tx:
            present = self._invitations.lock(tx, InvitationName(request.name))
            present.check(request.etag)
            admitted = present.admitted(call=call, at=now)
            self._admit(tx, call, admitted, at=now)
            self._invitations.save(tx, admitted)
            return answered(tx, call, "admitted", to_proto(admitted, at=now), organisation=admitted.organisation)

    def _accepted(
        self, tx: Transaction, call: Call, present: Invitation, key: Jwk, title: str
    ) -> pb.AcceptInvitationResponse:
        """Decides and saves for whoever proved the code."""
        now = self._clock()
        changed = present.accepted(key, title, call=call, at=now)
        if changed is not present:
            if self._invitations.key_in_use(tx, key.kid):
                raise Invalid("jwk", "is the key of a system already: make a new key")
            self._invitations.save(tx, changed)
            owed(tx, call, "accepted", to_proto(changed, at=now), organisation=changed.organisation)
        return to_acceptance(changed, kid=key.kid, at=now)

    def _admit(self, tx: Transaction, call: Call, invitation: Invitation, *, at: datetime) -> None:
        """The organisation and its system, as their own services make them; raises Exists or StateForbids."""
        assert invitation.key is not None  # of an accepted one
        key = invitation.key.jwk
        if self._invitations.key_in_use(tx, key.kid):
            raise key_taken(invitation)
        organisation = Organisation.admitted(invitation.organisation, invitation.confirmed_title, at=at)
        self._organisations.insert(tx, organisation)
        owed(tx, call, "created", organisation_servicer.to_proto(organisation), organisation=organisation.name)
        system = System.registered(
            invitation.system,
            invitation.system_title,
            organisation=organisation.name,
            roles=invitation.roles,
            jwk=key,
            at=at,
        )
        self._systems.insert(tx, system)
        owed(tx, call, "created", system_servicer.to_proto(system), organisation=organisation.name)

    def _refuse_member(self, tx: Transaction, name: OrganisationName) -> None:
        """Raises Exists where the organisation stands: nobody is invited to become it."""
        try:
            self._organisations.find(tx, name)
        except Absent:
            return
        raise Exists(name)


def invited(asked: pb.Invitation, *, code: str, call: Call, at: datetime) -> Invitation:
    """The invitation that is asked for; raises Invalid."""
    organisation = OrganisationName(f"organisations/{asked.organisation_id}")
    return Invitation.made(
        organisation,
        asked.organisation_title,
        system=SystemName(f"{organisation}/systems/{asked.system_id}"),
        system_title=asked.system_title,
        roles=asked.roles,
        code=code,
        creator=call.principal.subject,
        expire_time=expiry(asked.expire_time.seconds if asked.HasField("expire_time") else None, at=at),
        at=at,
    )


def acting_for(name: InvitationName, call: Call) -> Call:
    """The call of somebody unknown, as the invitation itself: row-level security shows it that one and nothing else."""
    principal = dataclasses.replace(call.principal, organisation=OrganisationName(name))
    return dataclasses.replace(call, principal=principal)


def to_proto(invitation: Invitation, *, at: datetime) -> pb.Invitation:
    """The invitation as operators see it."""
    return pb.Invitation(
        name=invitation.name,
        organisation_id=last(invitation.organisation),
        organisation_title=invitation.organisation_title,
        system_id=last(invitation.system),
        system_title=invitation.system_title,
        roles=invitation.roles,
        state=STATES[invitation.state_at(at)],
        expire_time=timestamp(invitation.expire_time),
        confirmed_title=invitation.confirmed_title,
        key=key_to_proto(invitation.key),
        creator=invitation.creator,
        etag=invitation.etag,
        create_time=timestamp(invitation.create_time),
        update_time=timestamp(invitation.update_time),
    )


def key_to_proto(key: Key | None) -> SystemKey | None:
    """The key that was sent, if any was."""
    if key is None:
        return None
    return SystemKey(kid=key.jwk.kid, jwk=key.jwk.text, create_time=timestamp(key.create_time))


def to_acceptance(invitation: Invitation, *, kid: str, at: datetime) -> pb.AcceptInvitationResponse:
    """What whoever accepted is told."""
    return pb.AcceptInvitationResponse(
        name=invitation.name,
        organisation=invitation.organisation,
        system=invitation.system,
        kid=kid,
        state=STATES[invitation.state_at(at)],
        expire_time=timestamp(invitation.expire_time),
    )
