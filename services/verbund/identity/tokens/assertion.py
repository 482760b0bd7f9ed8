"""Client assertions (RFC 7523): how a system proves that it holds its key. Nothing here says why one is refused."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from joserfc.errors import JoseError
from joserfc.jws import JWSRegistry

from verbund.identity.systems.jwk import PublicKey, public_key
from verbund.identity.tokens import compact
from verbund.identity.tokens.times import CLOCK_SKEW_SECONDS, is_time
from verbund.resources.names import SystemName

# What each algorithm asks of a key (a kind), and what the library calls it: EdDSA is Ed25519's older name (RFC 9864).
KINDS = {"ES256": "EC", "EdDSA": "OKP", "Ed25519": "OKP", "PS256": "RSA"}
VERIFIED_AS = {"ES256": "ES256", "EdDSA": "Ed25519", "Ed25519": "Ed25519", "PS256": "PS256"}
CLIENT = re.compile(r"organisations/[a-z]([a-z0-9-]{0,61}[a-z0-9])?/systems/[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
TYPES = frozenset({"", "jwt", "client-authentication+jwt"})
LENGTH_MAX = 8192
JTI_LENGTH_MAX = 256
LIFE_SECONDS_MAX = 300


class AssertionRefused(Exception):  # noqa: N818 - a refusal
    """It proves nothing. There is one such refusal, whatever was wrong."""


@dataclass(frozen=True, slots=True)
class Assertion:
    """An assertion as it was sent; who sent it is proven by `prove`, not before."""

    client: SystemName
    algorithm: str
    kid: str | None
    claims: Mapping[str, Any]
    signed: bytes
    signature: bytes


def parse(text: str) -> Assertion:
    """What an assertion says; raises AssertionRefused."""
    try:
        read = compact.read(text, length_max=LENGTH_MAX)
    except ValueError:
        raise AssertionRefused from None
    header, claims = read.header, read.claims
    algorithm, kid, kind = header.get("alg"), header.get("kid"), header.get("typ", "")
    if not isinstance(algorithm, str) or algorithm not in KINDS or not isinstance(kid, str | None):
        raise AssertionRefused
    if "crit" in header or "b64" in header:
        raise AssertionRefused
    client = claims.get("sub")
    if not isinstance(kind, str) or kind.lower() not in TYPES:
        raise AssertionRefused
    if not isinstance(client, str) or not CLIENT.fullmatch(client):
        raise AssertionRefused
    return Assertion(SystemName(client), algorithm, kid, claims, read.signed, read.signature)


def prove(assertion: Assertion, keys: Mapping[str, str]) -> None:
    """Checks the signature against the client's public keys, JSON by thumbprint; raises AssertionRefused.

    Where no key fits, a stand-in is verified against, so that an unknown client takes as long as a wrong signature.
    """
    kind = KINDS[assertion.algorithm]
    named = keys if assertion.kid is None else {kid: text for kid, text in keys.items() if kid == assertion.kid}
    candidates = [text for text in named.values() if kind_of(text) == kind]
    if not candidates:
        holds(assertion, STAND_INS[kind])
        raise AssertionRefused
    if not any(holds(assertion, text) for text in candidates):
        raise AssertionRefused


def holds(assertion: Assertion, text: str) -> bool:
    """Whether the assertion was signed with the private half of a key."""
    algorithm = JWSRegistry.algorithms[VERIFIED_AS[assertion.algorithm]]
    try:
        return algorithm.verify(assertion.signed, assertion.signature, key_of(text))
    except (JoseError, ValueError):
        return False


@lru_cache(maxsize=1024)
def key_of(text: str) -> PublicKey:
    """The key in a stored JSON; making it costs more than a verification."""
    return public_key({name: value for name, value in json.loads(text).items() if name != "kid"})


@lru_cache(maxsize=1024)
def kind_of(text: str) -> str:
    """The kind of a stored key."""
    return str(json.loads(text)["kty"])


def check(assertion: Assertion, *, audiences: frozenset[str], now: float) -> None:
    """Checks the claims as RFC 7523, section 3, has them; raises AssertionRefused. Times are Unix seconds."""
    claims = assertion.claims
    expires, not_before, issued = (claims.get(name) for name in ("exp", "nbf", "iat"))
    times = [time for time in (expires, not_before, issued) if time is not None]
    if expires is None or not all(is_time(time) for time in times):
        raise AssertionRefused
    if not now - CLOCK_SKEW_SECONDS < expires <= now + LIFE_SECONDS_MAX + CLOCK_SKEW_SECONDS:
        raise AssertionRefused
    if any(time is not None and time > now + CLOCK_SKEW_SECONDS for time in (not_before, issued)):
        raise AssertionRefused
    jti = claims.get("jti")
    if claims.get("iss") != assertion.client or not isinstance(jti, str) or not 1 <= len(jti) <= JTI_LENGTH_MAX:
        raise AssertionRefused
    if not is_for(claims.get("aud"), audiences):
        raise AssertionRefused


def is_for(audience: object, audiences: frozenset[str]) -> bool:
    """Whether an `aud` names this server and nobody else: what is for two could be replayed by one at the other."""
    named: Sequence[object] = audience if isinstance(audience, list) else [audience]
    return bool(named) and all(isinstance(name, str) and name in audiences for name in named)


# Keys of nobody: the base points of the curves, and 2^2048 - 1.
STAND_INS = {
    "EC": '{"crv":"P-256","kty":"EC","x":"axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY",'
    '"y":"T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU"}',
    "OKP": '{"crv":"Ed25519","kty":"OKP","x":"WGZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmY"}',
    "RSA": json.dumps({"kty": "RSA", "e": "AQAB", "n": "_" * 341 + "w"}),
}
