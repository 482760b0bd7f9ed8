"""UploadService: documents on their way in and out. An answer means that the content is on the disk."""

import itertools
from collections.abc import Iterator

from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.empty_pb2 import Empty

from verbund.clock import Clock
from verbund.database.database import Database
from verbund.database.rows import Transaction
from verbund.exchange.blobs.directory import BlobDirectory, Incoming
from verbund.exchange.deliveries.domain import Document, Event, Step
from verbund.exchange.deliveries.messages import document_of
from verbund.exchange.deliveries.steps import Steps
from verbund.exchange.deliveries.store import DeliveryStore
from verbund.exchange.documents.domain import CONTENT_BYTES_MAX, Admission, Room, Upload, repeated, shown
from verbund.exchange.documents.store import DocumentStore
from verbund.exchange.v1 import delivery_service_pb2
from verbund.exchange.v1 import upload_service_pb2 as pb
from verbund.resources.names import DeliveryName, DocumentName
from verbund.serving.call import Call
from verbund.serving.refusals import Invalid, Late

PIECE_BYTES = 256 * 1024
STATEMENT_SECONDS_MAX = 30.0  # for the database's part: a stream may take much longer
# Whoever's time ends between placing and commit leaves a content that is no document's and on nobody's account.
COMMIT_SECONDS_MIN = 1.0


class UploadServicer:
    """The documents of deliveries."""

    service: ServiceDescriptor = pb.DESCRIPTOR.services_by_name["UploadService"]

    def __init__(
        self,
        *,
        database: Database,
        documents: DocumentStore,
        deliveries: DeliveryStore,
        steps: Steps,
        blobs: BlobDirectory,
        bytes_max: int,
        documents_max: int,
        stored_bytes_max: int,
        clock: Clock,
    ) -> None:
        self._database = database
        self._documents = documents
        self._deliveries = deliveries
        self._steps = steps
        self._blobs = blobs
        self._bytes_max = bytes_max
        self._documents_max = documents_max
        self._stored_bytes_max = stored_bytes_max
        self._clock = clock

    def UploadDocument(self, requests: Iterator[pb.UploadDocumentRequest], call: Call) -> delivery_service_pb2.Document:
        """Takes a document in: its content is synced to the disk before anything is said of it."""
        first = next(requests)
        upload = announced(first, call)
        admission = self._admit(upload, call)
        with self._blobs.incoming() as incoming:
            receive(incoming, itertools.chain((first,), requests), admission)
            document = upload.completed(size_bytes=incoming.size_bytes, sha256=incoming.digest, at=self._clock())
            incoming.sync()
            with self._database.transaction(call.within(STATEMENT_SECONDS_MAX)) as tx:
                return document_of(self._keep(tx, upload, document, incoming, call))

    def DownloadDocument(
        self, request: pb.DownloadDocumentRequest, call: Call
    ) -> Iterator[pb.DownloadDocumentResponse]:
        """Gives a document's content in pieces; what cannot be read to its end, ends with an error."""
        document = self.find(DocumentName(request.name), call)
        if request.offset > document.size_bytes:
            raise Invalid("offset", f"is beyond the end, {document.size_bytes}")
        with self._blobs.open(document.sha256, document.size_bytes) as blob:
            answer = pb.DownloadDocumentResponse(document=document_of(document))
            for piece in blob.pieces(request.offset, document.size_bytes, PIECE_BYTES):
                answer.data = piece
                yield answer
                answer = pb.DownloadDocumentResponse()
            if answer.HasField("document"):  # of an empty content
                yield answer

    def DeleteDocument(self, request: pb.DeleteDocumentRequest, call: Call) -> Empty:
        """Removes a document from a draft; its content goes when nothing names it any more."""
        name = DocumentName(request.name)
        with self._database.transaction(call) as tx:
            delivery = self._deliveries.lock(tx, delivery_of(name), call.organisation)
            delivery.require_sender(call)
            after = delivery.without_document(name, at=self._clock())
            self._documents.delete(tx, name)
            self._steps.write(tx, [Step(Event.DOCUMENT_REMOVED, after, after.update_time, name)], call)
            return tx.answer(Empty())

    def find(self, name: DocumentName, call: Call) -> Document:
        """A document that the caller may read; raises Absent."""
        with self._database.read(call.within(STATEMENT_SECONDS_MAX)) as rows:
            delivery = self._deliveries.find(rows, delivery_of(name), call.organisation)
        return shown(delivery, name, call.organisation)

    def _admit(self, upload: Upload, call: Call) -> Admission:
        """What may come of the document; raises what there is to refuse before its content does."""
        with self._database.read(call.within(STATEMENT_SECONDS_MAX)) as rows:
            delivery, mailbox, stored_bytes = self._documents.awaited(rows, upload.delivery, call)
        room = Room(stored_bytes, self._stored_bytes_max)
        return upload.admit(delivery, mailbox, room, bytes_max=self._bytes_max, documents_max=self._documents_max)

    def _keep(self, tx: Transaction, upload: Upload, document: Document, incoming: Incoming, call: Call) -> Document:
        """Stores the document with its content placed; the one that is there, where it is the same."""
        delivery = self._deliveries.lock(tx, upload.delivery, call.organisation)
        if known := repeated(delivery, document):
            return known
        after = delivery.with_document(document, documents_max=self._documents_max, at=document.create_time)
        stored_bytes = self._documents.lock_content_and_room(tx, document.sha256, delivery.sender)
        Room(stored_bytes, self._stored_bytes_max).require(document.size_bytes)
        if call.remaining_seconds() < COMMIT_SECONDS_MIN:
            raise Late
        incoming.place()
        self._documents.insert(tx, delivery.name, document)
        self._steps.write(tx, [Step(Event.DOCUMENT_ADDED, after, after.update_time, document.name)], call)
        return document


def announced(first: pb.UploadDocumentRequest, call: Call) -> Upload:
    """What the first message says of the document."""
    return Upload.announced(
        call,
        name=first.name,
        file_name=first.file_name,
        media_type=first.media_type or first.content.content_type,
        size_bytes=first.size_bytes,
        sha256=first.sha256,
    )


def receive(incoming: Incoming, requests: Iterator[pb.UploadDocumentRequest], admission: Admission) -> None:
    """Writes the content as it comes; raises what there is to refuse of it."""
    for request in requests:
        data = request.content.data
        if len(data) > CONTENT_BYTES_MAX:
            raise Invalid("content.data", f"has more than {CONTENT_BYTES_MAX} bytes")
        admission.check(incoming.size_bytes + len(data))
        incoming.write(data)


def delivery_of(name: DocumentName) -> DeliveryName:
    """The delivery that a document belongs to."""
    return DeliveryName(name.partition("/documents/")[0])
