"""Mailboxes in PostgreSQL: one method, one visible statement."""

from collections.abc import Sequence
from typing import Any

import psycopg.errors

from verbund.database.rows import Rows, Transaction
from verbund.exchange.mailboxes.domain import Mailbox, State, require_known
from verbund.resources import pages
from verbund.resources.names import MailboxName, OrganisationName
from verbund.serving.call import Call
from verbund.serving.refusals import Exists

NAME_TAKEN = "mailboxes_pkey"

FIND = """
    SELECT name, organisation, title, senders, media_types, document_bytes_max, claim_seconds, pickup_days, state,
        revision, create_time, update_time
    FROM exchange.mailboxes WHERE name = %(name)s
"""
FIND_OF_DELIVERY = """
    SELECT name, organisation, title, senders, media_types, document_bytes_max, claim_seconds, pickup_days, state,
        revision, create_time, update_time
    FROM exchange.mailboxes WHERE name = (SELECT mailbox FROM exchange.deliveries WHERE name = %(name)s)
"""
LOCK = """
    SELECT name, organisation, title, senders, media_types, document_bytes_max, claim_seconds, pickup_days, state,
        revision, create_time, update_time
    FROM exchange.mailboxes WHERE name = %(name)s FOR UPDATE
"""
LIST = """
    SELECT name, organisation, title, senders, media_types, document_bytes_max, claim_seconds, pickup_days, state,
        revision, create_time, update_time, before + bytes >= %(bytes)s AS fills
    FROM (
        SELECT name, organisation, title, senders, media_types, document_bytes_max, claim_seconds, pickup_days, state,
            revision, create_time, update_time, bytes,
            coalesce(sum(bytes) OVER (ORDER BY name ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS before
        FROM (
            SELECT name, organisation, title, senders, media_types, document_bytes_max, claim_seconds, pickup_days,
                state, revision, create_time, update_time,
                octet_length(title) + octet_length(senders::text) + octet_length(media_types::text) + 300 AS bytes
            FROM exchange.mailboxes WHERE organisation = %(organisation)s AND name > %(after)s
            ORDER BY name LIMIT %(size)s
        ) AS page
    ) AS measured
    WHERE before < %(bytes)s
    ORDER BY name
"""
# Of one sender: those who submit to one mailbox decide one after the other, and count what the others submitted.
LOCK_WAITING = "SELECT pg_advisory_xact_lock(hashtextextended('exchange.waiting ' || %(sender)s || %(name)s, 0))"
COUNT_WAITING = """
    SELECT count(*) AS count FROM (
        SELECT 1 FROM exchange.deliveries
        WHERE mailbox = %(name)s AND sender = %(sender)s AND state IN ('available', 'claimed') LIMIT %(limit)s
    ) AS waiting
"""
INSERT = """
    INSERT INTO exchange.mailboxes (name, organisation, title, senders, media_types, document_bytes_max, claim_seconds,
        pickup_days, state, revision, create_time, update_time)
    VALUES (%(name)s, %(organisation)s, %(title)s, %(senders)s, %(media_types)s, %(document_bytes_max)s,
        %(claim_seconds)s, %(pickup_days)s, %(state)s, %(revision)s, %(create_time)s, %(update_time)s)
"""
SAVE = """
    UPDATE exchange.mailboxes
    SET title = %(title)s, senders = %(senders)s, media_types = %(media_types)s,
        document_bytes_max = %(document_bytes_max)s, claim_seconds = %(claim_seconds)s, pickup_days = %(pickup_days)s,
        state = %(state)s, revision = %(revision)s, update_time = %(update_time)s
    WHERE name = %(name)s
"""


class MailboxStore:
    """Reads and writes mailboxes; row-level security leaves those that the caller may know."""

    def find(self, rows: Rows, name: MailboxName, call: Call) -> Mailbox:
        """A mailbox that the caller may know; raises Absent."""
        return known(rows.one(FIND, name=name), name, call)

    def find_counted(self, tx: Transaction, name: MailboxName, call: Call, *, limit: int) -> tuple[Mailbox, int]:
        """The same, and how many deliveries of the caller's organisation wait there, counted up to a limit; until the
        transaction ends, nobody submits one more.
        """
        stated = {"name": name, "sender": call.organisation, "limit": limit}
        _, found, waiting = tx.each(LOCK_WAITING, FIND, COUNT_WAITING, **stated)
        assert waiting is not None
        return known(found, name, call), int(waiting["count"])

    def lock(self, tx: Transaction, name: MailboxName, call: Call) -> Mailbox:
        """The same, kept from others' changes until the transaction ends where the caller may change it."""
        row = tx.one(LOCK, name=name)
        return self.find(tx, name, call) if row is None else mailbox_of(row)

    def list(
        self, rows: Rows, organisation: OrganisationName, *, after: str, size: int, bytes_max: int = pages.BYTES_MAX
    ) -> tuple[Sequence[Mailbox], bool]:
        """An organisation's mailboxes whose names follow `after`, by name, and whether that fills a page before its
        size.
        """
        found = rows.all(LIST, organisation=organisation, after=after, size=size, bytes=bytes_max)
        return [mailbox_of(row) for row in found], bool(found) and found[-1]["fills"]

    def insert(self, tx: Transaction, mailbox: Mailbox) -> None:
        """A new mailbox; raises Exists where the name is taken."""
        try:
            tx.execute(INSERT, **columns_of(mailbox))
        except psycopg.errors.UniqueViolation as error:
            if error.diag.constraint_name != NAME_TAKEN:
                raise
            raise Exists(mailbox.name) from error

    def save(self, tx: Transaction, mailbox: Mailbox) -> None:
        """A locked mailbox as it stands after its change."""
        tx.execute(SAVE, **columns_of(mailbox))


def known(row: dict[str, Any] | None, name: MailboxName, call: Call) -> Mailbox:
    """The mailbox in a row, where the caller may know it; raises Absent."""
    return require_known(None if row is None else mailbox_of(row), name, call)


def columns_of(mailbox: Mailbox) -> dict[str, Any]:
    """A mailbox as a row has it."""
    return {
        "name": mailbox.name,
        "organisation": mailbox.organisation,
        "title": mailbox.title,
        "senders": list(mailbox.senders),
        "media_types": list(mailbox.media_types),
        "document_bytes_max": mailbox.document_bytes_max,
        "claim_seconds": mailbox.claim_seconds,
        "pickup_days": mailbox.pickup_days,
        "state": mailbox.state,
        "revision": mailbox.revision,
        "create_time": mailbox.create_time,
        "update_time": mailbox.update_time,
    }


def mailbox_of(row: dict[str, Any]) -> Mailbox:
    """A row as the domain has it."""
    return Mailbox(
        name=MailboxName(row["name"]),
        organisation=OrganisationName(row["organisation"]),
        title=row["title"],
        senders=tuple(row["senders"]),
        media_types=tuple(row["media_types"]),
        document_bytes_max=row["document_bytes_max"],
        claim_seconds=row["claim_seconds"],
        pickup_days=row["pickup_days"],
        state=State(row["state"]),
        revision=row["revision"],
        create_time=row["create_time"],
        update_time=row["update_time"],
    )
