"""Changes: what happened to a resource, what of it a caller is told, and the order of the feed."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from verbund.feeds.cursors import Cursor
from verbund.registry.audience import ANYBODY, NO_ONE, Audience
from verbund.registry.records import Record, changed_paths
from verbund.registry.v1 import change_service_pb2 as pb
from verbund.serving.call import Call
from verbund.serving.refusals import Absent

KINDS = {"projects": "project", "strategies": "strategy", "measures": "measure"}  # by the collection in a name


@dataclass(frozen=True, slots=True)
class Change:
    """One change, and who saw the resource before and after it. `body` is the resource after it."""

    resource: str
    kind: "pb.ChangeType.ValueType"  # CREATED, UPDATED or DELETED: what happened, not what a caller is told
    time: datetime
    owner: str
    organisation: str
    changed_paths: tuple[str, ...]
    before: Audience
    after: Audience
    body: bytes | None

    @classmethod
    def created(cls, record: Record[Any], call: Call) -> Self:
        """A resource was recorded."""
        return cls(
            resource=record.name,
            kind=pb.CHANGE_TYPE_CREATED,
            time=time_of(record),
            owner=record.owner,
            organisation=call.organisation,
            changed_paths=(),
            before=NO_ONE,
            after=record.audience,
            body=record.body,
        )

    @classmethod
    def updated(cls, before: Record[Any], after: Record[Any], call: Call) -> Self:
        """Fields of a resource changed."""
        return cls(
            resource=after.name,
            kind=pb.CHANGE_TYPE_UPDATED,
            time=time_of(after),
            owner=after.owner,
            organisation=call.organisation,
            changed_paths=tuple(changed_paths(before.content, after.content)),
            before=before.audience,
            after=after.audience,
            body=after.body,
        )

    @classmethod
    def deleted(cls, record: Record[Any], call: Call, *, at: datetime) -> Self:
        """A resource was deleted."""
        return cls(
            resource=record.name,
            kind=pb.CHANGE_TYPE_DELETED,
            time=at,
            owner=record.owner,
            organisation=call.organisation,
            changed_paths=(),
            before=record.audience,
            after=NO_ONE,
            body=None,
        )

    def told(self, organisation: str) -> "pb.ChangeType.ValueType | None":
        """What callers of an organisation are told; None where they could see it neither before nor after."""
        saw, sees = self.before.includes(organisation), self.after.includes(organisation)
        if sees:
            return pb.CHANGE_TYPE_UPDATED if saw else pb.CHANGE_TYPE_CREATED
        if saw:
            return pb.CHANGE_TYPE_DELETED if self.kind == pb.CHANGE_TYPE_DELETED else pb.CHANGE_TYPE_HIDDEN
        return None

    @property
    def resource_kind(self) -> str:
        """What was changed, as the field of a Change and leaves of the evidence log name it."""
        return KINDS[self.resource.split("/")[-2]]

    @property
    def parties(self) -> list[str]:
        """Whom it concerns: who made it, the owner, and who was named to see the resource before or after."""
        named = (self.before.names | self.after.names | {self.owner}) - {self.organisation, ANYBODY}
        return [self.organisation, *sorted(named)]

    @property
    def verb(self) -> str:
        """What happened, in the past, as leaves of the evidence log name it."""
        return pb.ChangeType.Name(self.kind).removeprefix("CHANGE_TYPE_").lower()


@dataclass(frozen=True, slots=True)
class Entry:
    """A change at its position of the feed."""

    cursor: Cursor
    change: Change


def require_history(latest: Entry | None, resource: str, organisation: str) -> None:
    """Raises Absent unless the caller sees the resource now, or owned it when it was deleted.

    `latest` is the last change that the caller may see. Had it become visible since, that would be a later one.
    """
    if latest is None:
        raise Absent(resource)
    change = latest.change
    owned = change.kind == pb.CHANGE_TYPE_DELETED and change.owner == organisation
    if not (owned or change.after.includes(organisation)):
        raise Absent(resource)


def time_of(record: Record[Any]) -> datetime:
    """When the record took its present form."""
    time: datetime = record.content.update_time.ToDatetime(UTC)
    return time
