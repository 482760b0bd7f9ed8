"""The caller's mesh token: got with a system's own key (private_key_jwt, RFC 7523) or for a person's token from home
(token exchange, RFC 8693), and kept until shortly before it expires; or got by the caller.
"""

import json
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import httpx
from joserfc import jwt
from joserfc.errors import InvalidKeyTypeError
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey, import_key

from verbund.sdk.refusals import TokenRefused

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"  # noqa: S105 - the kind of one, no token
ASSERTION_SECONDS = 60  # how long the proof of the key is good; it is used at once
REFRESH_SHARE = 0.2  # a token is replaced when a fifth of its life is left
REFRESH_PAUSE_SECONDS = 5  # after a refresh failed while the held token is still good
LAST_SECONDS = 2  # a token with less left would expire on its way

Clock = Callable[[], float]
Given = str | Callable[[], str]
"""A token, or what gives one whenever it is asked."""
PrivateKey = ECKey | OKPKey | RSAKey


class TokenSource(Protocol):
    """Whatever gives the token of the next call."""

    def token(self) -> str:
        """A token that is good for more than a moment."""


class GivenTokens:
    """Tokens that the caller brings: one, or a function that is asked for each call and keeps them itself."""

    def __init__(self, given: Given) -> None:
        self._given = given

    def token(self) -> str:
        """The caller's token."""
        return told(self._given)


def told(given: Given) -> str:
    """The token now."""
    return given if isinstance(given, str) else given()


@dataclass(frozen=True, slots=True)
class Token:
    """A token and its times, in Unix seconds."""

    value: str
    refresh_at: float
    expires_at: float


def read_key(path: Path) -> PrivateKey:
    """The private key in a file, a JSON Web Key (RFC 7517) or PEM; raises ValueError for a public one."""
    text = path.read_text()
    key = key_of_pem(text) if text.startswith("-----BEGIN ") else import_key(json.loads(text))
    if not isinstance(key, ECKey | OKPKey | RSAKey) or not key.is_private:
        raise ValueError(f"{path} does not hold a private key")
    return key


def key_of_pem(text: str) -> PrivateKey | None:
    """The key in PEM, of whichever kind it is; None where it is of none that the mesh takes."""
    for kind in (ECKey, OKPKey, RSAKey):
        try:
            return kind.import_key(text)
        except InvalidKeyTypeError:
            continue
    return None


class Tokens:
    """Gives the caller's token, a new one in time: the system's with its key, or the person's whose `home_token` it is,
    for whom the system with the key acts where there is one.

    Threads share it: one of them refreshes, the others go on with the old token while it is good.
    """

    def __init__(
        self,
        *,
        endpoint: str,
        client_id: str = "",
        key: Key | None = None,
        http: httpx.Client,
        home_token: Given | None = None,
        clock: Clock = time.time,
    ) -> None:
        self._endpoint = endpoint
        self._client_id = client_id
        self._key = key
        self._home_token = home_token
        self._http = http
        self._clock = clock
        self._held: Token | None = None
        self._refreshing = threading.Lock()
        self.failure: TokenRefused | None = None
        """Why there is no token; None as long as there is one."""

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
            fresh = self._fetch()
        except (TokenRefused, httpx.TransportError) as error:
            if usable is None:
                self.failure = error if isinstance(error, TokenRefused) else None
                raise
            return replace(usable, refresh_at=self._clock() + REFRESH_PAUSE_SECONDS)
        self.failure = None
        return fresh

    def _fetch(self) -> Token:
        asked_at = self._clock()
        response = self._http.post(self._endpoint, data=self._form(asked_at))
        try:
            body = response.json()
            if response.status_code == httpx.codes.OK:
                life = float(body["expires_in"])
                return Token(str(body["access_token"]), asked_at + life * (1 - REFRESH_SHARE), asked_at + life)
            error, description = str(body["error"]), str(body.get("error_description", ""))
        except (ValueError, KeyError, TypeError, AttributeError):
            error, description = "unreadable_answer", response.reason_phrase
        raise TokenRefused(response.status_code, error, description)

    def _form(self, now: float) -> dict[str, str]:
        """What is asked for, and by whom."""
        grant = {"grant_type": "client_credentials"}
        if self._home_token is not None:
            subject = told(self._home_token)
            grant = {"grant_type": EXCHANGE, "subject_token": subject, "subject_token_type": ID_TOKEN}
        if self._key is None:
            return grant
        proof = self._assertion(self._key, now)
        return grant | {"client_assertion_type": ASSERTION_TYPE, "client_assertion": proof}

    def _assertion(self, key: Key, now: float) -> str:
        """The proof of the key, good once and for a minute."""
        algorithm = algorithm_of(key)
        claims = {
            "iss": self._client_id,
            "sub": self._client_id,
            "aud": self._endpoint,
            "jti": str(uuid.uuid4()),
            "iat": int(now),
            "exp": int(now) + ASSERTION_SECONDS,
        }
        return jwt.encode({"alg": algorithm, "kid": key.thumbprint()}, claims, key, algorithms=[algorithm])


def algorithm_of(key: Key) -> str:
    """The signature algorithm that the mesh takes from a key of this kind."""
    return {"EC": "ES256", "OKP": "Ed25519", "RSA": "PS256"}[key.key_type]
