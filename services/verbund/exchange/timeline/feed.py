"""Timeline entries as a worker's feed hands them out: the steps of deliveries."""

from google.protobuf.message import Message

from verbund.exchange.timeline.domain import Entry
from verbund.exchange.timeline.messages import TOKENS, to_proto
from verbund.exchange.v1 import delivery_service_pb2 as pb
from verbund.feeds.cursors import Cursor
from verbund.feeds.feed import Feed, Follower
from verbund.serving.call import Call
from verbund.serving.watches import EndCause

SIZE = 1000  # bytes of an entry, with its names
CAUSES = {
    EndCause.TOKEN: pb.WATCH_END_CAUSE_TOKEN,
    EndCause.DRAIN: pb.WATCH_END_CAUSE_DRAIN,
    EndCause.AGE: pb.WATCH_END_CAUSE_AGE,
}


class PublishedStep:
    """An entry, and what it looks like to each of those who are told of it."""

    def __init__(self, entry: Entry) -> None:
        self.cursor = entry.cursor
        self.resource = entry.content.delivery
        self.size = SIZE
        self.content = entry.content
        self._messages: dict[str, bytes] = {}

    def shows(self, organisation: str) -> bool:
        """Whether callers of an organisation know of the delivery after it."""
        return organisation in self.content.parties

    def message(self, organisation: str) -> bytes | None:
        """The message for callers of an organisation; None where they may not know."""
        if not self.shows(organisation):
            return None
        if organisation not in self._messages:
            content = self.content
            step = pb.DeliveryStep(
                delivery=content.delivery, mailbox=content.mailbox, entry=to_proto(content, organisation)
            )
            shown = pb.WatchDeliveriesResponse(step=step, resume_token=TOKENS.token_of(self.cursor))
            self._messages[organisation] = shown.SerializeToString()
        return self._messages[organisation]


class StepFollower(Follower[PublishedStep]):
    """A watch of an organisation's deliveries, or of those that one of its mailboxes receives."""

    def __init__(self, call: Call, parent: str, after: Cursor) -> None:
        super().__init__(call, after)
        self._parent = parent

    def wants(self, published: PublishedStep) -> bool:
        """Whether it is of the organisation, or received in the mailbox."""
        content = published.content
        return self._parent == self.call.organisation or (content.mailbox == self._parent and content.received)

    def first_message(self) -> Message:
        """The watch stands."""
        return pb.WatchDeliveriesResponse(started=pb.WatchStarted(), resume_token=TOKENS.token_of(self.after))

    def last_message(self, cause: EndCause) -> Message:
        """The watch ends."""
        end = pb.WatchEnd(cause=CAUSES[cause])
        return pb.WatchDeliveriesResponse(end=end, resume_token=TOKENS.token_of(self.after))


StepFeed = Feed[Entry, PublishedStep]
