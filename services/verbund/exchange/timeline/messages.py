"""Timeline entries as callers see them."""

from verbund.exchange.deliveries.domain import Event
from verbund.exchange.deliveries.messages import STATES, next_of
from verbund.exchange.timeline.domain import TimelineEntry
from verbund.exchange.v1 import delivery_service_pb2 as pb
from verbund.feeds.cursors import Tokens
from verbund.resources.times import timestamp

TOKENS = Tokens("delivery")
EVENTS = {
    Event.CREATED: pb.TIMELINE_EVENT_CREATED,
    Event.DOCUMENT_ADDED: pb.TIMELINE_EVENT_DOCUMENT_ADDED,
    Event.DOCUMENT_REMOVED: pb.TIMELINE_EVENT_DOCUMENT_REMOVED,
    Event.SUBMITTED: pb.TIMELINE_EVENT_SUBMITTED,
    Event.CLAIMED: pb.TIMELINE_EVENT_CLAIMED,
    Event.RELEASED: pb.TIMELINE_EVENT_RELEASED,
    Event.CLAIM_EXPIRED: pb.TIMELINE_EVENT_CLAIM_EXPIRED,
    Event.ACCEPTED: pb.TIMELINE_EVENT_ACCEPTED,
    Event.REJECTED: pb.TIMELINE_EVENT_REJECTED,
    Event.WITHDRAWN: pb.TIMELINE_EVENT_WITHDRAWN,
    Event.EXPIRED: pb.TIMELINE_EVENT_EXPIRED,
}


def to_proto(entry: TimelineEntry, organisation: str) -> pb.TimelineEntry:
    """The entry as one of the delivery's organisations sees it: who acted, only their own sees."""
    return pb.TimelineEntry(
        event=EVENTS[entry.event],
        time=timestamp(entry.time),
        organisation=entry.organisation,
        actor=entry.actor if organisation == entry.organisation else "",
        state=STATES[entry.state],
        next=next_of(entry.next),
        document=entry.document,
        trace_id=entry.trace_id,
    )
