"""A system's mesh token: got with its own key (private_key_jwt, RFC 7523), kept until shortly before it expires."""

import json
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
from joserfc import jwt
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey, import_key

from verbund.sdk.refusals import TokenRefused

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_SECONDS = 60  # how long the proof of the key is good; it is used at once
REFRESH_SHARE = 0.2  # a token is replaced when a fifth of its life is left
REFRESH_PAUSE_SECONDS = 5  # after a refresh failed while the held token is still good
LAST_SECONDS = 2  # a token with less left would expire on its way

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Token:
    """A token and its times, in Unix seconds."""

    value: str
    refresh_at: float
    expires_at: float


def read_key(path: Path) -> Key:
    """The private JSON Web Key (RFC 7517) in a file; raises ValueError for a public one."""
    key = import_key(json.loads(path.read_text()))
    if not isinstance(key, ECKey | OKPKey | RSAKey) or not key.is_private:
        raise ValueError(f"{path} does not hold a private key")
    return key


class Tokens:
    """Gives the system's token, a new one in time.

    Threads share it: one of them refreshes, the others go on with the old token while it is good.
    """

    def __init__(
        self, *, endpoint: str, client_id: str, key: Key, http: httpx.Client, clock: Clock = time.time
    ) -> None:
        self._endpoint = endpoint
        self._client_id = client_id
        self._key = key
        self._http = http
        self._clock = clock
        self._held: Token | None = None
        self._refreshing = threading.Lock()

    def token(self) -> str:
        """A token that is good for more than a moment.

        Raises TokenRefused, and httpx.TransportError where the endpoint cannot be reached.
        """
        held = self._held
        now = self._clock()
        if held is not None and now < held.refresh_at:
            return held.value
        usable = held is not None and now < held.expires_at - LAST_SECONDS
        if not self._refreshing.acquire(blocking=not usable):
            assert held is not None
            return held.value
        try:
            if self._held is held:  # else another thread was first
                self._held = self._next(held if usable else None)
            assert self._held is not None
            return self._held.value
        finally:
            self._refreshing.release()

    def _next(self, usable: Token | None) -> Token:
        """A new token; the old one for a while where the endpoint fails and the old one is still good."""
        try:
            return self._fetch()
        except (TokenRefused, httpx.TransportError):
            if usable is None:
                raise
            return replace(usable, refresh_at=self._clock() + REFRESH_PAUSE_SECONDS)

    def _fetch(self) -> Token:
        asked_at = self._clock()
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": self._assertion(asked_at),
        }
        response = self._http.post(self._endpoint, data=form)
        try:
            body = response.json()
            if response.status_code == httpx.codes.OK:
                life = float(body["expires_in"])
                return Token(str(body["access_token"]), asked_at + life * (1 - REFRESH_SHARE), asked_at + life)
            error, description = str(body["error"]), str(body.get("error_description", ""))
        except (ValueError, KeyError, TypeError, AttributeError):
            error, description = "unreadable_answer", response.reason_phrase
        raise TokenRefused(response.status_code, error, description)

    def _assertion(self, now: float) -> str:
        """The proof of the key, good once and for a minute."""
        algorithm = algorithm_of(self._key)
        claims = {
            "iss": self._client_id,
            "sub": self._client_id,
            "aud": self._endpoint,
            "jti": str(uuid.uuid4()),
            "iat": int(now),
            "exp": int(now) + ASSERTION_SECONDS,
        }
        return jwt.encode({"alg": algorithm, "kid": self._key.thumbprint()}, claims, self._key, algorithms=[algorithm])


def algorithm_of(key: Key) -> str:
    """The signature algorithm that the mesh takes from a key of this kind."""
    return {"EC": "ES256", "OKP": "Ed25519", "RSA": "PS256"}[key.key_type]
