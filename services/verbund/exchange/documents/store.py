"""The table `documents`: one method, one visible statement or round trip."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from verbund.database.rows import Rows, Transaction
from verbund.exchange.deliveries import store as deliveries
from verbund.exchange.deliveries.domain import Delivery, Document
from verbund.exchange.mailboxes import store as mailboxes
from verbund.exchange.mailboxes.domain import Mailbox
from verbund.resources.names import DeliveryName, DocumentName, OrganisationName
from verbund.serving.call import Call
from verbund.serving.refusals import Stale

# Whoever places a content or removes one that nobody names holds the lock of its digest until the transaction ends.
LOCK_CONTENT = "SELECT pg_advisory_xact_lock(hashtextextended('exchange.content ' || %(sha256)s, 0))"
# Whoever stores a document holds the lock of its sender's room, so that all who do decide one after the other. What is
# read behind it is what they stored; nobody's room is read by anybody else.
LOCK_ROOM = "SELECT pg_advisory_xact_lock(hashtextextended('exchange.room ' || %(organisation)s, 0))"
FIND_ROOM = "SELECT bytes FROM exchange.storage WHERE organisation = %(organisation)s"
INSERT = """
    INSERT INTO exchange.documents (name, delivery, id, file_name, media_type, size_bytes, sha256, create_time)
    VALUES (%(name)s, %(delivery)s, %(id)s, %(file_name)s, %(media_type)s, %(size_bytes)s, %(sha256)s, %(create_time)s)
"""
DELETE = "DELETE FROM exchange.documents WHERE name = %(name)s"
REMOVED = """
    SELECT position, sha256 FROM exchange.removed_documents ORDER BY position LIMIT %(size)s
"""
# Once, however many do it: whoever comes second finds nothing to delete.
RELEASE = """
    WITH gone AS (
        DELETE FROM exchange.removed_documents WHERE position = %(position)s RETURNING organisation, size_bytes
    )
    UPDATE exchange.storage SET bytes = storage.bytes - gone.size_bytes
    FROM gone WHERE storage.organisation = gone.organisation
"""
NAMED = "SELECT DISTINCT sha256 FROM exchange.documents WHERE sha256 = ANY (%(digests)s)"


class Awaited(NamedTuple):
    """What decides on a document: its delivery, the mailbox it goes to, how many bytes its sender's documents hold."""

    delivery: Delivery
    mailbox: Mailbox
    stored_bytes: int


class Removed(NamedTuple):
    """A document that was removed, whose room is still taken."""

    position: int
    sha256: str


class DocumentStore:
    """Documents in PostgreSQL; they are read with their delivery."""

    def awaited(self, rows: Rows, delivery: DeliveryName, call: Call) -> Awaited:
        """What decides on a document before it comes; raises Absent."""
        found, mailbox, room = rows.each(
            deliveries.FIND, mailboxes.FIND_OF_DELIVERY, FIND_ROOM, name=delivery, organisation=call.organisation
        )
        present = deliveries.seen(found, delivery, call.organisation)
        return Awaited(present, mailboxes.known(mailbox, present.mailbox, call), bytes_in(room))

    def lock_content_and_room(self, tx: Transaction, sha256: str, organisation: OrganisationName) -> int:
        """Keeps others from placing or removing this content, and from storing documents of this organisation, until
        the transaction ends; how many bytes its documents hold.
        """
        stated = {"sha256": sha256, "organisation": organisation}
        return bytes_in(tx.each(LOCK_CONTENT, LOCK_ROOM, FIND_ROOM, **stated)[-1])

    def lock_content(self, tx: Transaction, sha256: str) -> None:
        """Keeps others from placing or removing this content until the transaction ends."""
        tx.execute(LOCK_CONTENT, sha256=sha256)

    def insert(self, tx: Transaction, delivery: DeliveryName, document: Document) -> None:
        """Stores a document of a locked delivery, with the commit."""
        tx.last(
            INSERT,
            name=document.name,
            delivery=delivery,
            id=document.id,
            file_name=document.file_name,
            media_type=document.media_type,
            size_bytes=document.size_bytes,
            sha256=document.sha256,
            create_time=document.create_time,
        )

    def delete(self, tx: Transaction, name: DocumentName) -> None:
        """Removes a document of a locked delivery."""
        if tx.execute(DELETE, name=name) != 1:
            raise Stale(name)

    def named(self, rows: Rows, digests: list[str]) -> frozenset[str]:
        """Those of the digests that any document has: for jobs, which see all."""
        return frozenset(row["sha256"] for row in rows.all(NAMED, digests=digests))

    def removed(self, rows: Rows, *, size: int) -> Sequence[Removed]:
        """Documents that were removed, the first ones, whose room is still taken: for jobs."""
        return [Removed(row["position"], row["sha256"]) for row in rows.all(REMOVED, size=size)]

    def release(self, tx: Transaction, removed: Removed) -> None:
        """Gives the room of a removed document back, once, with the commit."""
        tx.last(RELEASE, position=removed.position)


def bytes_in(room: dict[str, Any] | None) -> int:
    """How many bytes an organisation's documents hold; none where it never had one."""
    return 0 if room is None else int(room["bytes"])
