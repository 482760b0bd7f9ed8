"""The timeline: what happened to a delivery, and who is told of it."""

from dataclasses import dataclass
from datetime import datetime

from verbund.exchange.deliveries.domain import OF_DRAFTS, OF_TIME, UNTRACED, Event, NextStep, Origin, State, Step
from verbund.feeds.cursors import Cursor
from verbund.resources.names import NOBODY, DeliveryName, MailboxName, OrganisationName
from verbund.serving.call import Call


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineEntry:
    """What happened to a delivery. `parties` are those who are told of it."""

    delivery: DeliveryName
    mailbox: MailboxName
    parties: tuple[str, ...]
    event: Event
    time: datetime
    organisation: OrganisationName = NOBODY
    actor: str = ""
    state: State
    next: NextStep | None = None
    document: str = ""
    trace_id: str = ""
    origin: Origin = UNTRACED

    @classmethod
    def of(cls, step: Step, call: Call) -> "TimelineEntry":
        """The entry of a step; where time took it, nobody acted."""
        delivery = step.delivery
        acting = None if step.event in OF_TIME else call
        return cls(
            delivery=delivery.name,
            mailbox=delivery.mailbox,
            parties=delivery.parties,
            event=step.event,
            time=step.time,
            organisation=NOBODY if acting is None else acting.organisation,
            actor="" if acting is None else acting.principal.subject,
            state=delivery.state,
            next=delivery.next,
            document=step.document,
            trace_id="" if acting is None else acting.trace_id,
            origin=delivery.origin,
        )

    @property
    def received(self) -> bool:
        """Whether it is told to those who receive the delivery."""
        return self.event not in OF_DRAFTS


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry at its position of the feed."""

    cursor: Cursor
    content: TimelineEntry
