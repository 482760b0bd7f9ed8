"""Changes as callers read them, and the tokens that name a position of the feed."""

from verbund.feeds.cursors import Tokens
from verbund.registry.changes.domain import Entry
from verbund.registry.v1 import change_service_pb2 as pb

TOKENS = Tokens("change")


def change_of(entry: Entry, told: "pb.ChangeType.ValueType") -> pb.Change:
    """A change as those see it who are told of it as `told`; without content where there is none to see."""
    change = entry.change
    message = pb.Change(resource=change.resource, type=told, organisation=change.organisation)
    message.time.FromDatetime(change.time)
    if told == pb.CHANGE_TYPE_UPDATED:
        message.changed_paths.extend(change.changed_paths)
    if told in (pb.CHANGE_TYPE_CREATED, pb.CHANGE_TYPE_UPDATED) and change.body is not None:
        getattr(message, change.resource_kind).MergeFromString(change.body)
    return message
