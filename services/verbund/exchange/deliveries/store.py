"""The table `deliveries`, with the documents of each: one method, one visible statement or two."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, LiteralString, NamedTuple

import psycopg.errors

from verbund.database.rows import Rows, Transaction
from verbund.exchange.deliveries.domain import Claim, Delivery, Document, Origin, Rejection, State
from verbund.resources import pages
from verbund.resources.names import DeliveryName, DocumentName, MailboxName, OrganisationName
from verbund.serving.refusals import Absent, Exists, Stale

NAME_TAKEN = "deliveries_pkey"

# Documents come as JSON, so that a delivery is one row and a page of them one statement.
FIND = """
    SELECT name, sender, receiver, mailbox, subject, message, project, reference, state, manifest_sha256, claimant,
        claim_expire_time, due_time, rejection_reason, rejection_explanation, trace_id, span_id, revision, create_time,
        submit_time, update_time, (
            SELECT json_agg(json_build_object('name', d.name, 'file_name', d.file_name, 'media_type', d.media_type,
                'size_bytes', d.size_bytes, 'sha256', d.sha256, 'create_time', d.create_time) ORDER BY d.name)
            FROM exchange.documents d WHERE d.delivery = deliveries.name
        ) AS documents
    FROM exchange.deliveries WHERE name = %(name)s
"""
# Whoever waits for the lock gets the row as it then is, but everything else as it was before: so the lock is a
# statement of its own, and FIND the next.
LOCK = "SELECT name FROM exchange.deliveries WHERE name = %(name)s FOR UPDATE"
LIST = """
    SELECT name, sender, receiver, mailbox, subject, message, project, reference, state, manifest_sha256, claimant,
        claim_expire_time, due_time, rejection_reason, rejection_explanation, trace_id, span_id, revision, create_time,
        submit_time, update_time, documents, before + bytes >= %(bytes)s AS fills
    FROM (
        SELECT page.name, page.sender, page.receiver, page.mailbox, page.subject, page.message, page.project,
            page.reference, page.state, page.manifest_sha256, page.claimant, page.claim_expire_time, page.due_time,
            page.rejection_reason, page.rejection_explanation, page.trace_id, page.span_id, page.revision,
            page.create_time, page.submit_time, page.update_time, page.listed, own.documents, own.bytes,
            coalesce(sum(own.bytes) OVER (
                ORDER BY page.listed DESC, page.name DESC ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
            ), 0) AS before
        FROM (
            SELECT name, sender, receiver, mailbox, subject, message, project, reference, state, manifest_sha256,
                claimant, claim_expire_time, due_time, rejection_reason, rejection_explanation, trace_id, span_id,
                revision, create_time, submit_time, update_time, <listed> AS listed
            FROM exchange.deliveries
            WHERE <condition> AND (cardinality(%(states)s::text[]) = 0 OR state = ANY (%(states)s))
                AND (<listed>, name) < (%(time)s::timestamptz, %(name)s)
            ORDER BY <listed> DESC, name DESC LIMIT %(size)s
        ) AS page
        CROSS JOIN LATERAL (
            SELECT found.documents, octet_length(page.subject) + octet_length(page.message)
                + coalesce(octet_length(page.rejection_explanation), 0)
                + coalesce(octet_length(found.documents::text), 0) + 1000 AS bytes
            FROM (
                SELECT json_agg(json_build_object('name', d.name, 'file_name', d.file_name,
                    'media_type', d.media_type, 'size_bytes', d.size_bytes, 'sha256', d.sha256,
                    'create_time', d.create_time) ORDER BY d.name) AS documents
                FROM exchange.documents d WHERE d.delivery = page.name
            ) AS found
        ) AS own
    ) AS measured
    WHERE before < %(bytes)s
    ORDER BY listed DESC, name DESC
"""
SENT, RECEIVED = "sender = %(parent)s", "mailbox = %(parent)s AND state <> 'draft'"
# Of one project: a statement and an index of its own.
OF_PROJECT = " AND project = %(project)s AND project <> ''"
LIST_SENT = LIST.replace("<listed>", "create_time").replace("<condition>", SENT)
LIST_SENT_OF_PROJECT = LIST.replace("<listed>", "create_time").replace("<condition>", SENT + OF_PROJECT)
LIST_RECEIVED = LIST.replace("<listed>", "submit_time").replace("<condition>", RECEIVED)
LIST_RECEIVED_OF_PROJECT = LIST.replace("<listed>", "submit_time").replace("<condition>", RECEIVED + OF_PROJECT)
COUNT_DRAFTS = """
    SELECT count(*) AS count FROM (
        SELECT 1 FROM exchange.deliveries WHERE sender = %(sender)s AND state = 'draft' LIMIT %(limit)s
    ) AS drafts
