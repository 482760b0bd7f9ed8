"""ChangeService: the history of a resource, and the feed of all."""

from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import Message

from verbund.database.database import Database
from verbund.feeds.reading import horizon
from verbund.registry.changes.domain import require_history
from verbund.registry.changes.feed import ChangeFeed, ChangeFollower
from verbund.registry.changes.messages import TOKENS, change_of
from verbund.registry.changes.store import POSITION_MAX, ChangeStore
from verbund.registry.v1 import change_service_pb2 as pb
from verbund.resources import pages
from verbund.serving.call import Call
from verbund.serving.watches import EndCause, Stream, Watch, Watches, watching


class ChangeServicer:
    """What changed in the registry, in order."""

    service: ServiceDescriptor = pb.DESCRIPTOR.services_by_name["ChangeService"]

    def __init__(self, database: Database, changes: ChangeStore, feed: ChangeFeed, watches: Watches) -> None:
        self._database = database
        self._changes = changes
        self._feed = feed
        self._watches = watches

    def ListChanges(self, request: pb.ListChangesRequest, call: Call) -> pb.ListChangesResponse:
        """Lists a resource's changes, the newest first."""
        arguments = pages.arguments_of(request, call.organisation)
        position = pages.decode(request.page_token, arguments, int) or [POSITION_MAX]
        size = pages.size(request.page_size)
        with self._database.read(call) as rows:
            latest = self._changes.history(rows, request.parent, size=1)
            require_history(latest[0] if latest else None, request.parent, call.organisation)
            found = self._changes.history(rows, request.parent, before=int(position[0]), size=size + 1)
        more = len(found) > size or pages.are_full(entry.change.body or b"" for entry in found)
        token = pages.encode(arguments, found[:size][-1].cursor.position) if more else ""
        told = [(entry, entry.change.told(call.organisation)) for entry in found[:size]]
        changes = [change_of(entry, kind) for entry, kind in told if kind is not None]
        return pb.ListChangesResponse(changes=changes, next_page_token=token)

    @watching
    def WatchChanges(self, request: pb.WatchChangesRequest, call: Call, stream: Stream) -> None:
        """Follows the changes that the caller may see; the feed goes on sending after this returns."""
        with self._database.read(call) as rows:
            settled, newest = horizon(rows)
        after = TOKENS.cursor_of(request.resume_token, newest=newest) if request.resume_token else settled
        follower = ChangeFollower(call, request.resources, after)
        follower.begin(self._watches.open(call, stream, position=follower))
        self._feed.follow(follower, settled)


def last_message(watch: Watch, cause: EndCause) -> Message:
    """What a watch ends with: why, and where to go on."""
    follower: ChangeFollower = watch.position
    return follower.end(cause)
