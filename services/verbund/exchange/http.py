"""Downloads of documents: GET and HEAD with length, ranges and validators (RFC 9110). Their rule stands in routes.py.

A download that cannot be carried on breaks off, so that its client sees an error: the length was said before.
"""

import asyncio
import base64
import contextlib
import re
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import format_datetime, parsedate_to_datetime
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from verbund.exchange.blobs.directory import Blob, BlobDirectory
from verbund.exchange.deliveries.domain import Document
from verbund.exchange.routes import DOWNLOAD, ROUTES
from verbund.resources.names import DocumentName
from verbund.serving.call import Call, Principal
from verbund.serving.guarded import guarded, refused
from verbund.serving.http import ASGIApp
from verbund.serving.refusals import Absent, Exhausted, Invalid, Refusal, Unauthenticated
from verbund.serving.streams import Pace, Places
from verbund.serving.tokens import TokenVerifier

PIECE_BYTES = 1024 * 1024
LOOK_SECONDS = 0.25
NAME = re.compile(r"organisations/[a-z0-9-]+/deliveries/[a-z0-9-]+/documents/[a-z0-9-]+")
RANGE = re.compile(r"bytes=[ \t]*(\d{0,18})-(\d{0,18})[ \t]*", re.ASCII)
# What a browser shows in our place it must not run: content comes from others.
SAFE = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "private, no-cache",
    "Vary": "Authorization",
    "Accept-Ranges": "bytes",
}


@dataclass(frozen=True, slots=True)
class Span:
    """The bytes from `start` up to `end` of a content."""

    start: int
    end: int

    @property
    def size(self) -> int:
        """How many they are."""
        return self.end - self.start


class Unsatisfiable(Exception):  # noqa: N818 - says what is the case
    """The range begins beyond the end."""


class Downloads:
    """The handler of downloads."""

    def __init__(
        self,
        find: Callable[[DocumentName, Call], Document],
        blobs: BlobDirectory,
        *,
        places: Places,
        pace: Callable[[], Pace],
        revoked: Callable[[Principal], bool],
    ) -> None:
        self._find = find
        self._blobs = blobs
        self._places = places
        self._pace = pace
        self._revoked = revoked

    def application(self, verifier: TokenVerifier) -> ASGIApp:
        """The ASGI application of the exchange's HTTP routes."""
        return guarded(ROUTES, {DOWNLOAD.name: self.download}, verifier)

    def download(self, request: Request, call: Call) -> Response:
        """The document's content, or the part of it that is asked for; raises Absent."""
        name = request.path_params["path"]
        if not NAME.fullmatch(name):
            raise Absent(name)
        document = self._find(DocumentName(name), call)
        headers = headers_of(document)
        if unchanged(request.headers, document):
            del headers["Content-Type"], headers["Content-Disposition"]
            return Response(status_code=304, headers=headers)
        try:
            span = span_of(request.headers, document)
        except Unsatisfiable:
            answer = refused(Invalid("range", f"begins beyond the end, {document.size_bytes}"))
            answer.status_code = 416
            answer.headers["Content-Range"] = f"bytes */{document.size_bytes}"
            return answer
        whole = Span(0, document.size_bytes)
        found = span or whole
        headers["Content-Length"] = str(found.size)
        if span is not None:
            headers["Content-Range"] = f"bytes {span.start}-{span.end - 1}/{document.size_bytes}"
        status = 200 if span is None else 206
        if request.method == "HEAD":
            return Response(status_code=status, headers=headers)
        return self._content(document, found, status, headers, call)

    def _content(self, document: Document, span: Span, status: int, headers: Mapping[str, str], call: Call) -> Response:
        """The answer with the content; its place and its file are held until it ends. Raises Exhausted, Damaged."""
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._places.place(call.organisation))
            blob = stack.enter_context(self._blobs.open(document.sha256, document.size_bytes))
            pace = self._pace()

            def overdue() -> Refusal | None:
                if self._revoked(call.principal):
                    return Unauthenticated("TOKEN_INVALID")
                return too_slow() if pace.too_slow() else None

            return Held(pieces(blob, span, pace), status, headers, held=stack.pop_all(), overdue=overdue)


