"""OrganisationService: protos in, domain, protos out."""

from verbund.clock import Clock
from verbund.database.database import Database
from verbund.database.rows import Transaction
from verbund.identity.keys.publication import Publisher
from verbund.identity.leaves import answered
from verbund.identity.organisations.domain import Organisation, State
from verbund.identity.organisations.store import OrganisationStore
from verbund.identity.v1 import organisation_service_pb2 as pb
from verbund.resources import masks
from verbund.resources.names import OrganisationName
from verbund.resources.pages import Page
from verbund.resources.times import timestamp
from verbund.serving.call import Call

CHANGEABLE = ("title",)
STATES = {State.ACTIVE: pb.ORGANISATION_STATE_ACTIVE, State.SUSPENDED: pb.ORGANISATION_STATE_SUSPENDED}


class OrganisationServicer:
    """The organisations of the mesh."""

    service = pb.DESCRIPTOR.services_by_name["OrganisationService"]

    def __init__(
        self, *, database: Database, organisations: OrganisationStore, publisher: Publisher, clock: Clock
    ) -> None:
        self._database = database
        self._organisations = organisations
        self._publisher = publisher
        self._clock = clock

    def CreateOrganisation(self, request: pb.CreateOrganisationRequest, call: Call) -> pb.Organisation:
        """Admits an organisation."""
        name = OrganisationName(f"organisations/{request.organisation_id}")
        with self._database.transaction(call) as tx:
            new = Organisation.admitted(name, request.organisation.title, at=self._clock())
            self._organisations.insert(tx, new)
            return answered(tx, call, "created", to_proto(new), organisation=new.name)

    def GetOrganisation(self, request: pb.GetOrganisationRequest, call: Call) -> pb.Organisation:
        """Reads one organisation."""
        with self._database.read(call) as rows:
            return to_proto(self._organisations.find(rows, OrganisationName(request.name)))

    def ListOrganisations(self, request: pb.ListOrganisationsRequest, call: Call) -> pb.ListOrganisationsResponse:
        """Lists the active organisations."""
        page = Page.asked(request, call.organisation)
        with self._database.read(call) as rows:
            found = self._organisations.list(rows, after=page.after, size=page.limit)
        shown = [to_proto(organisation) for organisation in page.shown(found)]
        return pb.ListOrganisationsResponse(organisations=shown, next_page_token=page.next_token(found))

    def UpdateOrganisation(self, request: pb.UpdateOrganisationRequest, call: Call) -> pb.Organisation:
        """Changes the title."""
        name = OrganisationName(request.organisation.name)
        chosen = masks.paths(request.update_mask, request.organisation, CHANGEABLE)
        with self._database.transaction(call) as tx:
            self._organisations.find(tx, name).refuse_stranger(call)
            present = self._organisations.lock(tx, name)
            present.check(request.organisation.etag)
            changed = present.retitled(request.organisation.title, at=self._clock()) if chosen else present
            return self._saved(tx, call, "updated", present, changed)

    def SuspendOrganisation(self, request: pb.SuspendOrganisationRequest, call: Call) -> pb.Organisation:
        """Suspends; the tokens end with the publication, which is not waited for longer than a moment."""
        with self._database.transaction(call) as tx:
            present = self._organisations.lock(tx, OrganisationName(request.name))
            present.check(request.etag)
            answer = self._saved(tx, call, "suspended", present, present.suspended(call=call, at=self._clock()))
        self._publisher.publish_soon()
        return answer

    def ResumeOrganisation(self, request: pb.ResumeOrganisationRequest, call: Call) -> pb.Organisation:
        """Ends a suspension."""
        with self._database.transaction(call) as tx:
            present = self._organisations.lock(tx, OrganisationName(request.name))
            present.check(request.etag)
            answer = self._saved(tx, call, "resumed", present, present.resumed(at=self._clock()))
        self._publisher.publish_soon()
        return answer

    def _saved(
        self, tx: Transaction, call: Call, verb: str, present: Organisation, changed: Organisation
    ) -> pb.Organisation:
        """Saves what changed, if anything did, and answers."""
        if changed is present:
            return tx.answer(to_proto(present))
        self._organisations.save(tx, changed)
        return answered(tx, call, verb, to_proto(changed), organisation=changed.name)


def to_proto(organisation: Organisation) -> pb.Organisation:
    """The organisation as callers see it."""
    return pb.Organisation(
        name=organisation.name,
        title=organisation.title,
        state=STATES[organisation.state],
        etag=organisation.etag,
        create_time=timestamp(organisation.create_time),
        update_time=timestamp(organisation.update_time),
    )
