"""Signed JWTs as they are sent (RFC 7515, section 7.1): written, and read before anything of them is believed."""

import base64
from collections.abc import Callable, Mapping
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


def write(header: Mapping[str, Any], claims: Mapping[str, Any], sign: Callable[[bytes], bytes]) -> str:
    """A signed JWT; `sign` makes the signature as JWS has it."""
    signed = encoded(orjson.dumps(header)) + b"." + encoded(orjson.dumps(claims))
    return (signed + b"." + encoded(sign(signed))).decode("ascii")


def encoded(content: bytes) -> bytes:
    """The base64url text of some bytes, without padding."""
    return base64.urlsafe_b64encode(content).rstrip(b"=")


def decoded(segment: bytes) -> bytes:
    """What a base64url text holds; raises ValueError where it is none. JWS leaves the padding out."""
    return base64.b64decode(segment + b"=" * (-len(segment) % 4), b"-_", validate=True)
