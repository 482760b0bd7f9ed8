"""Changes as callers read them, and the tokens that name a position of the feed."""

import base64
import binascii
import hashlib
import struct

from verbund.registry.changes.domain import Cursor, Entry
from verbund.registry.v1 import change_service_pb2 as pb
from verbund.serving.refusals import Invalid, Violation

LAYOUT = struct.Struct(">BQq")  # version, transaction, position
VERSION = 1
CHECK_BYTES = 4


def change_of(entry: Entry, told: "pb.ChangeType.ValueType") -> pb.Change:
    """A change as those see it who are told of it as `told`; without content where there is none to see."""
    change = entry.change
    message = pb.Change(resource=change.resource, type=told, organisation=change.organisation)
    message.time.FromDatetime(change.time)
    if told == pb.CHANGE_TYPE_UPDATED:
        message.changed_paths.extend(change.changed_paths)
    if told in (pb.CHANGE_TYPE_CREATED, pb.CHANGE_TYPE_UPDATED) and change.body is not None:
        getattr(message, change.resource_kind).MergeFromString(change.body)
    return message


def token_of(cursor: Cursor) -> str:
    """The token that names a cursor; opaque to callers, and no secret: it says nothing about what may be seen."""
    body = LAYOUT.pack(VERSION, cursor.transaction, cursor.position)
    return base64.urlsafe_b64encode(body + check_of(body)).decode().rstrip("=")


def cursor_of(token: str, *, newest: Cursor) -> Cursor:
    """The cursor that a token names; raises Invalid for one that this feed, which reaches to `newest`, never gave."""
    try:
        decoded = base64.urlsafe_b64decode(token.encode() + b"=" * (-len(token) % 4))
        body, check = decoded[:-CHECK_BYTES], decoded[-CHECK_BYTES:]
        version, transaction, position = LAYOUT.unpack(body)
    except (ValueError, binascii.Error, struct.error):
        version, check, body, transaction, position = 0, b"", b"", 0, 0
    cursor = Cursor(transaction, position)
    if version != VERSION or check != check_of(body) or position < 0 or cursor > newest:
        raise Invalid(Violation("resume_token", "is not a token of this feed"), reason="CURSOR_INVALID")
    return cursor


def check_of(body: bytes) -> bytes:
    """Tells a token from a text that happens to have its length."""
    return hashlib.sha256(b"verbund change\n" + body).digest()[:CHECK_BYTES]