"""
INSERT = """
    INSERT INTO exchange.deliveries (name, sender, receiver, mailbox, parties, subject, message, project, reference,
        state, manifest_sha256, trace_id, span_id, revision, create_time, update_time)
    VALUES (%(name)s, %(sender)s, %(receiver)s, %(mailbox)s, %(parties)s, %(subject)s, %(message)s, %(project)s,
        %(reference)s, %(state)s, %(manifest_sha256)s, %(trace_id)s, %(span_id)s, %(revision)s, %(create_time)s,
        %(update_time)s)
"""
SAVE = """
    UPDATE exchange.deliveries
    SET parties = %(parties)s, state = %(state)s, manifest_sha256 = %(manifest_sha256)s, claimant = %(claimant)s,
        claim_expire_time = %(claim_expire_time)s, due_time = %(due_time)s, rejection_reason = %(rejection_reason)s,
        rejection_explanation = %(rejection_explanation)s, revision = %(revision)s, submit_time = %(submit_time)s,
        update_time = %(update_time)s
    WHERE name = %(name)s
"""
DELETE = "DELETE FROM exchange.deliveries WHERE name = %(name)s"
# What time has decided, a few at a time; what somebody else is at is theirs.
LOCK_DUE = """
    SELECT name FROM exchange.deliveries
    WHERE (state = 'claimed' AND claim_expire_time <= %(at)s) OR (state = 'available' AND due_time <= %(at)s)
    LIMIT %(size)s FOR UPDATE SKIP LOCKED
"""
# Somebody who is at a draft keeps it.
DELETE_OLD_DRAFTS = """
    DELETE FROM exchange.deliveries WHERE name IN (
        SELECT name FROM exchange.deliveries WHERE state = 'draft' AND update_time < %(before)s
        LIMIT %(size)s FOR UPDATE SKIP LOCKED
    )
"""


class Wanted(NamedTuple):
    """Which deliveries a list holds: those in any of the states, and of the project; none named means all."""

    states: Collection[State] = ()
    project: str = ""


class Place(NamedTuple):
    """The page of a list: so many deliveries, or bytes, before a delivery's time and name."""

    time: datetime
    name: str
    size: int
    bytes_max: int = pages.BYTES_MAX


class DeliveryStore:
    """Deliveries in PostgreSQL; row-level security leaves those that the caller may see."""

    def load(self, rows: Rows, name: DeliveryName) -> Delivery | None:
        """A delivery with its documents, as far as the role may see it."""
        row = rows.one(FIND, name=name)
        return None if row is None else delivery_of(row)

    def find(self, rows: Rows, name: DeliveryName, organisation: str) -> Delivery:
        """A delivery that the organisation may see, with its documents; raises Absent."""
        return seen(rows.one(FIND, name=name), name, organisation)

    def lock(self, tx: Transaction, name: DeliveryName, organisation: str) -> Delivery:
        """The same, kept from others' changes until the transaction ends."""
        return seen(tx.locked(LOCK, FIND, name=name), name, organisation)

    def sent(
        self, rows: Rows, sender: OrganisationName, wanted: Wanted, place: Place
    ) -> tuple[Sequence[Delivery], bool]:
        """What an organisation sends, the newest first, and whether that fills a page before its size."""
        return listed(rows, LIST_SENT_OF_PROJECT if wanted.project else LIST_SENT, sender, wanted, place)

    def received(
        self, rows: Rows, mailbox: MailboxName, wanted: Wanted, place: Place
    ) -> tuple[Sequence[Delivery], bool]:
        """What a mailbox received, in the same way."""
        return listed(rows, LIST_RECEIVED_OF_PROJECT if wanted.project else LIST_RECEIVED, mailbox, wanted, place)

    def count_drafts(self, rows: Rows, sender: OrganisationName, *, limit: int) -> int:
        """How many drafts an organisation has, counted up to a limit."""
        row = rows.one(COUNT_DRAFTS, sender=sender, limit=limit)
        assert row is not None
        return int(row["count"])

    def lock_due(self, tx: Transaction, at: datetime, *, size: int) -> Sequence[DeliveryName]:
        """Deliveries whose claim or time to be claimed has ended, locked; those that others hold are left out."""
        return [DeliveryName(row["name"]) for row in tx.all(LOCK_DUE, at=at, size=size)]

    def insert(self, tx: Transaction, delivery: Delivery) -> None:
        """Stores a new draft; raises Exists for a name in use."""
        try:
            tx.execute(INSERT, **columns_of(delivery))
        except psycopg.errors.UniqueViolation as error:
            if error.diag.constraint_name != NAME_TAKEN:
                raise
            raise Exists(delivery.name) from error

    def save(self, tx: Transaction, delivery: Delivery) -> None:
        """Stores a locked delivery as it stands after a step, with the commit. Its documents are rows of their own."""
        tx.last(SAVE, **columns_of(delivery))

    def delete(self, tx: Transaction, delivery: Delivery) -> None:
        """Deletes a draft with its documents and timeline."""
        if tx.execute(DELETE, name=delivery.name) != 1:
            raise Stale(delivery.name)

    def delete_old_drafts(self, tx: Transaction, before: datetime, *, size: int) -> int:
        """Deletes some drafts that nobody has changed since a time; tells how many."""
        return tx.execute(DELETE_OLD_DRAFTS, before=before, size=size)


