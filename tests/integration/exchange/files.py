"""The exchange with documents in it: a worker in a process of its own behind a real gateway, which tests may kill."""

import hashlib
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import httpx
import psutil
from google.api.httpbody_pb2 import HttpBody
from verbund.exchange.v1 import delivery_service_pb2 as deliveries
from verbund.exchange.v1 import upload_service_pb2 as pb
from verbund.exchange.v1 import upload_service_pb2_grpc as grpc_pb

from tests.integration.exchange.mesh import Mesh, settings
from tests.support.envoy import Gateway, gateway_settings, start_envoy
from tests.support.members import worker_process
from tests.support.serving import bearer
from tests.support.tokens import Issuer

PIECE_BYTES = 256 * 1024
MIB = 1024 * 1024
SENDER, RECEIVER, STRANGER = "ba-charlottenburg-wilmersdorf", "citylab", "stranger"


@dataclass(frozen=True, slots=True)
class Exchange:
    """A running worker, the gateway before it, and what tests ask of them."""

    mesh: Mesh
    gateway: Gateway
    process: "subprocess.Popen[bytes]"
    blobs: Path

    def token(self, organisation: str = SENDER, **claims: Any) -> str:
        """A token of an organisation's system."""
        return self.mesh.issuer.token(organisation, roles=("system",), **claims)

    def draft(self, delivery_id: str = "") -> str:
        """A new draft of the sender to the receiver; its name."""
        return self.begin(self.mesh.mailbox, delivery_id)

    def begin(self, mailbox: str, delivery_id: str = "") -> str:
        """A new draft to a mailbox; its name."""
        district = self.mesh.district
        delivery = deliveries.Delivery(mailbox=mailbox, subject="Projektauftrag")
        request = deliveries.CreateDeliveryRequest(
            parent=district.organisation, delivery_id=delivery_id, delivery=delivery
        )
        return district.deliveries.CreateDelivery(request, timeout=20).name

    def stub(self, channel: grpc.Channel | None = None) -> grpc_pb.UploadServiceStub:
        """The service, asked directly."""
        return grpc_pb.UploadServiceStub(channel or self.mesh.channel)

    def upload(self, name: str, content: bytes, organisation: str = SENDER, **announced: Any) -> deliveries.Document:
        """Uploads a document as gRPC does."""
        metadata = bearer(self.token(organisation))
        return self.stub().UploadDocument(messages(name, content, **announced), metadata=metadata, timeout=60)

    def download(self, name: str, organisation: str = SENDER, offset: int = 0) -> bytes:
        """Downloads a document as gRPC does."""
        request = pb.DownloadDocumentRequest(name=name, offset=offset)
        answers = self.stub().DownloadDocument(request, metadata=bearer(self.token(organisation)), timeout=60)
        return b"".join(answer.data for answer in answers)

    def client(self, organisation: str = SENDER, **headers: str) -> httpx.Client:
        """An HTTP client of the gateway."""
        return self.gateway.client(self.token(organisation), **headers)

    def stored(self) -> list[str]:
        """The digests of the contents that lie there."""
        return sorted(f"{path.parent.name}{path.name}" for path in (self.blobs / "sha256").glob("*/*"))

    def half_written(self) -> list[Path]:
        """What is on its way in, or was left behind."""
        return list((self.blobs / "incoming").iterdir())


@contextmanager
def exchanging(dsn: str, root: Path, *, edge: dict[str, Any] | None = None, **more: str) -> Iterator[Exchange]:
    """A worker and a gateway on a database, stopped afterwards."""
    issuer = Issuer(root)
    shown = gateway_settings(root, workers=1, **(edge or {}))
    stated = settings(dsn, issuer, shown.socket_directory) | {"VERBUND_EXCHANGE_BLOB_DIR": str(root / "blobs")} | more
    with ExitStack() as stack:
        process, channel = stack.enter_context(worker_process("exchange", shown.socket_directory, 0, stated))
        gateway = stack.enter_context(start_envoy(shown, issuer.keys()))
        yield Exchange(Mesh(channel, issuer, dsn), gateway, process, Path(stated["VERBUND_EXCHANGE_BLOB_DIR"]))


def messages(name: str, content: bytes, **announced: Any) -> Iterator[pb.UploadDocumentRequest]:
    """An upload's messages."""
    fields = {"file_name": "auftrag.pdf", "media_type": "application/pdf"} | announced
    yield pb.UploadDocumentRequest(name=name, content=HttpBody(data=content[:PIECE_BYTES]), **fields)
    for start in range(PIECE_BYTES, len(content), PIECE_BYTES):
        yield pb.UploadDocumentRequest(content=HttpBody(data=content[start : start + PIECE_BYTES]))


def pieces(size: int, piece: int = MIB) -> Iterator[bytes]:
    """So many bytes, which no disk can compress away and which are the same every time."""
    block = hashlib.sha256(b"block").digest() * (piece // 32)
    for number in range(size // piece):
        yield number.to_bytes(8, "big") + block[8:]


def digest_of(content: bytes) -> str:
    """SHA-256 in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


@contextmanager
def peak_memory(process: "subprocess.Popen[bytes]") -> Iterator[Callable[[], int]]:
    """How many bytes the process had resident at most in the block more than before it."""
    watched = psutil.Process(process.pid)
    before, highest, done = watched.memory_info().rss, [0], threading.Event()

    def look() -> None:
        while not done.wait(0.02):
            highest[0] = max(highest[0], watched.memory_info().rss - before)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield lambda: highest[0]
    finally:
        done.set()
        thread.join()


def is_root() -> bool:
    """Whether the test may mount and trace."""
    return os.geteuid() == 0
