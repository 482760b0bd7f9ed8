"""Signed JWTs as they are sent (RFC 7515, section 7.1), read before anything of them is believed."""

import base64
from dataclasses import dataclass
from typing import Any

import orjson


@dataclass(frozen=True, slots=True)
class Compact:
    """What a signed JWT says; whether it is true is another question."""

    header: dict[str, Any]
    claims: dict[str, Any]
    signed: bytes
    signature: bytes


def read(text: str, *, length_max: int) -> Compact:
    """The parts of a signed JWT; raises ValueError where it is none, or longer than `length_max` characters."""
    if len(text) > length_max:
        raise ValueError("too long")
    signed, _, signature = text.encode("ascii").rpartition(b".")
    protected, dot, payload = signed.partition(b".")
    header, claims = orjson.loads(decoded(protected)), orjson.loads(decoded(payload))
    if not dot or not isinstance(header, dict) or not isinstance(claims, dict):
        raise ValueError("no JWT")
    return Compact(header, claims, signed, decoded(signature))


def decoded(segment: bytes) -> bytes:
    """What a base64url text holds; raises ValueError where it is none. JWS leaves the padding out."""
    return base64.b64decode(segment + b"=" * (-len(segment) % 4), b"-_", validate=True)
