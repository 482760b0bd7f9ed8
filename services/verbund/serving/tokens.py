"""Verifies tokens of the mesh: at+jwt (RFC 9068), ES256, by the keys that identity publishes.

Nobody needs identity to be up.
A verified token is remembered until it expires, a key is withdrawn or it is revoked, so that a call costs a look-up.
"""

import hashlib
import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from verbund.policy.table import ASSURANCES
from verbund.resources.names import OrganisationName, ProviderName, SystemName
from verbund.serving.call import Principal
from verbund.serving.refusals import Unauthenticated

ALGORITHM = "ES256"
CHECK_SECONDS = 0.2  # the files are looked at no more often than this
CACHE_ENTRIES_MAX = 10_000
TOKEN_BYTES_MAX = 8 * 1024
CLOCK_SKEW_SECONDS = 5
ROLES_MAX = 16


class WatchedFile:
    """A file that another process replaces as a whole. `current` is what `read` made of its newest content."""

    def __init__(self, path: Path, read: Callable[[Any], Any], empty: Any) -> None:
        self._path = path
        self._read = read
        self._seen: tuple[int, int, int] | None = None
        self.current = empty
        self.version = 0

    def refresh(self) -> None:
        """Reads the file again where it was replaced. What cannot be read leaves the last good content."""
        try:
            state = self._path.stat()
            seen = (state.st_ino, state.st_mtime_ns, state.st_size)
            if seen != self._seen:
                self.current = self._read(json.loads(self._path.read_bytes()))
                self._seen = seen
                self.version += 1
        except (OSError, ValueError, KeyError, TypeError, JoseError):
            return


@dataclass(frozen=True, slots=True)
class Revocations:
    """What is no longer accepted: by kind and value, the second up to which tokens were issued in vain."""

    before: Mapping[tuple[str, str], int]

    @classmethod
    def read(cls, content: Any) -> "Revocations":
        """From the content of `revocations.json`."""
        before: dict[tuple[str, str], int] = {}
        for entry in content["entries"]:
            key = (str(entry["kind"]), str(entry["value"]))
            before[key] = max(int(entry["before"]), before.get(key, 0))
        return cls(before)

    def hold(self, principal: Principal) -> bool:
        """Whether the token that `principal` came with is revoked."""
        if not self.before:
            return False
        named = (
            ("jti", principal.token_id),
            ("sub", principal.subject),
            ("sub", principal.actor or ""),
            ("idp", principal.provider or ""),
            ("org", principal.organisation),
            ("sid", principal.session),
        )
        return any(principal.issued_at <= self.before.get(key, -1) for key in named)


class TokenVerifier:
    """Turns a token into a Principal, or refuses it. Thread-safe."""

    def __init__(
        self,
        *,
        issuer: str,
        audience: str,
        jwks_file: Path,
        revocations_file: Path,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._issuer = issuer
        self._audience = audience
        self._clock = clock
        self._keys = WatchedFile(jwks_file, KeySet.import_key_set, KeySet([]))
        self._revocations = WatchedFile(revocations_file, Revocations.read, Revocations({}))
        self._cache: dict[bytes, Principal] = {}
        self._cached_keys_version = 0
        self._next_look = 0.0
        self._lock = threading.Lock()

    def ready(self) -> bool:
        """Whether there is a key to verify with, and it is known what is revoked."""
        self._refresh()
        return self._keys.version > 0 and self._revocations.version > 0

    def verify(self, token: str) -> Principal:
        """Who the token speaks for; raises Unauthenticated, and never says why a token is not valid."""
        self._refresh()
        digest = hashlib.sha256(token.encode()).digest()
        principal = self._cache.get(digest)
        if principal is None:
            principal = self._verify(token)
            with self._lock:
                if len(self._cache) >= CACHE_ENTRIES_MAX:
                    self._cache.clear()
                self._cache[digest] = principal
        if not self.accepts(principal):
            raise Unauthenticated("TOKEN_INVALID")
        return principal

    def accepts(self, principal: Principal) -> bool:
        """Whether the token that `principal` came with is still good: neither expired nor revoked."""
        self._refresh()
        return self._clock() < principal.expires_at and not self._revocations.current.hold(principal)

    def revoked(self, principal: Principal) -> bool:
        """Whether the token that `principal` came with was taken back, expired or not."""
        self._refresh()
        return bool(self._revocations.current.hold(principal))

    def _refresh(self) -> None:
        """Takes new keys and revocations in; a withdrawn key takes the tokens it signed with it."""
        now = time.monotonic()
        if now < self._next_look:  # the common case, without a lock
            return
        with self._lock:
            self._keys.refresh()
            self._revocations.refresh()
            self._next_look = now + CHECK_SECONDS
            if self._keys.version != self._cached_keys_version:
                self._cached_keys_version = self._keys.version
                self._cache.clear()

    def _verify(self, token: str) -> Principal:
        """Checks signature and claims of a token that is not remembered."""
        if len(token) > TOKEN_BYTES_MAX:
            raise Unauthenticated("TOKEN_INVALID")
        try:
            decoded = jwt.decode(token, self._keys.current, algorithms=[ALGORITHM])
            if decoded.header.get("typ") != "at+jwt" or "kid" not in decoded.header:
                raise Unauthenticated("TOKEN_INVALID")
            return self._principal(decoded.claims)
        except (JoseError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise Unauthenticated("TOKEN_INVALID") from error

    def _principal(self, claims: Mapping[str, Any]) -> Principal:
        """Who the claims speak for; raises Unauthenticated, KeyError or ValueError where they do not fit this mesh."""
        audience = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
        issued_at, expires_at = int(claims["iat"]), int(claims["exp"])
        now = self._clock()
        fits = claims["iss"] == self._issuer and self._audience in audience
        if not fits or issued_at > now + CLOCK_SKEW_SECONDS or claims.get("nbf", 0) > now + CLOCK_SKEW_SECONDS:
            raise Unauthenticated("TOKEN_INVALID")
        roles = [role for role in claims["roles"] if isinstance(role, str)]
        return Principal(
            subject=str(claims["sub"]),
            organisation=OrganisationName(str(claims["org"])),
            system=SystemName(str(claims["sys"])) if claims.get("sys") else None,
            provider=ProviderName(str(claims["idp"])) if claims.get("idp") else None,
            actor=SystemName(str(claims["act"]["sub"])) if claims.get("act") else None,
            roles=frozenset(roles[:ROLES_MAX]),
            assurance=ASSURANCES[claims["acr"]],
            token_id=str(claims["jti"]),
            session=str(claims.get("sid", "")),
            issued_at=issued_at,
            expires_at=expires_at,
        )
