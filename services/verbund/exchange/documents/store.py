"""The table `documents`: one method, one visible statement or round trip."""

from verbund.database.rows import Rows, Transaction
from verbund.exchange.deliveries import store as deliveries
from verbund.exchange.deliveries.domain import Delivery, Document
from verbund.exchange.mailboxes import store as mailboxes
from verbund.exchange.mailboxes.domain import Mailbox
from verbund.resources.names import DeliveryName, DocumentName
from verbund.serving.call import Call
from verbund.serving.refusals import Stale

# Whoever places a content or removes one that nobody names holds the lock of its digest until the transaction ends.
LOCK_CONTENT = "SELECT pg_advisory_xact_lock(hashtextextended('exchange.content ' || %(sha256)s, 0))"
INSERT = """
    INSERT INTO exchange.documents (name, delivery, id, file_name, media_type, size_bytes, sha256, create_time)
    VALUES (%(name)s, %(delivery)s, %(id)s, %(file_name)s, %(media_type)s, %(size_bytes)s, %(sha256)s, %(create_time)s)
"""
DELETE = "DELETE FROM exchange.documents WHERE name = %(name)s"
NAMED = "SELECT DISTINCT sha256 FROM exchange.documents WHERE sha256 = ANY (%(digests)s)"


class DocumentStore:
    """Documents in PostgreSQL; they are read with their delivery."""

    def awaited(self, rows: Rows, delivery: DeliveryName, call: Call) -> tuple[Delivery, Mailbox]:
        """What decides on a document before it comes: its delivery, and the mailbox that it goes to; raises Absent."""
        found, mailbox = rows.each(deliveries.FIND, mailboxes.FIND_OF_DELIVERY, name=delivery)
        present = deliveries.seen(found, delivery, call.organisation)
        return present, mailboxes.known(mailbox, present.mailbox, call)

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
