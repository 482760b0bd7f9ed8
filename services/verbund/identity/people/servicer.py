"""PersonService: protos in, domain, protos out."""

import hashlib
from datetime import timedelta

from verbund.clock import Clock
from verbund.database.database import Database
from verbund.identity.keys.publication import Publisher
from verbund.identity.organisations.store import OrganisationStore
from verbund.identity.people.domain import Person, refuse_stranger
from verbund.identity.people.store import PersonStore
from verbund.identity.v1 import person_service_pb2 as pb
from verbund.resources.names import OrganisationName, PersonName
from verbund.resources.pages import Page
from verbund.resources.times import timestamp
from verbund.serving.call import Call


class PersonServicer:
    """The people who signed in to the mesh."""

    service = pb.DESCRIPTOR.services_by_name["PersonService"]

    def __init__(
        self,
        *,
        database: Database,
        organisations: OrganisationStore,
        people: PersonStore,
        publisher: Publisher,
        tokens_end: timedelta,
        clock: Clock,
    ) -> None:
        self._database = database
        self._organisations = organisations
        self._people = people
        self._publisher = publisher
        self._tokens_end = tokens_end
        self._clock = clock

    def GetPerson(self, request: pb.GetPersonRequest, call: Call) -> pb.Person:
        """Reads one person."""
        name = PersonName(request.name)
        refuse_stranger(name, call)
        with self._database.read(call) as rows:
            return to_proto(self._people.find(rows, name))

    def ListPeople(self, request: pb.ListPeopleRequest, call: Call) -> pb.ListPeopleResponse:
        """Lists an organisation's people: those of another organisation look as if it had none."""
        parent = OrganisationName(request.parent)
        page = Page.asked(request, call.organisation)
        with self._database.read(call) as rows:
            found = self._people.list(rows, parent, after=page.after, size=page.limit)
            if not found:
                self._organisations.find(rows, parent)
        shown = [to_proto(person) for person in page.shown(found)]
        return pb.ListPeopleResponse(people=shown, next_page_token=page.next_token(found))

    def ErasePerson(self, request: pb.ErasePersonRequest, call: Call) -> pb.ErasePersonResponse:
        """Erases; the tokens end with the publication, which is not waited for longer than a moment.

        The leaf that is owed to the log holds nothing of the person: its digest is that of the answer, which is empty.
        """
        name = PersonName(request.name)
        with self._database.transaction(call) as tx:
            self._people.erase(tx, name)
            self._people.revoke(tx, name, call.organisation, self._clock() + self._tokens_end)
            answer = tx.answer(pb.ErasePersonResponse())
            digest = hashlib.sha256(answer.SerializeToString(deterministic=True)).digest()
            tx.intend("identity.person.erased", name, digest, [call.organisation])
        self._publisher.publish_soon()
        return answer


def to_proto(person: Person) -> pb.Person:
    """The person as those see them who may."""
    return pb.Person(
        name=person.name,
        provider=person.provider,
        home_subject=person.home_subject,
        display_name=person.display_name,
        email=person.email,
        create_time=timestamp(person.create_time),
        update_time=timestamp(person.update_time),
    )
