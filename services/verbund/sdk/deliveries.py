"""Deliveries: sending, and everything that sender and receiver do with one.

Each change goes out under a request id (AIP-155), so that a repetition has the effect of one call. Where the id follows
from what is done, a program that crashed and starts again meets what it did before.
"""

import hashlib
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import grpc

from verbund.exchange.v1 import delivery_service_pb2 as pb
from verbund.exchange.v1.delivery_service_pb2_grpc import DeliveryServiceStub
from verbund.sdk.calls import patiently
from verbund.sdk.refusals import Refused
from verbund.sdk.transfer import File, Progress, file_of, untold, upload

PAGE = 200
TRIES_MAX = 20
SENDING = uuid.UUID("6f1c2d0e-6d58-4a53-9b5e-0f6f3c1d7a42")  # of request ids that follow from what is done
OVER = (pb.DELIVERY_STATE_REJECTED, pb.DELIVERY_STATE_EXPIRED, pb.DELIVERY_STATE_WITHDRAWN)

Sent = File | str | Path | bytes | BinaryIO
Named = pb.Delivery | str
"""A delivery, or its name."""


class Deliveries:
    """The deliveries of the caller's organisation."""

    def __init__(self, channel: grpc.Channel, organisation: Callable[[], str]) -> None:
        self._channel = channel
        self._organisation = organisation
        self._stub = DeliveryServiceStub(channel)

    def send(
        self,
        sources: Sent | Sequence[Sent],
        *,
        to: str,
        subject: str,
        message: str = "",
        project: str = "",
        reference: str = "",
        progress: Progress = untold,
        request_id: str = "",
    ) -> pb.Delivery:
        """Sends files to a mailbox: begins a delivery, uploads each, submits it; the submitted delivery.

        The same call again, by a program that was killed halfway for example, goes on where the first one stopped, and
        has no effect where it was done, for 48 hours; unless the delivery was rejected, withdrawn or expired meanwhile:
        then it is sent anew. Another `request_id`, a UUID, sends the same once more. Raises Refused.
        """
        files = files_of(sources)
        delivery = pb.Delivery(mailbox=to, subject=subject, message=message, project=project, reference=reference)
        draft = self._begun(delivery, files, request_id)
        if draft.state != pb.DELIVERY_STATE_DRAFT:
            return draft
        upload_all(self._channel, files, draft.name, progress)
        return self._changed(self._stub.SubmitDelivery, pb.SubmitDeliveryRequest(name=draft.name), "submit")

    def _begun(self, delivery: pb.Delivery, files: Sequence[File], request_id: str) -> pb.Delivery:
        """The delivery as it stands: begun now or before. One that came to nothing is followed by another."""
        parent = self._organisation()
        wanted = request_id or id_of(delivery.SerializeToString(deterministic=True), *(f.document_id for f in files))
        for _ in range(TRIES_MAX):
            request = pb.CreateDeliveryRequest(parent=parent, delivery=delivery, request_id=wanted)
            begun = patiently(lambda request=request: self._stub.CreateDelivery(request))  # type: ignore[misc]
            present = self._find(begun.name)
            if present is not None and present.state not in OVER:
                return present
            wanted = id_of(wanted, begun.name)
        raise RuntimeError(f"the delivery came to nothing {TRIES_MAX} times in 48 hours; give a request_id of your own")

    def _find(self, name: str) -> pb.Delivery | None:
        """A delivery, None where its draft was deleted."""
        try:
            return self.get(name)
        except Refused as refused:
            if refused.code is not grpc.StatusCode.NOT_FOUND:
                raise
            return None

    def get(self, delivery: Named) -> pb.Delivery:
        """A delivery as it stands. Raises Refused."""
        request = pb.GetDeliveryRequest(name=name_of(delivery))
        return patiently(lambda: self._stub.GetDelivery(request))

    def list(self, parent: str, states: Sequence[pb.DeliveryState.ValueType] = ()) -> Iterator[pb.Delivery]:
        """The deliveries of a mailbox, or those that the organisation sent; the newest first. Raises Refused."""
        request = pb.ListDeliveriesRequest(parent=parent, states=states, page_size=PAGE)
        while True:
            page = patiently(lambda: self._stub.ListDeliveries(request))
            yield from page.deliveries
            request.page_token = page.next_page_token
            if not page.next_page_token:
                return

    def timeline(self, delivery: Named) -> Sequence[pb.TimelineEntry]:
        """What happened to a delivery, the oldest first. Raises Refused."""
        request = pb.ListTimelineEntriesRequest(parent=name_of(delivery), page_size=PAGE)
        entries: list[pb.TimelineEntry] = []
        while True:
            page = patiently(lambda: self._stub.ListTimelineEntries(request))
            entries += page.timeline_entries
            request.page_token = page.next_page_token
            if not page.next_page_token:
                return entries

    def claim(self, delivery: Named, *, lease_seconds: int = 0) -> pb.Delivery:
        """Claims a delivery, or makes one's claim last longer; 0 seconds means as long as the mailbox says."""
        request = pb.ClaimDeliveryRequest(name=name_of(delivery), lease_seconds=lease_seconds)
        return self._changed(self._stub.ClaimDelivery, request)

    def release(self, delivery: Named) -> pb.Delivery:
        """Gives a claim back."""
        return self._changed(self._stub.ReleaseDelivery, pb.ReleaseDeliveryRequest(name=name_of(delivery)))

    def accept(self, delivery: Named, *, manifest_sha256: str = "") -> pb.Delivery:
        """Accepts a claimed delivery, with its manifest where it is given: `manifest_of` what was downloaded."""
        request = pb.AcceptDeliveryRequest(name=name_of(delivery), manifest_sha256=manifest_sha256)
        return self._changed(self._stub.AcceptDelivery, request, "accept")

    def reject(self, delivery: Named, reason: pb.RejectionReason.ValueType, explanation: str) -> pb.Delivery:
        """Rejects a claimed delivery; the explanation says what is wrong and what the sender can do."""
        rejection = pb.Rejection(reason=reason, explanation=explanation)
        request = pb.RejectDeliveryRequest(name=name_of(delivery), rejection=rejection)
        return self._changed(self._stub.RejectDelivery, request, "reject")

    def withdraw(self, delivery: Named) -> pb.Delivery:
        """Takes a delivery back that was neither accepted nor rejected."""
        request = pb.WithdrawDeliveryRequest(name=name_of(delivery))
        return self._changed(self._stub.WithdrawDelivery, request, "withdraw")

    def _changed(self, method: Any, request: Any, once: str = "") -> pb.Delivery:
        """Makes a change; one that can happen `once` only has an id that follows from it."""
        request.request_id = id_of(once, request.SerializeToString(deterministic=True)) if once else str(uuid.uuid4())
        changed: pb.Delivery = patiently(lambda: method(request))
        return changed


