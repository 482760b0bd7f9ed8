"""The table `timeline`: one method, one visible statement."""

from typing import Any

from verbund.database.rows import Rows, Transaction
from verbund.exchange.deliveries.domain import Action, Event, NextStep, State
from verbund.exchange.timeline.domain import Entry, TimelineEntry
from verbund.exchange.timeline.tracing import link_to
from verbund.feeds.cursors import Cursor
from verbund.feeds.reading import Rest, page_of
from verbund.resources.names import DeliveryName, MailboxName, OrganisationName

CHANNEL = "exchange_timeline"

# A transaction that began early may take a step late; so that the feed keeps each delivery's order, an entry stands at
# the previous entry's transaction where that is the later one. Readers stay below running transactions, so neither
# place can have been passed.
RECORD = """
    WITH recorded AS (
        INSERT INTO exchange.timeline (transaction, delivery, mailbox, parties, event, time, organisation, actor, state,
            next_organisation, next_action, next_due_time, document, trace_id)
        VALUES (
            greatest(pg_current_xact_id(), (
                SELECT t.transaction FROM exchange.timeline t WHERE t.delivery = %(delivery)s
                ORDER BY t.position DESC LIMIT 1
            )),
            %(delivery)s, %(mailbox)s, %(parties)s, %(event)s, %(time)s, %(organisation)s, %(actor)s, %(state)s,
            %(next_organisation)s, %(next_action)s, %(next_due_time)s, %(document)s, %(trace_id)s
        )
        RETURNING position
    )
    SELECT pg_notify('exchange_timeline', '') FROM recorded
"""
LIST = """
    SELECT transaction::text AS xid, position, delivery, mailbox, parties, event, time, organisation, actor, state,
        next_organisation, next_action, next_due_time, document, trace_id
    FROM exchange.timeline WHERE delivery = %(delivery)s AND position > %(after)s
    ORDER BY position LIMIT %(size)s
"""
# `transaction` is a number to sort by, and `xid` the same as the driver reads it. Entries are small: every page fits.
FEED = """
    SELECT transaction::text AS xid, position, delivery, mailbox, parties, event, time, organisation, actor, state,
        next_organisation, next_action, next_due_time, document, trace_id,
        transaction < pg_snapshot_xmin(pg_current_snapshot()) AS settled, true AS fits
    FROM exchange.timeline
    WHERE (transaction, position) > (%(transaction)s::text::xid8, %(position)s)
    ORDER BY transaction, position LIMIT %(size)s
"""


class TimelineStore:
    """Entries in PostgreSQL; under a service's role, row-level security leaves those that the caller may see."""

    def record(self, tx: Transaction, entry: TimelineEntry) -> None:
        """Appends an entry and wakes the feeds, with the transaction; the step's span is linked to the delivery's."""
        link_to(entry.origin)
        step = entry.next
        tx.last(
            RECORD,
            delivery=entry.delivery,
            mailbox=entry.mailbox,
            parties=list(entry.parties),
            event=entry.event,
            time=entry.time,
            organisation=entry.organisation,
            actor=entry.actor,
            state=entry.state,
            next_organisation=None if step is None else step.organisation,
            next_action=None if step is None else step.action,
            next_due_time=None if step is None else step.due_time,
            document=entry.document,
            trace_id=entry.trace_id,
        )

    def of(self, rows: Rows, delivery: DeliveryName, *, after: int, size: int) -> list[Entry]:
        """A delivery's entries after a position, the oldest first."""
        return [entry_of(row) for row in rows.all(LIST, delivery=delivery, after=after, size=size)]

    def feed(self, rows: Rows, after: Cursor, *, size: int, bytes_max: int) -> tuple[list[Entry], Rest]:  # noqa: ARG002
        """The settled entries after a cursor, in the feed's order, of those that the role may see."""
        cursor = {"transaction": str(after.transaction), "position": after.position}
        return page_of(rows.all(FEED, **cursor, size=size), size, entry_of)

    def backlog(self, rows: Rows, after: Cursor, *, size: int, bytes_max: int) -> tuple[list[Entry], Rest]:
        """The same for one caller: row-level security leaves what that one may see."""
        return self.feed(rows, after, size=size, bytes_max=bytes_max)


def entry_of(row: dict[str, Any]) -> Entry:
    """A row as the domain has it."""
    step = None
    if row["next_organisation"] is not None:
        step = NextStep(OrganisationName(row["next_organisation"]), Action(row["next_action"]), row["next_due_time"])
    content = TimelineEntry(
        delivery=DeliveryName(row["delivery"]),
        mailbox=MailboxName(row["mailbox"]),
        parties=tuple(row["parties"]),
        event=Event(row["event"]),
        time=row["time"],
        organisation=OrganisationName(row["organisation"]),
        actor=row["actor"],
        state=State(row["state"]),
        next=step,
        document=row["document"],
        trace_id=row["trace_id"],
    )
    return Entry(Cursor(int(row["xid"]), row["position"]), content)
