"""The table `changes`: one method, one visible statement."""

import hashlib
from typing import Any

from verbund.database.rows import Rows, Transaction
from verbund.feeds.cursors import Cursor
from verbund.feeds.reading import Rest, page_of
from verbund.registry.audience import Audience
from verbund.registry.changes.domain import Change, Entry
from verbund.resources import pages

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
    FROM (
        SELECT transaction, position, resource, type, time, owner, organisation, changed_paths, audience_before,
            audience_after, body, coalesce(sum(octet_length(body)) OVER before_it, 0) AS before
        FROM (
            SELECT transaction, position, resource, type, time, owner, organisation, changed_paths, audience_before,
                audience_after, body
            FROM registry.changes WHERE resource = %(resource)s AND position < %(before)s
            ORDER BY position DESC LIMIT %(size)s
        ) AS page
        WINDOW before_it AS (ORDER BY position DESC ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
    ) AS measured
    WHERE before < %(bytes)s
    ORDER BY position DESC
"""
# `transaction` is a number to sort by, and `xid` the same as the driver reads it. A row is settled when no transaction
# is running that began before its own: nothing can come between it and the rows before it any more.
# Bodies come up to a number of bytes, and the first always; a row that has no room any more is the next page's.
FEED = """
    SELECT transaction::text AS xid, position, resource, type, time, owner, organisation, changed_paths,
        audience_before, audience_after, CASE WHEN fits THEN body END AS body,
        transaction < pg_snapshot_xmin(pg_current_snapshot()) AS settled, fits
    FROM (
        SELECT transaction, position, resource, type, time, owner, organisation, changed_paths, audience_before,
            audience_after, body, coalesce(sum(octet_length(body)) OVER before_it, 0) < %(bytes)s AS fits
        FROM (
            SELECT transaction, position, resource, type, time, owner, organisation, changed_paths, audience_before,
                audience_after, body
            FROM registry.changes c
            WHERE (transaction, position) > (%(transaction)s::text::xid8, %(position)s) AND <shown>
            ORDER BY transaction, position LIMIT %(size)s
        ) AS page
        WINDOW before_it AS (ORDER BY transaction, position ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
    ) AS measured
    ORDER BY transaction, position
"""
FEED_OF_ALL = FEED.replace("<shown>", "true")
# What was withdrawn from a caller is not shown again to one who comes with an old token: of a resource that the caller
# may not see now, only that it went is left. The latest change that the caller may see tells which those are.
BACKLOG = FEED.replace(
    "<shown>",
    """(NOT registry.sees(c.audience_after) OR (
                SELECT registry.sees(latest.audience_after) FROM registry.changes latest
                WHERE latest.resource = c.resource ORDER BY latest.position DESC LIMIT 1
            ))""",
)


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
        found = rows.all(HISTORY, resource=resource, before=before, size=size, bytes=pages.BYTES_MAX)
        return [entry_of(row) for row in found]

    def feed(self, rows: Rows, after: Cursor, *, size: int, bytes_max: int) -> tuple[list[Entry], Rest]:
        """The settled changes after a cursor, in the feed's order, for those who may see everything."""
        cursor = {"transaction": str(after.transaction), "position": after.position}
        return page_of(rows.all(FEED_OF_ALL, **cursor, size=size, bytes=bytes_max), size, entry_of)

    def backlog(self, rows: Rows, after: Cursor, *, size: int, bytes_max: int) -> tuple[list[Entry], Rest]:
        """The same for one caller: with row-level security, and without what was withdrawn since."""
        cursor = {"transaction": str(after.transaction), "position": after.position}
        return page_of(rows.all(BACKLOG, **cursor, size=size, bytes=bytes_max), size, entry_of)


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
