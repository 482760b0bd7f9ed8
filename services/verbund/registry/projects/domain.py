"""Projects: their rules, and who sees them."""

from datetime import datetime
from typing import ClassVar, Self

from google.protobuf.message import Message

from verbund.registry.audience import EVERY_MEMBER, Audience
from verbund.registry.records import Record, check_dates, check_texts, dates_of_sources, span_of
from verbund.registry.v1 import project_service_pb2 as pb
from verbund.resources import ids
from verbund.resources.names import OrganisationName, last
from verbund.serving.refusals import Invalid, Violation

ID_PARTS = 3
ID_PART_LENGTH = 4


class Project(Record[pb.Project]):
    """A project as it stands."""

    kind: ClassVar[type[Message]] = pb.Project
    changeable = (
        "title",
        "title.de",
        "title.en",
        "description",
        "description.de",
        "description.en",
        "status",
        "period",
        "period.start_date",
        "period.end_date",
        "parties",
        "strategy",
        "measure",
        "visibility",
        "identifiers",
        "sources",
    )

    @classmethod
    def created(cls, request: pb.CreateProjectRequest, *, owner: OrganisationName, at: datetime) -> Self:
        """A new project in its owner's own namespace, so that a name in use tells a stranger nothing."""
        chosen = request.project_id or readable_id()
        return cls.recorded(request.project, name=f"projects/{last(owner)}.{chosen}", owner=owner, at=at)

    @classmethod
    def accepted(cls, content: pb.Project) -> Audience:
        """The audience that the visibility states; raises Invalid where the content breaks a rule."""
        check_texts(content, content.title, content.description)
        check_period(content)
        check_measure(content)
        check_identifiers(content)
        content.visibility = content.visibility or pb.VISIBILITY_INTERNAL
        match content.visibility:
            case pb.VISIBILITY_PUBLIC:
                return EVERY_MEMBER
            case pb.VISIBILITY_SHARED:
                return Audience.of([content.owner, *members_of(content)])
        return Audience.of([content.owner])


def members_of(content: pb.Project) -> list[str]:
    """The parties that are members of the mesh."""
    return sorted({party.organisation for party in content.parties if party.organisation})


def check_period(content: pb.Project) -> None:
    """Raises Invalid for a date that does not exist, and for a period that ends before it can have begun."""
    start, end = content.period.start_date, content.period.end_date
    check_dates(
        [
            ("project.period.start_date", start),
            ("project.period.end_date", end),
            *dates_of_sources(content.sources, "project"),
        ]
    )
    first, final = span_of(start) if start else None, span_of(end) if end else None
    if first and final and final[1] < first[0]:
        raise Invalid("project.period", "ends before it begins")


def check_measure(content: pb.Project) -> None:
    """Raises Invalid for a measure that is not one of the project's strategy."""
    if content.measure and not content.measure.startswith(f"{content.strategy}/measures/"):
        raise Invalid("project.measure", "is not a measure of the project's strategy")


def check_identifiers(content: pb.Project) -> None:
    """Raises Invalid for an identifier given twice, or with a character that cannot be stored."""
    seen: set[tuple[str, str]] = set()
    wrong: list[Violation] = []
    for number, identifier in enumerate(content.identifiers):
        key = (identifier.scheme, identifier.id)
        if key in seen:
            wrong.append(Violation(f"project.identifiers[{number}]", "is given twice"))
        if "\0" in identifier.id:
            wrong.append(Violation(f"project.identifiers[{number}].id", "contains the character U+0000"))
        seen.add(key)
    if wrong:
        raise Invalid(*wrong)


def readable_id() -> str:
    """An id that can be read out, with more than 56 bits of chance: `kv7r-x2mq-9dpc`."""
    return "-".join(ids.readable(ID_PART_LENGTH) for _ in range(ID_PARTS))
