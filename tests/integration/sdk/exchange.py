"""A small real exchange for the client: deliveries, documents and a watch over TLS, that breaks when it is told to."""

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.message import Message
from verbund.exchange.v1 import delivery_service_pb2 as pb
from verbund.exchange.v1 import upload_service_pb2 as uploads

ORGANISATION = "organisations/charlottenburg-wilmersdorf"
MAILBOX = "organisations/citylab-berlin/mailboxes/projects"
PIECE = 64 * 1024
CHANGES = {
    "SubmitDelivery": pb.DELIVERY_STATE_AVAILABLE,
    "ClaimDelivery": pb.DELIVERY_STATE_CLAIMED,
    "AcceptDelivery": pb.DELIVERY_STATE_ACCEPTED,
    "RejectDelivery": pb.DELIVERY_STATE_REJECTED,
    "WithdrawDelivery": pb.DELIVERY_STATE_WITHDRAWN,
}


@dataclass
class Exchange:
    """What it holds, what it was asked, and how it is to break."""

    deliveries: dict[str, pb.Delivery] = field(default_factory=dict)
    contents: dict[str, bytes] = field(default_factory=dict)
    answers: dict[str, Any] = field(default_factory=dict)
    """What was answered under each request id."""
    asked: list[tuple[str, Any]] = field(default_factory=list)
    lost: dict[str, int] = field(default_factory=dict)
    """By method, how many answers are still to be lost after the work is done."""
    break_after: list[int] = field(default_factory=list)
    """After how many bytes the next downloads break off."""
    broken_with: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE
    watches: list[list[pb.WatchDeliveriesResponse | grpc.StatusCode]] = field(default_factory=list)
    """What each further watch says, and how it ends."""
    address: str = ""

    def create(self, request: pb.CreateDeliveryRequest, context: grpc.ServicerContext) -> pb.Delivery:
        """Begins a delivery, once for each request id."""
        self.asked.append(("CreateDelivery", request))
        if request.request_id not in self.answers:
            delivery = pb.Delivery()
            delivery.CopyFrom(request.delivery)
            delivery.name = f"{request.parent}/deliveries/d{len(self.deliveries)}"
            delivery.state = pb.DELIVERY_STATE_DRAFT
            self.deliveries[delivery.name] = delivery
            self.answers[request.request_id] = pb.Delivery.FromString(delivery.SerializeToString())
        self.lose("CreateDelivery", context)
        answer: pb.Delivery = self.answers[request.request_id]
        return answer

    def get(self, request: pb.GetDeliveryRequest, context: grpc.ServicerContext) -> pb.Delivery:
        """A delivery as it stands."""
        if request.name not in self.deliveries:
            context.abort(grpc.StatusCode.NOT_FOUND, "no such delivery")
        return self.deliveries[request.name]

    def list(self, request: pb.ListDeliveriesRequest, _context: grpc.ServicerContext) -> pb.ListDeliveriesResponse:
        """One delivery a page, so that pages are turned."""
        found = [each for each in self.deliveries.values() if not request.states or each.state in request.states]
        start = int(request.page_token or 0)
        token = str(start + 1) if start + 1 < len(found) else ""
        return pb.ListDeliveriesResponse(deliveries=found[start : start + 1], next_page_token=token)

    def change(self, method: str) -> Any:
        """A step that changes the state, once for each request id."""

        def changed(request: Any, context: grpc.ServicerContext) -> pb.Delivery:
            self.asked.append((method, request))
            if request.request_id not in self.answers:
                self.deliveries[request.name].state = CHANGES[method]
                self.answers[request.request_id] = self.deliveries[request.name]
            self.lose(method, context)
            answer: pb.Delivery = self.answers[request.request_id]
            return answer

        return changed

    def upload(self, requests: Iterator[uploads.UploadDocumentRequest], context: grpc.ServicerContext) -> pb.Document:
        """Takes a document in, and checks what its sender said of it."""
        first = next(requests)
        self.asked.append(("UploadDocument", first))
        pieces = [first.content.data, *(request.content.data for request in requests)]
        content = b"".join(pieces)
        assert max(map(len, pieces)) <= 256 * 1024
        if (hashlib.sha256(content).hexdigest(), len(content)) != (first.sha256, first.size_bytes):
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "this is not what was announced")
        document = pb.Document(
            name=first.name,
            file_name=first.file_name,
            media_type=first.media_type,
            size_bytes=first.size_bytes,
            sha256=first.sha256,
        )
        delivery = self.deliveries[first.name.partition("/documents/")[0]]
        if document.name not in {each.name for each in delivery.documents}:
            delivery.documents.append(document)
        self.contents[first.name] = content
        self.lose("UploadDocument", context)
        return document

    def download(
        self, request: uploads.DownloadDocumentRequest, context: grpc.ServicerContext
    ) -> Iterator[uploads.DownloadDocumentResponse]:
        """Gives a document out, from an offset on, until it is to break."""
        self.asked.append(("DownloadDocument", request))
        left = self.break_after.pop(0) if self.break_after else None
        content = self.contents[request.name]
        for start in range(request.offset, len(content), PIECE):
            piece = content[start : start + PIECE]
            if left is not None and len(piece) > left:
                yield uploads.DownloadDocumentResponse(data=piece[:left])
                context.abort(self.broken_with, "the worker is gone")
            yield uploads.DownloadDocumentResponse(data=piece)
            left = None if left is None else left - len(piece)

    def watch(
        self, request: pb.WatchDeliveriesRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.WatchDeliveriesResponse]:
        """Says what the next watch is to say."""
        self.asked.append(("WatchDeliveries", request))
        for message in self.watches.pop(0):
            if isinstance(message, grpc.StatusCode):
                context.abort(message, "the worker is gone")
            yield message

    def lose(self, method: str, context: grpc.ServicerContext) -> None:
        """The work is done, and the answer does not arrive."""
        if self.lost.get(method, 0):
            self.lost[method] -= 1
            context.abort(grpc.StatusCode.UNAVAILABLE, "the worker is gone")

    def count(self, method: str) -> int:
        """How often a method was called."""
        return sum(name == method for name, _ in self.asked)