def files_of(sources: Sent | Sequence[Sent]) -> list[File]:
    """What a caller means by what they send, one or several."""
    if isinstance(sources, Sequence) and not isinstance(sources, str | bytes):
        return [file_of(source) for source in sources]
    return [file_of(sources)]


def name_of(delivery: Named) -> str:
    """The delivery's name."""
    return delivery if isinstance(delivery, str) else delivery.name


def id_of(*parts: str | bytes) -> str:
    """The request id that follows from what is done."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part if isinstance(part, bytes) else part.encode())
        digest.update(b"\0")
    return str(uuid.uuid5(SENDING, digest.hexdigest()))


def manifest_of(documents: Sequence[pb.Document]) -> str:
    """The SHA-256 over what `sha256sum` prints for the documents, in the order of their names."""
    ordered = sorted(documents, key=lambda document: document.name)
    lines = (f"{document.sha256}  {document.name.rpartition('/')[2]}\n" for document in ordered)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def upload_all(channel: grpc.Channel, files: Sequence[File], delivery: str, progress: Progress) -> None:
    """Uploads each file once, and tells how far all of them are together."""
    different = {file.document_id: file for file in files}.values()
    total = sum(file.digest[1] for file in different)
    before = 0
    for file in different:
        upload(channel, file, delivery, lambda done, _size, before=before: progress(before + done, total))  # type: ignore[misc]
        before += file.digest[1]
