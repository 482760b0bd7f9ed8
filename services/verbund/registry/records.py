"""What strategies, measures and projects have in common: a content, an owner, a revision, and who sees it."""

import calendar
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from typing import Any, ClassVar, Generic, Self, TypeVar

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from verbund.registry.audience import Audience
from verbund.registry.v1 import types_pb2
from verbund.registry.v1.project_service_pb2 import Project as ProjectMessage
from verbund.registry.v1.strategy_service_pb2 import Measure as MeasureMessage
from verbund.registry.v1.strategy_service_pb2 import Strategy as StrategyMessage
from verbund.resources import etags, masks
from verbund.resources.names import OrganisationName
from verbund.serving.call import Call
from verbund.serving.refusals import Forbidden, Invalid, Violation

Content = TypeVar("Content", StrategyMessage, MeasureMessage, ProjectMessage)

# What the registry itself writes into a content.
STAMPED = frozenset({"name", "owner", "etag", "create_time", "update_time"})
VALUES = frozenset({"title", "description", "period"})  # compared and cleared part by part


@dataclass(frozen=True)
class Record(ABC, Generic[Content]):
    """A resource as it stands. `body` is its deterministic serialisation: what is stored, answered and proved."""

    body: bytes
    revision: int
    audience: Audience

    kind: ClassVar[type[Message]]
    changeable: ClassVar[tuple[str, ...]]  # the paths that an update mask may name

    @cached_property
    def content(self) -> Content:
        """The parsed body; whoever changes it changes a copy."""
        content: Content = self.kind.FromString(self.body)  # type: ignore[assignment] # the subclass binds kind to Content
        return content

    @property
    def name(self) -> str:
        """The resource name."""
        return self.content.name

    @property
    def owner(self) -> OrganisationName:
        """The organisation that may change it."""
        return OrganisationName(self.content.owner)

    @classmethod
    @abstractmethod
    def accepted(cls, content: Content) -> Audience:
        """Checks a content by the rules of its kind, and tells who sees it. Raises Invalid."""

    @classmethod
    def recorded(cls, given: Content, *, name: str, owner: OrganisationName, at: datetime) -> Self:
        """The record of a new resource; raises Invalid where the content breaks a rule."""
        content = type(given)()
        content.CopyFrom(given)
        content.name = name
        content.owner = owner
        content.create_time.FromDatetime(at)
        return cls._stamped(content, previous=0, at=at)

    def updated(self, given: Content, mask: FieldMask, *, call: Call, at: datetime) -> Self:
        """The record after an update by its owner; itself where nothing changes.

        Raises Forbidden, Stale, and Invalid.
        """
        self.require_owner(call)
        etags.check(given.etag, self.content.etag, self.name)
        content = type(given)()
        content.CopyFrom(self.content)
        masks.apply(content, given, masks.paths(mask, given, self.changeable))
        changed = self._stamped(content, previous=self.revision, at=at)
        return changed if changed_paths(self.content, changed.content) else self

    def deleted(self, etag: str, *, call: Call) -> Self:
        """The record that its owner deletes. Raises Forbidden and Stale."""
        self.require_owner(call)
        etags.check(etag, self.content.etag, self.name)
        return self

    def require_owner(self, call: Call) -> None:
        """Raises Forbidden where the caller, who sees the resource, does not own it."""
        if call.organisation != self.owner:
            raise Forbidden("NOT_OWNER", rule=call.rule.name, resource=self.name)

    @classmethod
    def _stamped(cls, content: Content, *, previous: int, at: datetime) -> Self:
        """Checks a content and gives it its time, revision and etag."""
        for field in VALUES & {field.name for field, _ in content.ListFields()}:
            if not getattr(content, field).ListFields():
                content.ClearField(field)  # type: ignore[arg-type] # an empty text or period is none
        if not (content.title.de or content.title.en):
            raise Invalid(f"{prefix_of(content)}.title", "is required, in German or in English")
        audience = cls.accepted(content)
        # Counts microseconds, so that a resource deleted and recorded again does not repeat an etag.
        revision = max(previous + 1, int(at.timestamp() * 1_000_000))
        content.update_time.FromDatetime(at)
        content.etag = etags.etag_of(revision, content.name)
        return cls(body=content.SerializeToString(deterministic=True), revision=revision, audience=audience)


def prefix_of(content: Message) -> str:
    """How proto paths of a request start that carries the content: `project`."""
    return content.DESCRIPTOR.name.lower()


def changed_paths(before: Message, after: Message) -> list[str]:
    """The paths that differ, parts of texts and periods one by one, without what the registry stamps."""
    paths: list[str] = []
    for field in after.DESCRIPTOR.fields:
        if field.name in STAMPED or not differs(before, after, field):
            continue
        if field.name in VALUES:
            inner, outer = getattr(before, field.name), getattr(after, field.name)
            paths += [f"{field.name}.{part.name}" for part in outer.DESCRIPTOR.fields if differs(inner, outer, part)]
        else:
            paths.append(field.name)
    return paths


def differs(before: Message, after: Message, field: Any) -> bool:
    """Whether a field has another value; message fields that are not set equal empty ones."""
    return bool(getattr(before, field.name) != getattr(after, field.name))


def check_texts(content: Message, *texts: types_pb2.LocalizedText) -> None:
    """Raises Invalid for a character that no text has: PostgreSQL cannot store U+0000."""
    if any("\0" in text.de or "\0" in text.en for text in texts):
        raise Invalid(prefix_of(content), "contains the character U+0000")


def check_dates(dates: Iterable[tuple[str, str]]) -> None:
    """Raises Invalid where a date, given with its path, is not in the calendar: 2022-02-30."""
    wrong = [Violation(path, "is not a day of the calendar") for path, text in dates if text and span_of(text) is None]
    if wrong:
        raise Invalid(*wrong)


def span_of(text: str) -> tuple[date, date] | None:
    """The first and last day that an ISO date of a day, month or year can mean; None where there is no such day."""
    parts = [int(part) for part in text.split("-")]
    try:
        first = date(*[*parts, 1, 1][:3])
    except ValueError:
        return None
    month = first.month if len(parts) > 1 else 12
    last = first.replace(month=month, day=calendar.monthrange(first.year, month)[1])
    return first, first if len(parts) == 3 else last  # noqa: PLR2004 - year, month, day


def dates_of_sources(sources: Collection[types_pb2.Source], prefix: str) -> Iterator[tuple[str, str]]:
    """The dates of sources, with their paths."""
    return ((f"{prefix}.sources[{number}].as_of", source.as_of) for number, source in enumerate(sources))
