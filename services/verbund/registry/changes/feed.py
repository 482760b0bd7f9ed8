"""Changes as a worker's feed hands them out: converted once for each thing that callers are told of them."""

from collections.abc import Iterable

from google.protobuf.message import Message

from verbund.feeds.cursors import Cursor
from verbund.feeds.feed import Feed, Follower
from verbund.registry.changes.domain import Entry
from verbund.registry.changes.messages import TOKENS, change_of
from verbund.registry.v1 import change_service_pb2 as pb
from verbund.serving.call import Call
from verbund.serving.watches import EndCause

CAUSES = {
    EndCause.TOKEN: pb.WATCH_END_CAUSE_TOKEN,
    EndCause.DRAIN: pb.WATCH_END_CAUSE_DRAIN,
    EndCause.AGE: pb.WATCH_END_CAUSE_AGE,
}


class PublishedChange:
    """A change, and what it looks like to those who are told of it."""

    def __init__(self, entry: Entry) -> None:
        self.cursor = entry.cursor
        self.resource = entry.change.resource
        self.size = len(entry.change.body or b"")
        self._entry = entry
        self._told: dict[str, pb.ChangeType.ValueType | None] = {}
        self._messages: dict[int, bytes] = {}

    def shows(self, organisation: str) -> bool:
        """Whether callers of an organisation see the resource after it."""
        return self._entry.change.after.includes(organisation)

    def message(self, organisation: str) -> bytes | None:
        """The message for callers of an organisation; None where they may not know."""
        if organisation not in self._told:
            self._told[organisation] = self._entry.change.told(organisation)
        told = self._told[organisation]
        if told is None:
            return None
        if told not in self._messages:
            shown = pb.WatchChangesResponse(
                change=change_of(self._entry, told), resume_token=TOKENS.token_of(self.cursor)
            )
            self._messages[told] = shown.SerializeToString()
        return self._messages[told]


class ChangeFollower(Follower[PublishedChange]):
    """A watch of all changes, or of those of some resources."""

    def __init__(self, call: Call, resources: Iterable[str], after: Cursor) -> None:
        super().__init__(call, after)
        self._resources = frozenset(resources)

    def wants(self, published: PublishedChange) -> bool:
        """Whether it is one of the resources; all, where none was named."""
        return not self._resources or published.resource in self._resources

    def first_message(self) -> Message:
        """The watch stands."""
        return pb.WatchChangesResponse(started=pb.WatchStarted(), resume_token=TOKENS.token_of(self.after))

    def last_message(self, cause: EndCause) -> Message:
        """The watch ends."""
        end = pb.WatchEnd(cause=CAUSES[cause])
        return pb.WatchChangesResponse(end=end, resume_token=TOKENS.token_of(self.after))


ChangeFeed = Feed[Entry, PublishedChange]
