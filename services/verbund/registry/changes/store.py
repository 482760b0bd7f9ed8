"""The table `changes`: one method, one visible statement."""

import hashlib
from itertools import takewhile
from typing import Any

from verbund.database.rows import Rows, Transaction
from verbund.registry.audience import Audience
from verbund.registry.changes.domain import Change, Cursor, Entry

CHANNEL = "registry_changes"
POSITION_MAX = 2**63 - 1

# A transaction that began early may change a resource late; so that the feed keeps each resource's order, a change
# stands at the previous change's transaction where that is the later one. Readers stay below running transactions, so
# neither place can have been passed.
RECORD = """
    WITH recorded AS (
        INSERT INTO registry.changes (transaction, resource, type, time, owner, organisation, changed_paths,
            audience_before, audience_after, body)
        VALUES (
            greatest(pg_current_xact_id(), (
                SELECT c.transaction FROM registry.changes c WHERE c.resource = %(resource)s
                ORDER BY c.position DESC LIMIT 1
            )),
            %(resource)s, %(kind)s, %(time)s, %(owner)s, %(organisation)s, %(changed_paths)s,
            %(audience_before)s, %(audience_after)s, %(body)s
        )
        RETURNING position
    )
    SELECT pg_notify('registry_changes', '') FROM recorded
"""
HISTORY = """
    SELECT transaction::text AS xid, position, resource, type, time, owner, organisation, changed_paths,
        audience_before, audience_after, body
    FROM registry.changes WHERE resource = %(resource)s AND position < %(before)s
    ORDER BY position DESC LIMIT %(size)s
"""
HORIZON = """
    SELECT pg_snapshot_xmin(now.snapshot)::text AS settled, pg_snapshot_xmax(now.snapshot)::text AS newest
    FROM pg_current_snapshot() AS now (snapshot)
"""
# `transaction` is a number to sort by, and `xid` the same as the driver reads it. A row is settled when no transaction
# is running that began before its own: nothing can come between it and the rows before it any more.
FEED = """
    SELECT transaction::text AS xid, position, resource, type, time, owner, organisation, changed_paths,
        audience_before, audience_after, body, transaction < pg_snapshot_xmin(pg_current_snapshot()) AS settled
    FROM registry.changes
    WHERE (transaction, position) > (%(transaction)s::text::xid8, %(position)s)
    ORDER BY transaction, position LIMIT %(size)s
"""


class ChangeStore:
    """Changes in PostgreSQL; under a service's role, row-level security leaves those that the caller may see."""

    def record(self, tx: Transaction, change: Change) -> None:
        """Appends a change, wakes the feeds, and owes the evidence log a leaf, all with the transaction."""
        tx.last(
            RECORD,
            resource=change.resource,
            kind=change.kind,
            time=change.time,
            owner=change.owner,
            organisation=change.organisation,
            changed_paths=list(change.changed_paths),
            audience_before=change.before.stored(),
            audience_after=change.after.stored(),
            body=change.body,
        )
        digest = hashlib.sha256(change.body or b"").digest()
        tx.intend(f"registry.{change.resource_kind}.{change.verb}", change.resource, digest, change.parties)

    def history(self, rows: Rows, resource: str, *, before: int = POSITION_MAX, size: int) -> list[Entry]:
        """A resource's changes before a position, the newest first."""
        return [entry_of(row) for row in rows.all(HISTORY, resource=resource, before=before, size=size)]

    def horizon(self, rows: Rows) -> tuple[Cursor, Cursor]:
        """The cursor that nothing can still commit before, and the one that no transaction has passed yet."""
        row = rows.one(HORIZON)
        assert row is not None
        return Cursor(int(row["settled"]), 0), Cursor(int(row["newest"]), 0)

    def feed(self, rows: Rows, after: Cursor, *, size: int) -> tuple[list[Entry], bool]:
        """The settled changes after a cursor, in the feed's order; and whether more wait for a transaction to end."""
        found = rows.all(FEED, transaction=str(after.transaction), position=after.position, size=size)
        settled = [entry_of(row) for row in takewhile(lambda row: bool(row["settled"]), found)]
        return settled, len(settled) < len(found)


def entry_of(row: dict[str, Any]) -> Entry:
    """A row as the domain has it."""
    change = Change(
        resource=row["resource"],
        kind=row["type"],
        time=row["time"],
        owner=row["owner"],
        organisation=row["organisation"],
        changed_paths=tuple(row["changed_paths"]),
        before=Audience.of(row["audience_before"]),
        after=Audience.of(row["audience_after"]),
        body=None if row["body"] is None else bytes(row["body"]),
    )
    return Entry(Cursor(int(row["xid"]), row["position"]), change)
