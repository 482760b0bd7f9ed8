"""Page tokens (AIP-158): opaque, and bound to the arguments of the list that made them."""

import base64
import binascii
import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self, TypeVar

from google.protobuf.message import Message

from verbund.serving.refusals import Invalid, Violation

# Of the bodies of a page, whose statement ends with the one that reaches it. In JSON they may take six times as much,
# and an answer holds 16 MiB.
BYTES_MAX = 2 * 1024 * 1024
Entry = TypeVar("Entry")


class Named(Protocol):
    """What a list by name holds."""

    @property
    def name(self) -> str:
        """The resource name."""


@dataclass(frozen=True, slots=True)
class Page:
    """The page that a list by name is asked for: so many entries after a name."""

    arguments: bytes
    after: str
    size: int

    @classmethod
    def asked(cls, request: Any, organisation: str) -> Self:
        """By a List request of an organisation; raises Invalid where its token is not one of this list."""
        arguments = arguments_of(request, organisation)
        position = decode(request.page_token, arguments, str) or [""]
        return cls(arguments, str(position[0]), size(request.page_size))

    @property
    def limit(self) -> int:
        """How many entries to read: one more than are shown tells whether another page follows."""
        return self.size + 1

    def shown(self, found: Sequence[Entry]) -> Sequence[Entry]:
        """The entries that were read, without the one more."""
        return found[: self.size]

    def next_token(self, found: Sequence[Named], *, full: bool = False) -> str:
        """The token of the page after this one; empty where none follows. A page may be full before its size."""
        more = full or len(found) > self.size
        return encode(self.arguments, self.shown(found)[-1].name) if more else ""


def are_full(bodies: Iterable[bytes]) -> bool:
    """Whether bodies fill a page, so that more may follow."""
    return sum(map(len, bodies)) >= BYTES_MAX


def size(requested: int, *, default: int = 50, maximum: int = 1000) -> int:
    """How many entries a page has: what was asked for, within bounds."""
    return min(requested or default, maximum)


def arguments_of(request: Message, *organisation: str) -> bytes:
    """A digest of everything that must stay the same from page to page: the request without its page, and who asks."""
    kept = type(request)()
    kept.CopyFrom(request)
    for field in ("page_token", "page_size"):
        kept.ClearField(field)
    body = kept.SerializeToString(deterministic=True)
    return hashlib.sha256("\n".join([kept.DESCRIPTOR.full_name, *organisation, ""]).encode() + body).digest()[:12]


def encode(arguments: bytes, *position: str | int) -> str:
    """The token of the page that follows `position`."""
    text = json.dumps([base64.b64encode(arguments).decode(), *position], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode(token: str, arguments: bytes, *kinds: type[str] | type[int]) -> list[str | int] | None:
    """The position a token names, None for the first page; raises Invalid where the token is not one of these
    arguments.
    """
    if not token:
        return None
    try:
        parts = json.loads(base64.urlsafe_b64decode(token.encode() + b"=" * (-len(token) % 4)))
        fits = isinstance(parts, list) and len(parts) == len(kinds) + 1 and base64.b64decode(parts[0]) == arguments
        "".join(part for part in parts[1:] if isinstance(part, str)).encode()  # half a surrogate pair is no text
    except (ValueError, binascii.Error, TypeError, RecursionError):
        fits = False
    if not fits or not all(stored(part, kind) for part, kind in zip(parts[1:], kinds, strict=True)):
        raise Invalid(
            Violation("page_token", "is not a token of a page of this list with these arguments"),
            reason="CURSOR_INVALID",
        )
    return list(parts[1:])


def stored(part: object, kind: type[str] | type[int]) -> bool:
    """Whether a part of a position is of its kind, and a value that PostgreSQL can hold."""
    return type(part) is kind and not (isinstance(part, str) and "\0" in part)
