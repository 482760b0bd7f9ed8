"""Tokens of providers: read, and verified for what they are before anything comes of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from joserfc.errors import JoseError
from joserfc.jws import JWSRegistry

from verbund.clock import Clock
from verbund.identity.providers import claims as mapped
from verbund.identity.providers.domain import ClaimMapping, Fault, SignIn, TokenRefused
from verbund.identity.systems.jwk import PublicKey
from verbund.identity.tokens import compact
from verbund.identity.tokens.compact import Compact
from verbund.identity.tokens.times import CLOCK_SKEW_SECONDS, is_time

# What each algorithm is called by the library: EdDSA is Ed25519's older name (RFC 9864).
ALGORITHMS = {"RS256": "RS256", "PS256": "PS256", "ES256": "ES256", "Ed25519": "Ed25519", "EdDSA": "Ed25519"}
ID_TOKEN, ACCESS_TOKEN, JWT = (
    f"urn:ietf:params:oauth:token-type:{kind}" for kind in ("id_token", "access_token", "jwt")
)
# What a token of each kind calls itself. A token of any other kind proves no sign-in, though the same keys signed it.
PLAIN = frozenset({"", "jwt"})
ACCESS = frozenset({"at+jwt", "application/at+jwt"})
TYPES = {ID_TOKEN: PLAIN, ACCESS_TOKEN: PLAIN | ACCESS, JWT: PLAIN | ACCESS}
LENGTH_MAX = 8 * 1024
LIFE_SECONDS_MAX = 24 * 3600

KeyOf = Callable[[str, str | None, str], PublicKey]  # by issuer, `kid` and algorithm; raises TokenRefused


class Trusted(Protocol):
    """A provider, as far as its tokens are concerned."""

    @property
    def issuer(self) -> str:
        """The `iss` of its tokens."""

    @property
    def audience(self) -> str:
        """The `aud` of its tokens."""

    @property
    def mapping(self) -> ClaimMapping:
        """What becomes of their claims."""


@dataclass(frozen=True, slots=True)
class HomeToken:
    """A token as it was sent. What it says is not to be believed before `HomeTokens.accept`."""

    jwt: Compact
    algorithm: str
    kid: str | None
    issuer: str
    audience: str

    @property
    def subject(self) -> str:
        """Whom it says to speak of; empty where it says nothing that could be a name."""
        found = self.jwt.claims.get("sub")
        return found if isinstance(found, str) and "\0" not in found else ""


class HomeTokens:
    """Verifies tokens of providers."""

    def __init__(self, *, key_of: KeyOf, clock: Clock) -> None:
        self._key_of = key_of
        self._clock = clock

    def read(self, text: str, kind: str = JWT) -> HomeToken:
        """What a token says; raises TokenRefused where it is none, or has expired, before anybody is asked about it."""
        try:
            jwt = compact.read(text, length_max=LENGTH_MAX)
        except ValueError:
            raise TokenRefused(Fault.MALFORMED, f"it is no signed JWT of at most {LENGTH_MAX} characters") from None
        algorithm, kid = named(jwt.header, kind)
        refuse_times(jwt.claims, self._clock().timestamp())
        issuer = jwt.claims.get("iss")
        if not isinstance(issuer, str) or "\0" in issuer:
            raise TokenRefused(Fault.ISSUER, "`iss` is missing, or no text")
        if "events" in jwt.claims:
            raise TokenRefused(Fault.MALFORMED, "it tells of an event, as a logout token does, and of no sign-in")
        return HomeToken(jwt, algorithm, kid, issuer, audience_of(jwt.claims))

    def accept(self, token: HomeToken, provider: Trusted) -> SignIn:
        """What a token of this provider gives its person; raises TokenRefused."""
        if token.issuer != provider.issuer:
            raise TokenRefused(Fault.ISSUER, "`iss` is not the provider's issuer, character by character")
        if token.audience != provider.audience:
            raise TokenRefused(Fault.AUDIENCE, "`aud`, or `azp` beside it, is not the provider's audience")
        key = self._key_of(token.issuer, token.kid, token.algorithm)
        if not holds(token, key):
            raise TokenRefused(Fault.SIGNATURE, "the signature is not that of the provider's key")
        return mapped.sign_in(token.jwt.claims, provider.mapping)


def named(header: Mapping[str, Any], kind: str) -> tuple[str, str | None]:
    """The algorithm and the key that a header names, where it is one of such a token; raises TokenRefused."""
    algorithm, kid, typ = header.get("alg"), header.get("kid"), header.get("typ", "")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise TokenRefused(Fault.ALGORITHM, "it is not signed with RS256, PS256, ES256 or Ed25519")
    if not isinstance(typ, str) or typ.lower() not in TYPES[kind]:
        raise TokenRefused(Fault.MALFORMED, "`typ` is that of another kind of token")
    if not isinstance(kid, str | None) or "crit" in header or "b64" in header:
        raise TokenRefused(Fault.MALFORMED, "its header asks for something that is not understood")
    return algorithm, kid


def audience_of(claims: Mapping[str, Any]) -> str:
    """For whom a token is: of several audiences the one that is authorised, too (OpenID Connect Core, 3.1.3.7)."""
    stated, azp = claims.get("aud"), claims.get("azp")
    audiences = stated if isinstance(stated, list) else [stated]
    found = azp if azp is not None or len(audiences) != 1 else audiences[0]
    if not isinstance(found, str) or found not in audiences or "\0" in found:
        raise TokenRefused(Fault.AUDIENCE, "`aud` names nobody, or several of whom `azp` is none")
    return found


def refuse_times(claims: Mapping[str, Any], now: float) -> None:
    """Raises TokenRefused unless a token is good now, and was issued for a day at most."""
    expires, issued, not_before = claims.get("exp"), claims.get("iat"), claims.get("nbf", 0)
    if not (is_time(expires) and is_time(issued) and is_time(not_before)):
        raise TokenRefused(Fault.TIMES, "`exp` or `iat` is missing, or a time is no time")
    if expires <= now:
        raise TokenRefused(Fault.EXPIRED, "it has expired")
    if max(issued, not_before) > now + CLOCK_SKEW_SECONDS or expires - issued > LIFE_SECONDS_MAX:
        raise TokenRefused(Fault.TIMES, "`iat` or `nbf` lies in the future, or it lives for more than 24 hours")


def holds(token: HomeToken, key: PublicKey) -> bool:
    """Whether a token was signed with the private half of a key."""
    try:
        return JWSRegistry.algorithms[ALGORITHMS[token.algorithm]].verify(token.jwt.signed, token.jwt.signature, key)
    except (JoseError, ValueError):
        return False
