"""Strategies and measures: public papers, which every member sees and the owner changes."""

from datetime import datetime
from typing import ClassVar, Self

from google.protobuf.message import Message

from verbund.registry.audience import EVERY_MEMBER, Audience
from verbund.registry.records import Record, check_dates, check_texts, dates_of_sources
from verbund.registry.v1 import strategy_service_pb2 as pb
from verbund.resources.names import OrganisationName
from verbund.serving.call import Call

PARTS = ("title", "title.de", "title.en", "description", "description.de", "description.en")


class Strategy(Record[pb.Strategy]):
    """A strategy as it stands."""

    kind: ClassVar[type[Message]] = pb.Strategy
    changeable = (*PARTS, "adopted_date", "sources")

    @classmethod
    def created(cls, request: pb.CreateStrategyRequest, *, owner: OrganisationName, at: datetime) -> Self:
        """A new strategy; raises Invalid."""
        return cls.recorded(request.strategy, name=f"strategies/{request.strategy_id}", owner=owner, at=at)

    @classmethod
    def accepted(cls, content: pb.Strategy) -> Audience:
        """Every member; raises Invalid where the content breaks a rule."""
        check_texts(content, content.title, content.description)
        check_dates([("strategy.adopted_date", content.adopted_date), *dates_of_sources(content.sources, "strategy")])
        return EVERY_MEMBER

    def measure(self, request: pb.CreateMeasureRequest, *, call: Call, at: datetime) -> "Measure":
        """A new measure of this strategy, by its owner; raises Forbidden and Invalid."""
        self.require_owner(call)
        name = f"{self.name}/measures/{request.measure_id}"
        return Measure.recorded(request.measure, name=name, owner=self.owner, at=at)


class Measure(Record[pb.Measure]):
    """A measure as it stands."""

    kind: ClassVar[type[Message]] = pb.Measure
    changeable = (*PARTS, "type", "sources")

    @classmethod
    def accepted(cls, content: pb.Measure) -> Audience:
        """Every member; raises Invalid where the content breaks a rule."""
        check_texts(content, content.title, content.description)
        check_dates(dates_of_sources(content.sources, "measure"))
        return EVERY_MEMBER