def seen(row: dict[str, Any] | None, name: DeliveryName, organisation: str) -> Delivery:
    """The delivery in a row, where the organisation may see it; raises Absent."""
    delivery = None if row is None else delivery_of(row)
    if delivery is None or organisation not in delivery.parties:
        raise Absent(name)
    return delivery


def columns_of(delivery: Delivery) -> dict[str, Any]:
    """A delivery as a row has it."""
    claim, rejection = delivery.claim, delivery.rejection
    return {
        "name": delivery.name,
        "sender": delivery.sender,
        "receiver": delivery.receiver,
        "mailbox": delivery.mailbox,
        "parties": list(delivery.parties),
        "subject": delivery.subject,
        "message": delivery.message,
        "project": delivery.project,
        "reference": delivery.reference,
        "state": delivery.state,
        "manifest_sha256": delivery.manifest_sha256,
        "claimant": None if claim is None else claim.claimant,
        "claim_expire_time": None if claim is None else claim.expire_time,
        "due_time": delivery.due_time,
        "rejection_reason": None if rejection is None else rejection.reason,
        "rejection_explanation": None if rejection is None else rejection.explanation,
        "trace_id": delivery.origin.trace_id,
        "span_id": delivery.origin.span_id,
        "revision": delivery.revision,
        "create_time": delivery.create_time,
        "submit_time": delivery.submit_time,
        "update_time": delivery.update_time,
    }


def listed(
    rows: Rows, statement: LiteralString, parent: str, wanted: Wanted, place: Place
) -> tuple[Sequence[Delivery], bool]:
    """A page of deliveries, and whether it ends with what fills it: then more may follow."""
    bounds = {"time": place.time, "name": place.name, "size": place.size, "bytes": place.bytes_max}
    found = rows.all(statement, parent=parent, states=list(wanted.states), project=wanted.project, **bounds)
    return [delivery_of(row) for row in found], bool(found) and found[-1]["fills"]


def delivery_of(row: dict[str, Any]) -> Delivery:
    """A row as the domain has it."""
    claim = None if row["claimant"] is None else Claim(row["claimant"], row["claim_expire_time"])
    rejection = None
    if row["rejection_reason"] is not None:
        rejection = Rejection(row["rejection_reason"], row["rejection_explanation"])
    return Delivery(
        name=DeliveryName(row["name"]),
        sender=OrganisationName(row["sender"]),
        receiver=OrganisationName(row["receiver"]),
        mailbox=MailboxName(row["mailbox"]),
        subject=row["subject"],
        message=row["message"],
        project=row["project"],
        reference=row["reference"],
        state=State(row["state"]),
        documents=tuple(document_of(document) for document in row["documents"] or ()),
        manifest_sha256=row["manifest_sha256"],
        claim=claim,
        due_time=row["due_time"],
        rejection=rejection,
        origin=Origin(row["trace_id"], row["span_id"]),
        revision=row["revision"],
        create_time=row["create_time"],
        submit_time=row["submit_time"],
        update_time=row["update_time"],
    )


def document_of(stored: dict[str, Any]) -> Document:
    """A document of the JSON in a row."""
    return Document(
        name=DocumentName(stored["name"]),
        file_name=stored["file_name"],
        media_type=stored["media_type"],
        size_bytes=stored["size_bytes"],
        sha256=stored["sha256"],
        create_time=datetime.fromisoformat(stored["create_time"]),
    )
