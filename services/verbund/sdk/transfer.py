"""Documents on their way: up in pieces with their SHA-256 said first, down in pieces with it verified last."""

import hashlib
import io
import mimetypes
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

import grpc
from google.api.httpbody_pb2 import HttpBody

from verbund.exchange.v1.delivery_service_pb2 import Document
from verbund.exchange.v1.upload_service_pb2 import DownloadDocumentRequest, UploadDocumentRequest
from verbund.exchange.v1.upload_service_pb2_grpc import UploadServiceStub
from verbund.files import sync_directory
from verbund.sdk.calls import ATTEMPTS_MAX, broke_off, may_pass, patiently, pause_of
from verbund.sdk.refusals import Damaged, Refused

PIECE_BYTES = 256 * 1024
STREAM_SECONDS_MIN = 60.0
STREAM_BYTES_PER_SECOND_MIN = 64 * 1024  # the mesh gives slower ones up
ID_DIGITS = 32
UNNAMED = "document"
NAME_BYTES_MAX = 255

Progress = Callable[[int, int], object]
"""Is told how many bytes have gone, and how many there are; on a thread of the client's."""


@dataclass(frozen=True)
class File:
    """What is sent: a path, bytes, or a binary file that can be read twice. Its name and media type are guessed."""

    source: str | Path | bytes | BinaryIO
    name: str = ""
    media_type: str = ""

    @property
    def file_name(self) -> str:
        """The name that the receiver sees, without folders."""
        if self.name:
            return self.name
        if isinstance(self.source, str | Path):
            return Path(self.source).name
        return Path(str(getattr(self.source, "name", "") or UNNAMED)).name

    @property
    def kind(self) -> str:
        """The media type; empty where the name does not tell: the mesh then calls it `application/octet-stream`."""
        return self.media_type or mimetypes.guess_type(self.file_name)[0] or ""

    @contextmanager
    def opened(self) -> Iterator[BinaryIO]:
        """The content from its beginning. A file that the caller opened stays open."""
        if isinstance(self.source, bytes):
            yield io.BytesIO(self.source)
        elif isinstance(self.source, str | Path):
            with Path(self.source).open("rb") as file:
                yield file
        else:
            self.source.seek(0)
            yield self.source

    @cached_property
    def digest(self) -> tuple[str, int]:
        """The SHA-256 in hexadecimal digits, and the size in bytes."""
        hashed, size = hashlib.sha256(), 0
        with self.opened() as file:
            while piece := file.read(PIECE_BYTES):
                hashed.update(piece)
                size += len(piece)
        return hashed.hexdigest(), size

    @property
    def document_id(self) -> str:
        """The document's id: the same for the same content and name, so that a repetition meets itself."""
        return hashlib.sha256(f"{self.digest[0]} {self.file_name}".encode()).hexdigest()[:ID_DIGITS]


def file_of(source: File | str | Path | bytes | BinaryIO) -> File:
    """What a caller means by what they send."""
    return source if isinstance(source, File) else File(source)


def upload(channel: grpc.Channel, file: File, delivery: str, progress: Progress) -> Document:
    """Puts a file into a draft. Repeated without harm where it breaks off: the mesh knows it by its digest.

    Raises Refused, and whatever reading the file raises, or `progress`.
    """
    stub = UploadServiceStub(channel)
    _, size = file.digest
    broken: list[Exception] = []

    def attempt() -> Document:
        try:
            return stub.UploadDocument(
                until_broken(pieces(file, delivery, progress), broken), timeout=seconds_for(size)
            )
        except Refused:
            if broken:
                raise broken[0] from None
            raise

    return patiently(attempt)


def until_broken(requests: Iterator[UploadDocumentRequest], broken: list[Exception]) -> Iterator[UploadDocumentRequest]:
    """The pieces; what making them raises is kept for the caller, as gRPC reads them on a thread of its own.

    The stream then ends short of the size that was stated, and the mesh refuses it.
    """
    try:
        yield from requests
    except Exception as error:  # noqa: BLE001 - the caller raises it
        broken.append(error)


def pieces(file: File, delivery: str, progress: Progress) -> Iterator[UploadDocumentRequest]:
    """What comes, then the content."""
    sha256, size = file.digest
    yield UploadDocumentRequest(
        name=f"{delivery}/documents/{file.document_id}",
        file_name=file.file_name,
        media_type=file.kind,
        size_bytes=size,
        sha256=sha256,
    )
    sent = 0
    with file.opened() as content:
        while piece := content.read(PIECE_BYTES):
            yield UploadDocumentRequest(content=HttpBody(data=piece))
            sent += len(piece)
            progress(sent, size)


def download(channel: grpc.Channel, document: Document, target: Path, progress: Progress) -> Path:
    """Puts a document's content at `target`, whole and verified, or nothing at all; the path.

    A directory gets a file of the document's own name, with its id before it where there is such a file already.
    Raises Refused, and Damaged where the content is not what its SHA-256 says.
    """
    place = place_in(target, document) if target.is_dir() else target
    handle, name = tempfile.mkstemp(dir=place.parent, prefix=".verbund-")
    fresh = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            hashed = hashlib.sha256()
            done = 0
            for piece in content_of(channel, document, progress):
                file.write(piece)
                hashed.update(piece)
                done += len(piece)
            verify(document, hashed.hexdigest(), done)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(place)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    sync_directory(place.parent)
    return place


def content_of(channel: grpc.Channel, document: Document, progress: Progress) -> Iterator[bytes]:
    """The content in order; where the stream breaks, the next one goes on from there. Raises Refused."""
    stub = UploadServiceStub(channel)
    done = attempts = 0
    while True:
        before = done
        request = DownloadDocumentRequest(name=document.name, offset=done)
        stream = stub.DownloadDocument(request, timeout=seconds_for(document.size_bytes - done))
        try:
            for message in stream:
                if message.data:
                    yield message.data
                    done += len(message.data)
                    progress(done, document.size_bytes)
        except Refused as refused:
            attempts = 1 if done > before else attempts + 1
            if attempts >= ATTEMPTS_MAX or not (may_pass(refused) or (broke_off(refused) and done > before)):
                raise
            time.sleep(pause_of(refused, attempts - 1))
        else:
            return
        finally:
            stream.cancel()  # a caller that stops reading lets the mesh go on


def verify(document: Document, sha256: str, size: int) -> None:
    """Raises Damaged where the content is not the document's."""
    if size != document.size_bytes:
        raise Damaged(f"{document.name} has {document.size_bytes} bytes, and {size} arrived")
    if sha256 != document.sha256:
        raise Damaged(f"{document.name} has the SHA-256 {document.sha256}, and what arrived has {sha256}")


def place_in(folder: Path, document: Document) -> Path:
    """A document's place in a directory: a sender who knows what is called how there does not replace it."""
    name, own = safe_name(document), document.name.rpartition("/")[2]
    if (folder / name).exists():
        name = f"{own}-{name}"
    return folder / (name if len(name.encode()) <= NAME_BYTES_MAX else own)


def safe_name(document: Document) -> str:
    """The document's file name as one path segment, else its id: a sender names no place on the receiver's disk."""
    name = document.file_name
    usable = name == Path(name).name and name.isprintable() and not name.startswith(".")
    return name if name and usable else document.name.rpartition("/")[2]


def seconds_for(size: int) -> float:
    """How long a stream of this size may take."""
    return STREAM_SECONDS_MIN + max(size, 0) / STREAM_BYTES_PER_SECOND_MIN


def untold(_done: int, _size: int) -> None:
    """Nobody wants to know how far it is."""
