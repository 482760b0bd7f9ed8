"""SystemService: protos in, domain, protos out."""

from collections.abc import Callable

from verbund.clock import Clock
from verbund.database.database import Database
from verbund.identity.keys.publication import Publisher
from verbund.identity.leaves import answered
from verbund.identity.organisations.domain import State
from verbund.identity.organisations.store import OrganisationStore
from verbund.identity.systems import jwk
from verbund.identity.systems.domain import System, refuse_giving
from verbund.identity.systems.store import SystemStore
from verbund.identity.v1 import system_service_pb2 as pb
from verbund.resources.names import OrganisationName, SystemName
from verbund.resources.pages import Page
from verbund.resources.times import timestamp
from verbund.serving.call import Call

STATES = {State.ACTIVE: pb.SYSTEM_STATE_ACTIVE, State.SUSPENDED: pb.SYSTEM_STATE_SUSPENDED}

Change = (
    pb.AddSystemKeyRequest
    | pb.RemoveSystemKeyRequest
    | pb.SetSystemSignOnRequest
    | pb.SuspendSystemRequest
    | pb.ResumeSystemRequest
)


class SystemServicer:
    """The IT systems of organisations."""

    service = pb.DESCRIPTOR.services_by_name["SystemService"]

    def __init__(
        self,
        *,
        database: Database,
        organisations: OrganisationStore,
        systems: SystemStore,
        publisher: Publisher,
        clock: Clock,
    ) -> None:
        self._database = database
        self._organisations = organisations
        self._systems = systems
        self._publisher = publisher
        self._clock = clock

    def CreateSystem(self, request: pb.CreateSystemRequest, call: Call) -> pb.System:
        """Registers a system with its first key."""
        parent = OrganisationName(request.parent)
        refuse_giving(request.system.roles, call)
        key = jwk.parse(request.jwk)
        with self._database.transaction(call) as tx:
            self._organisations.find(tx, parent).refuse_stranger(call)
            new = System.registered(
                SystemName(f"{parent}/systems/{request.system_id}"),
                request.system.title,
                organisation=parent,
                roles=request.system.roles,
                jwk=key,
                at=self._clock(),
            )
            self._systems.insert(tx, new)
            return answered(tx, call, "created", to_proto(new), organisation=parent)

    def GetSystem(self, request: pb.GetSystemRequest, call: Call) -> pb.System:
        """Reads one system."""
        with self._database.read(call) as rows:
            return to_proto(self._systems.find(rows, SystemName(request.name)))

    def ListSystems(self, request: pb.ListSystemsRequest, call: Call) -> pb.ListSystemsResponse:
        """Lists an organisation's systems: those of another organisation look as if it had none."""
        parent = OrganisationName(request.parent)
        page = Page.asked(request, call.organisation)
        with self._database.read(call) as rows:
            found = self._systems.list(rows, parent, after=page.after, size=page.limit)
            if not found:
                self._organisations.find(rows, parent)
        shown = [to_proto(system) for system in page.shown(found)]
        return pb.ListSystemsResponse(systems=shown, next_page_token=page.next_token(found))

    def AddSystemKey(self, request: pb.AddSystemKeyRequest, call: Call) -> pb.System:
        """Adds a public key."""
        key = jwk.parse(request.jwk)
        return self._change(request, call, "key_added", lambda system: system.with_key(key, at=self._clock()))

    def RemoveSystemKey(self, request: pb.RemoveSystemKeyRequest, call: Call) -> pb.System:
        """Removes a public key."""
        return self._change(
            request, call, "key_removed", lambda system: system.without_key(request.kid, at=self._clock())
        )

    def SetSystemSignOn(self, request: pb.SetSystemSignOnRequest, call: Call) -> pb.System:
        """Says where people who sign on to it come back to."""
        return self._change(
            request,
            call,
            "sign_on_set",
            lambda system: system.signed_on_at(
                request.redirect_uris,
                request.post_logout_redirect_uris,
                public_client=request.public_client,
                at=self._clock(),
            ),
        )

    def SuspendSystem(self, request: pb.SuspendSystemRequest, call: Call) -> pb.System:
        """Suspends; the tokens end with the publication, which is not waited for longer than a moment."""
        answer = self._change(request, call, "suspended", lambda system: system.suspended(call=call, at=self._clock()))
        self._publisher.publish_soon()
        return answer

    def ResumeSystem(self, request: pb.ResumeSystemRequest, call: Call) -> pb.System:
        """Ends a suspension."""
        answer = self._change(request, call, "resumed", lambda system: system.resumed(at=self._clock()))
        self._publisher.publish_soon()
        return answer

    def _change(
        self,
        request: Change,
        call: Call,
        verb: str,
        decide: Callable[[System], System],
    ) -> pb.System:
        """Load, decide, save, show."""
        with self._database.transaction(call) as tx:
            present = self._systems.lock(tx, SystemName(request.name))
            refuse_giving(present.roles, call)
            present.check(request.etag)
            changed = decide(present)
            if changed is present:
                return tx.answer(to_proto(present))
            self._systems.save(tx, changed)
            return answered(tx, call, verb, to_proto(changed), organisation=changed.organisation)


def to_proto(system: System) -> pb.System:
    """The system as callers see it."""
    return pb.System(
        name=system.name,
        title=system.title,
        roles=system.roles,
        keys=[
            pb.SystemKey(kid=key.jwk.kid, jwk=key.jwk.text, create_time=timestamp(key.create_time))
            for key in system.keys
        ],
        state=STATES[system.state],
        etag=system.etag,
        create_time=timestamp(system.create_time),
        update_time=timestamp(system.update_time),
        redirect_uris=system.redirect_uris,
        post_logout_redirect_uris=system.post_logout_redirect_uris,
        public_client=system.public_client,
    )
