"""A delivery's page: its documents, its way so far, whose turn it is, and what the person can do."""

import dataclasses
import re
import uuid
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from starlette.responses import Response

from verbund.console.routes import DECISIONS_PATH
from verbund.console.site.desk import Desk
from verbund.console.site.formats import time_of
from verbund.console.site.mail import Errand, address_of, errand_of
from verbund.console.site.peers import Asking, Later
from verbund.console.site.projects import address_of as project_address
from verbund.console.site.visit import Text, Visit
from verbund.exchange.v1 import delivery_service_pb2 as pb
from verbund.exchange.v1 import mailbox_service_pb2 as mailboxes
from verbund.exchange.v1.delivery_service_pb2_grpc import DeliveryServiceStub
from verbund.exchange.v1.mailbox_service_pb2_grpc import MailboxServiceStub
from verbund.registry.v1 import project_service_pb2 as projects
from verbund.registry.v1.project_service_pb2_grpc import ProjectServiceStub
from verbund.resources.names import last
from verbund.serving.refusals import Absent

ENTRIES_MAX = 200
PATH = re.compile(r"([a-z][a-z0-9-]{0,62})/([a-z0-9][a-z0-9-]{0,62})", re.ASCII)
OPEN = (pb.DELIVERY_STATE_AVAILABLE, pb.DELIVERY_STATE_CLAIMED)
REASONS = tuple(name.removeprefix("REJECTION_REASON_") for name, number in pb.RejectionReason.items() if number)


@dataclass(frozen=True, slots=True)
class Typed:
    """What a person has typed, and what was wrong with it; `request_id` makes a repetition harmless."""

    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    reason: str = ""
    explanation: str = ""
    wrong: str = ""
    wrong_field: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """A step of the timeline."""

    event: str
    time: datetime
    who: str
    document: str
    next: str
    action: str
    due: datetime | None
    trace_id: str


@dataclass(frozen=True, slots=True)
class Offered:
    """What the person can do here."""

    decide: bool
    withdraw: bool
    taken: datetime | None  # until when somebody else of their organisation has it


def delivery_page(desk: Desk, visit: Visit, path: str, typed: Typed | None = None, status: int = 200) -> Response:
    """The page. Three rounds of calls at most: the delivery and its timeline, what it names, titles not yet known.

    Raises Absent and Refused.
    """
    asking = desk.asking(visit)
    name = name_of(path)
    visit = dataclasses.replace(visit, here=address_of(name))  # also where a form was sent to another address
    got, timeline = begun(asking, name)
    delivery: pb.Delivery = got.result()
    project, mailbox = project_of(asking, delivery), mailbox_of(asking, delivery)
    listed: pb.ListTimelineEntriesResponse = timeline.result()
    errand = errand_of(delivery, visit.organisation)
    titles = desk.titles.of(asking, [visit.organisation, delivery.sender, errand.other, delivery.receiver])
    box = mailbox.result_if_known()
    return visit.page(
        "delivery.html",
        status=status,
        delivery=delivery,
        errand=errand,
        entries=[entry_of(each, delivery) for each in listed.timeline_entries],
        more=bool(listed.next_page_token),
        mailbox=box.title if box else last(delivery.mailbox),
        project=project_title(visit, project),
        project_address=project_address(delivery.project) if delivery.project else "",
        offered=offered(visit, delivery, errand),
        downloads=visit.may("exchange.documents.read"),
        decisions=DECISIONS_PATH + address_of(name).partition("/deliveries/")[2],
        rejection=pb.RejectionReason.Name(delivery.rejection.reason).removeprefix("REJECTION_REASON_"),
        reasons=REASONS,
        typed=typed or Typed(),
        titles=titles,
        organisation_title=titles[visit.organisation],
    )


def name_of(path: str) -> str:
    """The delivery's name of `sender/delivery`; raises Absent."""
    found = PATH.fullmatch(path)
    if found is None:
        raise Absent(f"deliveries/{path}")
    return f"organisations/{found[1]}/deliveries/{found[2]}"


def begun(asking: Asking, name: str) -> tuple[Later[Any], Later[Any]]:
    """The delivery and its timeline, asked for at once."""
    entries = pb.ListTimelineEntriesRequest(parent=name, page_size=ENTRIES_MAX)
    return (
        asking.later(
            "exchange", lambda channel: DeliveryServiceStub(channel).GetDelivery, pb.GetDeliveryRequest(name=name)
        ),
        asking.later("exchange", lambda channel: DeliveryServiceStub(channel).ListTimelineEntries, entries),
    )


def project_of(asking: Asking, delivery: pb.Delivery) -> Later[Any] | None:
    """The project that a delivery concerns."""
    if not delivery.project:
        return None
    request = projects.GetProjectRequest(name=delivery.project)
    return asking.later("registry", lambda channel: ProjectServiceStub(channel).GetProject, request)


def project_title(visit: Visit, later: Later[Any] | None) -> Text | None:
    """What the project is called; None where the person may not know of it."""
    found = later.result_if_known() if later else None
    return visit.text(found.title) if found else None


def mailbox_of(asking: Asking, delivery: pb.Delivery) -> Later[Any]:
    """The mailbox that a delivery goes to."""
    request = mailboxes.GetMailboxRequest(name=delivery.mailbox)
    return asking.later("exchange", lambda channel: MailboxServiceStub(channel).GetMailbox, request)


def entry_of(entry: pb.TimelineEntry, delivery: pb.Delivery) -> Entry:
    """A step with the names of its document and of who was next."""
    named = {document.name: document.file_name for document in delivery.documents}
    return Entry(
        event=pb.TimelineEvent.Name(entry.event).removeprefix("TIMELINE_EVENT_"),
        time=time_of(entry.time),
        who=entry.organisation,
        document=named.get(entry.document, last(entry.document)),
        next=entry.next.organisation,
        action=pb.NextAction.Name(entry.next.action).removeprefix("NEXT_ACTION_"),
        due=time_of(entry.next.due_time) if entry.next.HasField("due_time") else None,
        trace_id=entry.trace_id,
    )


def offered(visit: Visit, delivery: pb.Delivery, errand: Errand) -> Offered:
    """What the person can do: what their roles allow, their organisation's part, and nobody else is at."""
    is_open = delivery.state in OPEN
    receives = is_open and delivery.receiver == visit.organisation and visit.may("exchange.deliveries.receive")
    claimant = delivery.claim.claimant
    free = not claimant or (visit.principal is not None and claimant == visit.principal.subject)
    return Offered(
        decide=receives and free,
        withdraw=is_open and errand.outgoing and visit.may("exchange.deliveries.send"),
        taken=None if free else time_of(delivery.claim.expire_time),
    )
