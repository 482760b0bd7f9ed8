"""What every page knows of deliveries and of organisations: whose turn it is, and what the organisations are called."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from verbund.console.routes import DELIVERIES_PATH
from verbund.console.site.formats import time_of
from verbund.console.site.kept import Kept
from verbund.console.site.peers import Asking, Later
from verbund.exchange.v1 import delivery_service_pb2 as pb
from verbund.exchange.v1 import mailbox_service_pb2 as mailboxes
from verbund.exchange.v1.delivery_service_pb2_grpc import DeliveryServiceStub
from verbund.exchange.v1.mailbox_service_pb2_grpc import MailboxServiceStub
from verbund.identity.v1 import organisation_service_pb2 as organisations
from verbund.identity.v1.organisation_service_pb2_grpc import OrganisationServiceStub
from verbund.resources.names import last, organisation_of
from verbund.sdk.refusals import Refused

MAILBOXES_MAX = 20
DELIVERIES_MAX = 100  # of each mailbox, and of what is sent
TITLES_MAX = 100  # organisations on one page
TITLE_SECONDS = 60.0
SENT_OPEN = (
    pb.DELIVERY_STATE_DRAFT,
    pb.DELIVERY_STATE_AVAILABLE,
    pb.DELIVERY_STATE_CLAIMED,
    pb.DELIVERY_STATE_REJECTED,
    pb.DELIVERY_STATE_EXPIRED,
)
RECEIVED_OPEN = (pb.DELIVERY_STATE_AVAILABLE, pb.DELIVERY_STATE_CLAIMED)


class Titles:
    """What organisations are called. Every member may know, so that what one was told is good for all for a minute."""

    def __init__(self) -> None:
        self._titles = Kept[str](TITLE_SECONDS)

    def of(self, asking: Asking, names: Iterable[str]) -> Mapping[str, str]:
        """The titles by name, those not known asked for at once; an organisation without is called by its id."""
        wanted = list(islice(dict.fromkeys(name for name in names if name), TITLES_MAX))
        under_way = [(name, self._ask(asking, name)) for name in wanted if self.known(name) is None]
        for name, later in under_way:
            try:
                found = later.result_if_known()
            except Refused:  # identity is away: a page without a title is worth more than none
                continue
            self._titles.keep(name, found.title if found else last(name))
        return Called({name: title for name in wanted if (title := self.known(name)) is not None})

    def known(self, name: str) -> str | None:
        """A title that is known already."""
        return self._titles.get(name)

    @staticmethod
    def _ask(asking: Asking, name: str) -> "Later[Any]":
        request = organisations.GetOrganisationRequest(name=name)
        return asking.later("identity", lambda channel: OrganisationServiceStub(channel).GetOrganisation, request)


class Called(dict[str, str]):
    """Titles by name; whose is not known is called by its id."""

    def __missing__(self, name: str) -> str:
        return last(name)


@dataclass(frozen=True, slots=True)
class Found:
    """Deliveries, and whether there are more than were looked at."""

    deliveries: list[pb.Delivery]
    more: bool


class Mail:
    """The deliveries of the person's organisation: the calls begin with it, and `found` waits for them.

    States and a project say which; none means all.
    """

    def __init__(
        self,
        asking: Asking,
        organisation: str,
        *,
        sent: Iterable["pb.DeliveryState.ValueType"] = (),
        received: Iterable["pb.DeliveryState.ValueType"] = (),
        project: str = "",
    ) -> None:
        self._asking = asking
        self._project = project
        self._received = tuple(received)
        self._sent = self._list(organisation, sent)
        request = mailboxes.ListMailboxesRequest(parent=organisation, page_size=MAILBOXES_MAX)
        self._mailboxes = asking.later("exchange", lambda channel: MailboxServiceStub(channel).ListMailboxes, request)

    def found(self) -> Found:
        """What is sent, and what the mailboxes hold. Raises Refused."""
        listed = self._mailboxes.result()
        received = [self._list(mailbox.name, self._received) for mailbox in listed.mailboxes]
        answers = [later.result() for later in (self._sent, *received)]
        # What an organisation sends to itself is in both.
        unique = {each.name: each for answer in answers for each in answer.deliveries}
        more = bool(listed.next_page_token) or any(answer.next_page_token for answer in answers)
        return Found(list(unique.values()), more)

    def _list(self, parent: str, states: Iterable["pb.DeliveryState.ValueType"]) -> "Later[Any]":
        request = pb.ListDeliveriesRequest(
            parent=parent, page_size=DELIVERIES_MAX, states=states, project=self._project
        )
        return self._asking.later("exchange", lambda channel: DeliveryServiceStub(channel).ListDeliveries, request)


@dataclass(frozen=True, slots=True)
class Errand:
    """A delivery as a list shows it: what, with whom, whose turn it is to do what, until when."""

    address: str
    subject: str
    state: str
    outgoing: bool
    other: str  # the organisation on the other side
    next: str  # the organisation whose turn it is; empty where it is nobody's
    action: str
    due: datetime | None

    @property
    def order(self) -> tuple[bool, float, str]:
        """The most urgent first, then what has no end."""
        return (self.due is None, self.due.timestamp() if self.due else 0.0, self.address)


def errand_of(delivery: pb.Delivery, organisation: str) -> Errand:
    """A delivery as the people of an organisation see it."""
    outgoing = delivery.sender == organisation
    due = time_of(delivery.next.due_time) if delivery.next.HasField("due_time") else None
    return Errand(
        address=address_of(delivery.name),
        subject=delivery.subject,
        state=pb.DeliveryState.Name(delivery.state).removeprefix("DELIVERY_STATE_"),
        outgoing=outgoing,
        other=organisation_of(delivery.mailbox) if outgoing else delivery.sender,
        next=delivery.next.organisation,
        action=pb.NextAction.Name(delivery.next.action).removeprefix("NEXT_ACTION_"),
        due=due,
    )


def address_of(delivery: str) -> str:
    """Where a delivery's page is."""
    return f"{DELIVERIES_PATH}{organisation_of(delivery).partition('/')[2]}/{last(delivery)}"
