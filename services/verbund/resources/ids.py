"""Ids that are drawn: they tell nothing, and nobody meets one by trying."""

import base64
import secrets

# Without letters and digits that are taken for each other.
READABLE = "bcdfghjkmnpqrstvwxz23456789"
OPAQUE_LENGTH = 26  # of base32: 130 bits, which nobody guesses or draws twice


def readable(length: int) -> str:
    """An id that can be read out; each character has nearly five bits of chance."""
    return "".join(secrets.choice(READABLE) for _ in range(length))


def opaque() -> str:
    """An id of 26 characters that programs alone read."""
    return base64.b32encode(secrets.token_bytes(17)).decode().lower()[:OPAQUE_LENGTH]