def handlers(exchange: Exchange) -> list[grpc.GenericRpcHandler]:
    """The exchange as gRPC has it."""
    unary, stream = grpc.unary_unary_rpc_method_handler, grpc.unary_stream_rpc_method_handler
    deliveries: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
        "CreateDelivery": unary(exchange.create, pb.CreateDeliveryRequest.FromString, serialized),
        "GetDelivery": unary(exchange.get, pb.GetDeliveryRequest.FromString, serialized),
        "ListDeliveries": unary(exchange.list, pb.ListDeliveriesRequest.FromString, serialized),
        "WatchDeliveries": stream(exchange.watch, pb.WatchDeliveriesRequest.FromString, serialized),
    }
    for method in CHANGES:
        deliveries[method] = unary(exchange.change(method), getattr(pb, f"{method}Request").FromString, serialized)
    documents: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
        "UploadDocument": grpc.stream_unary_rpc_method_handler(
            exchange.upload, uploads.UploadDocumentRequest.FromString, serialized
        ),
        "DownloadDocument": stream(exchange.download, uploads.DownloadDocumentRequest.FromString, serialized),
    }
    return [
        grpc.method_handlers_generic_handler("verbund.exchange.v1.DeliveryService", deliveries),
        grpc.method_handlers_generic_handler("verbund.exchange.v1.UploadService", documents),
    ]


def serialized(message: Message) -> bytes:
    """A message as it is sent."""
    return message.SerializeToString()


@contextmanager
def exchange_serving(exchange: Exchange, certificate: tuple[Path, Path]) -> Iterator[Exchange]:
    """The exchange over TLS."""
    server = grpc.server(ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers(handlers(exchange))
    credentials = grpc.ssl_server_credentials([(certificate[1].read_bytes(), certificate[0].read_bytes())])
    exchange.address = f"https://127.0.0.1:{server.add_secure_port('127.0.0.1:0', credentials)}"
    server.start()
    try:
        yield exchange
    finally:
        server.stop(0).wait()
