"""The public keys of systems: JSON Web Keys (RFC 7517) of three kinds, each for one signature algorithm."""

import base64
import json
from dataclasses import dataclass
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey, import_key

from verbund.serving.refusals import Invalid

PublicKey = ECKey | OKPKey | RSAKey

# The members that make up each kind of key (RFC 7638, section 3.2): the only ones that are kept.
MEMBERS = {"EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x"), "RSA": ("e", "kty", "n")}
# The members that only private and symmetric keys have (RFC 7518, section 6): one of them makes a key a secret.
PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
CURVES = {"EC": "P-256", "OKP": "Ed25519"}
ALGORITHMS = {"EC": frozenset({"ES256"}), "OKP": frozenset({"EdDSA", "Ed25519"}), "RSA": frozenset({"PS256"})}
RSA_BITS_MIN = 2048
RSA_BITS_MAX = 8192  # a verification's cost grows with the square of the length
RSA_EXPONENT = "AQAB"  # 65537, which every generator writes; a long exponent would make verification slow
LENGTH_MAX = 4096
KINDS = "an EC key on P-256, an Ed25519 key or an RSA key of 2048 bits and more"


@dataclass(frozen=True, slots=True)
class Jwk:
    """A public key as it is kept: its thumbprint, and its JSON with the members that matter."""

    kid: str
    text: str


def parse(text: str, *, path: str = "jwk") -> Jwk:
    """The public key that `text` holds; raises Invalid with the field's `path`.

    No refusal quotes the text: it may be a secret.
    """
    try:
        members = json.loads(text) if len(text) <= LENGTH_MAX else None
    except (ValueError, RecursionError):
        raise Invalid(path, "is not JSON") from None
    if not isinstance(members, dict):
        raise Invalid(path, "is not a JSON object of at most 4096 characters")
    if PRIVATE_MEMBERS & members.keys():
        raise Invalid(path, "is a private or secret key: send the public part only, and make a new key")
    kept = chosen(members, path)
    kid = imported(kept, path).thumbprint()
    return Jwk(kid, json.dumps(kept | {"kid": kid}, separators=(",", ":"), sort_keys=True))


def chosen(members: dict[str, Any], path: str) -> dict[str, str]:
    """The members that make up the key, where it is of a kind and for a purpose that the mesh takes."""
    kty = members.get("kty")
    if not isinstance(kty, str) or kty not in MEMBERS:
        raise Invalid(path, f"is not {KINDS}")
    kept = {name: members.get(name) for name in MEMBERS[kty]}
    if not all(isinstance(value, str) for value in kept.values()) or kept.get("crv") != CURVES.get(kty):
        raise Invalid(path, f"is not {KINDS}")
    if members.get("use", "sig") != "sig" or not may_verify(members.get("key_ops", ["verify"])):
        raise Invalid(path, "is not for verifying signatures: its `use` or `key_ops` says something else")
    if "alg" in members and not (isinstance(members["alg"], str) and members["alg"] in ALGORITHMS[kty]):
        raise Invalid(path, f"is for another algorithm than {' or '.join(sorted(ALGORITHMS[kty]))}")
    return {name: str(value) for name, value in kept.items()}


def may_verify(operations: object) -> bool:
    """Whether the `key_ops` of a key (RFC 7517, section 4.3) allow what the mesh does with it."""
    return isinstance(operations, list) and "verify" in operations


def imported(members: dict[str, str], path: str) -> PublicKey:
    """The key itself: a point on its curve, or a modulus of a length that is safe and bearable."""
    numbers = [octets(members[name]) for name in ("x", "y", "n") if name in members]
    if not all(numbers):
        raise Invalid(path, "has a member that is not base64url")
    if members["kty"] == "RSA" and not (members["e"] == RSA_EXPONENT and bearable(numbers[0])):
        raise Invalid(path, "is not an RSA key of 2048 to 8192 bits with the exponent 65537")
    try:
        return public_key(members)
    except (JoseError, ValueError, TypeError):
        raise Invalid(path, f"is not {KINDS}") from None


def octets(text: str) -> bytes:
    """What a base64url text holds; nothing where it is not written in the one way, as a key has one thumbprint."""
    try:
        held = base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    except ValueError:
        return b""
    return held if base64.urlsafe_b64encode(held).decode().rstrip("=") == text else b""


def bearable(modulus: bytes) -> bool:
    """Whether a modulus is long enough to be safe and short enough to be verified with."""
    return RSA_BITS_MIN <= int.from_bytes(modulus, "big").bit_length() <= RSA_BITS_MAX


def public_key(members: dict[str, str]) -> PublicKey:
    """The library's object for a stored key."""
    key = import_key({**members})
    if not isinstance(key, (ECKey, OKPKey, RSAKey)):
        raise TypeError(members["kty"])
    _ = key.public_key  # the point or the modulus is read here, so that a wrong one fails now
    return key
