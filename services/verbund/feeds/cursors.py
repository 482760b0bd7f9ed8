"""Positions of a feed, and the tokens that name them."""

import base64
import binascii
import hashlib
import struct
from dataclasses import dataclass
from typing import NamedTuple

from verbund.serving.refusals import Invalid, Violation

LAYOUT = struct.Struct(">BQq")  # version, transaction, position
VERSION = 1
CHECK_BYTES = 4


class Cursor(NamedTuple):
    """A position of a feed. Nothing that commits later precedes a cursor below the oldest running transaction."""

    transaction: int
    position: int


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of one feed, `change` for example: opaque to callers, and no secret."""

    feed: str

    def token_of(self, cursor: Cursor) -> str:
        """The token that names a cursor; it says nothing about what may be seen."""
        body = LAYOUT.pack(VERSION, cursor.transaction, cursor.position)
        return base64.urlsafe_b64encode(body + self._check_of(body)).decode().rstrip("=")

    def cursor_of(self, token: str, *, newest: Cursor) -> Cursor:
        """The cursor that a token names; raises Invalid for one that this feed, which reaches to `newest`, never
        gave.
        """
        try:
            decoded = base64.urlsafe_b64decode(token.encode() + b"=" * (-len(token) % 4))
            body, check = decoded[:-CHECK_BYTES], decoded[-CHECK_BYTES:]
            version, transaction, position = LAYOUT.unpack(body)
        except (ValueError, binascii.Error, struct.error):
            version, check, body, transaction, position = 0, b"", b"", 0, 0
        cursor = Cursor(transaction, position)
        if version != VERSION or check != self._check_of(body) or position < 0 or cursor > newest:
            raise Invalid(Violation("resume_token", "is not a token of this feed"), reason="CURSOR_INVALID")
        return cursor

    def _check_of(self, body: bytes) -> bytes:
        """Tells a token from a text that happens to have its length, and from one of another feed."""
        return hashlib.sha256(f"verbund {self.feed}\n".encode() + body).digest()[:CHECK_BYTES]