class Held(StreamingResponse):
    """An answer that lets go of what it holds when it ends, however it ends. It is ended when it is overdue."""

    def __init__(
        self,
        content: AsyncIterator[bytes],
        status: int,
        headers: Mapping[str, str],
        *,
        held: contextlib.ExitStack,
        overdue: Callable[[], Refusal | None],
    ) -> None:
        super().__init__(content, status_code=status, headers=headers)
        self._held = held
        self._overdue = overdue

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends the answer; raises the refusal of one that is overdue, though its client takes nothing meanwhile."""
        with self._held:
            sending = asyncio.ensure_future(super().__call__(scope, receive, send))
            try:
                while not (await asyncio.wait((sending,), timeout=LOOK_SECONDS))[0]:
                    if refusal := self._overdue():
                        raise refusal
                await sending
            finally:  # its file is closed when nothing reads it any more
                sending.cancel()
                await asyncio.wait((sending,))


async def pieces(blob: Blob, span: Span, pace: Pace) -> AsyncIterator[bytes]:
    """The bytes, read in a thread; raises Exhausted where the client takes them too slowly, Damaged where they end."""
    for offset in range(span.start, span.end, PIECE_BYTES):
        piece = await run_in_threadpool(blob.read, offset, min(PIECE_BYTES, span.end - offset))
        pace.wait()
        yield piece
        pace.moved(len(piece))
        if pace.too_slow():
            raise too_slow()


def too_slow() -> Exhausted:
    """The refusal of a client that does not keep up."""
    return Exhausted(limit="stream pace", reason="STREAM_TOO_SLOW")


def headers_of(document: Document) -> dict[str, str]:
    """What is said of the content, whatever part of it is sent."""
    digest = base64.b64encode(bytes.fromhex(document.sha256)).decode()
    return SAFE | {
        "Content-Type": document.media_type,
        "Content-Disposition": disposition(document.file_name),
        "ETag": etag_of(document),
        "Last-Modified": modified(document),
        "Repr-Digest": f"sha-256=:{digest}:",
    }


def etag_of(document: Document) -> str:
    """The validator: the digest, so that equal content is equal."""
    return f'"{document.sha256}"'


def modified(document: Document) -> str:
    """When the document came, as HTTP writes times."""
    return format_datetime(document.create_time.astimezone(UTC).replace(microsecond=0), usegmt=True)


def disposition(file_name: str) -> str:
    """Content-Disposition with the file's name (RFC 6266), for clients that know RFC 8187 and for those that do not."""
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\%' else "_" for c in file_name)
    found = f'attachment; filename="{plain}"'
    return found if plain == file_name else f"{found}; filename*=UTF-8''{quote(file_name, safe='')}"


def unchanged(headers: Mapping[str, str], document: Document) -> bool:
    """Whether the client has the content already (RFC 9110, sections 13.1.2 and 13.1.3)."""
    asked = headers.get("if-none-match")
    if asked is not None:
        tags = (tag.strip().removeprefix("W/") for tag in asked.split(","))
        return any(tag in ("*", etag_of(document)) for tag in tags)
    return False


def span_of(headers: Mapping[str, str], document: Document) -> Span | None:
    """The one range that is asked for; None, for all of it, where none is, or several, or one of another version.

    Raises Unsatisfiable.
    """
    asked = RANGE.fullmatch(headers.get("range", ""))
    if asked is None or asked[1] + asked[2] == "" or not same_version(headers.get("if-range"), document):
        return None
    size = document.size_bytes
    if not asked[1]:  # the last so many
        last = min(int(asked[2]), size)
        if not last:
            raise Unsatisfiable
        return Span(size - last, size)
    start = int(asked[1])
    end = min(int(asked[2]) + 1, size) if asked[2] else size
    if asked[2] and int(asked[2]) < start:
        return None  # not a range: RFC 9110, section 14.1.1, has it ignored
    if start >= size:
        raise Unsatisfiable
    return Span(start, end)


def same_version(asked: str | None, document: Document) -> bool:
    """Whether If-Range, where it is there, names what we have."""
    if asked is None or asked == etag_of(document):
        return True
    with contextlib.suppress(ValueError, TypeError):
        return parsedate_to_datetime(asked) == parsedate_to_datetime(modified(document))
    return False
