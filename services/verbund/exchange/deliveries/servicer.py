"""DeliveryService: load, decide, save, show."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message

from verbund.clock import Clock
from verbund.database.database import Database
from verbund.database.rows import Rows, Transaction
from verbund.exchange.deliveries.domain import (
    Delivery,
    Draft,
    Event,
    Rejection,
    Step,
    begun,
    require_own,
    require_room,
)
from verbund.exchange.deliveries.messages import states_of, to_proto
from verbund.exchange.deliveries.steps import Steps
from verbund.exchange.deliveries.store import DeliveryStore, Place, Wanted
from verbund.exchange.mailboxes.store import MailboxStore
from verbund.exchange.timeline import messages as timeline_messages
from verbund.exchange.timeline.feed import StepFeed, StepFollower
from verbund.exchange.timeline.messages import TOKENS
from verbund.exchange.timeline.store import TimelineStore
from verbund.exchange.timeline.tracing import origin_of_span
from verbund.exchange.v1 import delivery_service_pb2 as pb
from verbund.feeds.reading import horizon
from verbund.resources import pages
from verbund.resources.names import DeliveryName, MailboxName, OrganisationName
from verbund.serving.call import Call
from verbund.serving.watches import EndCause, Stream, Watch, Watches, watching

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
END_OF_TIME = (int(datetime(9999, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000, "")
Decide = Callable[[Transaction, Delivery, datetime], Delivery]


class DeliveryServicer:
    """Deliveries from one organisation to another."""

    service: ServiceDescriptor = pb.DESCRIPTOR.services_by_name["DeliveryService"]

    def __init__(
        self,
        *,
        database: Database,
        mailboxes: MailboxStore,
        deliveries: DeliveryStore,
        timeline: TimelineStore,
        steps: Steps,
        feed: StepFeed,
        watches: Watches,
        clock: Clock,
        drafts_max: int,
        waiting_max: int,
    ) -> None:
        self._database = database
        self._mailboxes = mailboxes
        self._deliveries = deliveries
        self._timeline = timeline
        self._steps = steps
        self._feed = feed
        self._watches = watches
        self._clock = clock
        self._drafts_max = drafts_max
        self._waiting_max = waiting_max

    def CreateDelivery(self, request: pb.CreateDeliveryRequest, call: Call) -> pb.Delivery:
        """Begins a draft; callers at once may begin a few more than there is room for."""
        require_own(request.parent, call)
        given = request.delivery
        with self._database.transaction(call) as tx:
            mailbox = self._mailboxes.find(tx, MailboxName(given.mailbox), call)
            mailbox.require_admitted(call)
            mailbox.require_open()
            drafts = self._deliveries.count_drafts(tx, call.organisation, limit=self._drafts_max)
            require_room(drafts, drafts_max=self._drafts_max)
            at = self._clock()
            draft = Draft(
                mailbox=mailbox.name,
                subject=given.subject,
                message=given.message,
                project=given.project,
                reference=given.reference,
            )
            delivery = begun(call.organisation, request.delivery_id, draft, origin=origin_of_span(), at=at)
            self._steps.begin(tx, Step(Event.CREATED, delivery, at), call)
            return tx.answer(to_proto(delivery, call.organisation))

    def GetDelivery(self, request: pb.GetDeliveryRequest, call: Call) -> pb.Delivery:
        """Reads one delivery."""
        with self._database.read(call) as rows:
            return to_proto(
                self._deliveries.find(rows, DeliveryName(request.name), call.organisation), call.organisation
            )

    def ListDeliveries(self, request: pb.ListDeliveriesRequest, call: Call) -> pb.ListDeliveriesResponse:
        """Lists what is sent or received, the newest first."""
        require_own(request.parent, call)
        arguments = pages.arguments_of(request, call.organisation)
        position = pages.decode(request.page_token, arguments, int, str) or END_OF_TIME
        size = pages.size(request.page_size)
        place = Place(time_of(int(position[0])), str(position[1]), size + 1)
        wanted = Wanted(states_of(request.states), request.project)
        sent = request.parent == call.organisation
        with self._database.read(call) as rows:
            if sent:
                found, full = self._deliveries.sent(rows, call.organisation, wanted, place)
            else:
                mailbox = self._mailboxes.find(rows, MailboxName(request.parent), call)
                found, full = self._deliveries.received(rows, mailbox.name, wanted, place)
        page = [delivery for delivery in found[:size] if call.organisation in delivery.parties]
        shown = [to_proto(delivery, call.organisation) for delivery in page]
        more = full or len(found) > size
        token = pages.encode(arguments, *position_of(found[:size][-1], sent=sent)) if more else ""
        return pb.ListDeliveriesResponse(deliveries=shown, next_page_token=token)

    def DeleteDelivery(self, request: pb.DeleteDeliveryRequest, call: Call) -> Empty:
        """Deletes a draft with its documents."""
        with self._database.transaction(call) as tx:
            delivery = self._deliveries.lock(tx, DeliveryName(request.name), call.organisation)
            delivery.require_sender(call)
            delivery.check(request.etag)
            delivery.require_draft()
            self._deliveries.delete(tx, delivery)
            return tx.answer(Empty())

    def SubmitDelivery(self, request: pb.SubmitDeliveryRequest, call: Call) -> pb.Delivery:
        """Hands a draft over, where its mailbox takes it now."""

        def decide(tx: Transaction, delivery: Delivery, at: datetime) -> Delivery:
            delivery.require_sender(call)
            delivery.require_draft()
            mailbox, waiting = self._mailboxes.find_counted(tx, delivery.mailbox, call, limit=self._waiting_max)
            mailbox.require_admitted(call)
            mailbox.require_place(waiting, waiting_max=self._waiting_max, call=call)
            return delivery.submitted(mailbox, at=at)

        return self._take_step(request, call, Event.SUBMITTED, decide)

    def WithdrawDelivery(self, request: pb.WithdrawDeliveryRequest, call: Call) -> pb.Delivery:
        """Takes a delivery back."""

        def decide(_: Transaction, delivery: Delivery, at: datetime) -> Delivery:
            delivery.require_sender(call)
            return delivery.withdrawn(at=at)

        return self._take_step(request, call, Event.WITHDRAWN, decide)

    def ClaimDelivery(self, request: pb.ClaimDeliveryRequest, call: Call) -> pb.Delivery:
        """Claims a delivery for as long as the caller or the mailbox says."""

        def decide(tx: Transaction, delivery: Delivery, at: datetime) -> Delivery:
            delivery.require_receiver(call)
            lease = timedelta(seconds=request.lease_seconds)
            if not lease:
                lease = self._mailboxes.find(tx, delivery.mailbox, call).lease
            return delivery.claimed(call.principal.subject, lease=lease, at=at)

        return self._take_step(request, call, Event.CLAIMED, decide)

    def ReleaseDelivery(self, request: pb.ReleaseDeliveryRequest, call: Call) -> pb.Delivery:
        """Gives the caller's claim back."""

        def decide(_: Transaction, delivery: Delivery, at: datetime) -> Delivery:
            delivery.require_receiver(call)
            return delivery.released(call.principal.subject, at=at)

        return self._take_step(request, call, Event.RELEASED, decide)

    def AcceptDelivery(self, request: pb.AcceptDeliveryRequest, call: Call) -> pb.Delivery:
        """Takes a delivery over."""

        def decide(_: Transaction, delivery: Delivery, at: datetime) -> Delivery:
            delivery.require_receiver(call)
            return delivery.accepted(call.principal.subject, manifest_sha256=request.manifest_sha256, at=at)

        return self._take_step(request, call, Event.ACCEPTED, decide)

    def RejectDelivery(self, request: pb.RejectDeliveryRequest, call: Call) -> pb.Delivery:
        """Does not take a delivery over."""
        rejection = Rejection(request.rejection.reason, request.rejection.explanation)

        def decide(_: Transaction, delivery: Delivery, at: datetime) -> Delivery:
            delivery.require_receiver(call)
            return delivery.rejected(call.principal.subject, rejection, at=at)

        return self._take_step(request, call, Event.REJECTED, decide)

    def ListTimelineEntries(self, request: pb.ListTimelineEntriesRequest, call: Call) -> pb.ListTimelineEntriesResponse:
        """Lists what happened to a delivery, the oldest first."""
        arguments = pages.arguments_of(request, call.organisation)
        after = pages.decode(request.page_token, arguments, int) or [0]
        size = pages.size(request.page_size)
        with self._database.read(call) as rows:
            delivery = self._deliveries.find(rows, DeliveryName(request.parent), call.organisation)
            found = self._timeline.of(rows, delivery.name, after=int(after[0]), size=size + 1)
        told = [entry.content for entry in found[:size] if call.organisation in entry.content.parties]
        token = pages.encode(arguments, found[size - 1].cursor.position) if len(found) > size else ""
        entries = [timeline_messages.to_proto(entry, call.organisation) for entry in told]
        return pb.ListTimelineEntriesResponse(timeline_entries=entries, next_page_token=token)

    @watching
    def WatchDeliveries(self, request: pb.WatchDeliveriesRequest, call: Call, stream: Stream) -> None:
        """Follows the steps of deliveries; the feed goes on sending after this returns."""
        require_own(request.parent, call)
        with self._database.read(call) as rows:
            self._require_parent(rows, request.parent, call)
            settled, newest = horizon(rows)
        after = TOKENS.cursor_of(request.resume_token, newest=newest) if request.resume_token else settled
        follower = StepFollower(call, request.parent, after)
        follower.begin(self._watches.open(call, stream, position=follower))
        self._feed.follow(follower, settled)

    def _require_parent(self, rows: Rows, parent: str, call: Call) -> None:
        """Raises Absent where a mailbox of the caller's own organisation is not there."""
        if parent != call.organisation:
            self._mailboxes.find(rows, MailboxName(parent), call)

    def _take_step(self, request: Any, call: Call, event: Event, decide: Decide) -> pb.Delivery:
        """Load, decide, save, show. What time has decided comes before what the caller wants."""
        with self._database.transaction(call) as tx:
            locked = self._deliveries.lock(tx, DeliveryName(request.name), call.organisation)
            locked.check(request.etag)
            at = self._clock()
            passed = locked.as_of(at)
            present = passed[-1].delivery if passed else locked
            changed = decide(tx, present, at)
            self._steps.write(tx, (*passed, Step(event, changed, at)), call)
            return tx.answer(to_proto(changed, call.organisation))


def time_of(microseconds: int) -> datetime:
    """The time in a page token, kept within what a time can be."""
    return EPOCH + timedelta(microseconds=min(max(microseconds, 0), END_OF_TIME[0]))


def position_of(delivery: Delivery, *, sent: bool) -> tuple[int, OrganisationName | str]:
    """Where a page ends with a delivery."""
    listed = delivery.create_time if sent else delivery.submit_time or delivery.create_time
    return (listed - EPOCH) // timedelta(microseconds=1), delivery.name


def last_message(watch: Watch, cause: EndCause) -> Message:
    """What a watch ends with: why, and where to go on."""
    follower: StepFollower = watch.position
    return follower.end(cause)
