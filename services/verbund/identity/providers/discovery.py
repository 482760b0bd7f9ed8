"""The public keys of a provider, found by OpenID Connect Discovery 1.0."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from verbund.identity.systems.jwk import MEMBERS, PRIVATE_MEMBERS, PublicKey, imported, may_verify
from verbund.serving.refusals import Invalid

WELL_KNOWN = "/.well-known/openid-configuration"
KEYS_MAX = 64
# The algorithms that tokens are verified with, by the kind of key that each needs.
KINDS = {"RS256": "RSA", "PS256": "RSA", "ES256": "EC", "Ed25519": "OKP", "EdDSA": "OKP"}
CURVES = {"EC": "P-256", "OKP": "Ed25519"}

Get = Callable[[str], bytes]  # raises FetchError


class DiscoveryError(Exception):
    """A provider does not say what it should. The message says so in constant words."""


@dataclass(frozen=True, slots=True)
class HomeKey:
    """A public key of a provider; one that names an algorithm is for no other."""

    kid: str
    kind: str
    algorithm: str
    key: PublicKey

    def fits(self, kid: str | None, algorithm: str) -> bool:
        """Whether it may verify a token that names this key, or none, and this algorithm."""
        return kid in (self.kid, None) and KINDS[algorithm] == self.kind and self.algorithm in ("", algorithm)


def keys_of(issuer: str, get: Get) -> tuple[HomeKey, ...]:
    """The keys of the provider with this issuer; raises FetchError or DiscoveryError."""
    configuration = read(get(issuer.removesuffix("/") + WELL_KNOWN), "the discovery document")
    if configuration.get("issuer") != issuer:
        raise DiscoveryError("the discovery document is another issuer's")
    place = configuration.get("jwks_uri")
    if not isinstance(place, str):
        raise DiscoveryError("the discovery document has no jwks_uri")
    listed = read(get(place), "what jwks_uri leads to").get("keys")
    if not isinstance(listed, list) or len(listed) > KEYS_MAX:
        raise DiscoveryError(f"what jwks_uri leads to is no JWK Set of at most {KEYS_MAX} keys")
    return tuple(found for members in listed if isinstance(members, dict) and (found := key_of(members)) is not None)


def read(content: bytes, what: str) -> dict[str, Any]:
    """A JSON object; raises DiscoveryError."""
    try:
        found = orjson.loads(content)
    except ValueError:
        raise DiscoveryError(f"{what} is not JSON") from None
    if not isinstance(found, dict):
        raise DiscoveryError(f"{what} is no JSON object")
    return found


def key_of(members: dict[str, Any]) -> HomeKey | None:
    """A key that signatures are verified with. None where it is of another kind or use: there may be any in a set."""
    kid, kind, algorithm = members.get("kid", ""), members.get("kty"), members.get("alg", "")
    if not isinstance(kid, str) or not isinstance(kind, str) or not isinstance(algorithm, str):
        return None
    if kind not in MEMBERS or members.get("crv") != CURVES.get(kind) or PRIVATE_MEMBERS & members.keys():
        return None
    if members.get("use", "sig") != "sig" or not may_verify(members.get("key_ops", ["verify"])):
        return None
    kept = {name: members.get(name) for name in MEMBERS[kind]}
    if not all(isinstance(value, str) for value in kept.values()):
        return None
    try:
        return HomeKey(kid, kind, algorithm, imported({name: str(value) for name, value in kept.items()}, "jwks"))
    except Invalid:
        return None
