"""The built-in provider as it runs, and somebody with a browser and a client who visits it."""

import base64
import hashlib
import secrets
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
from joserfc import jwt
from joserfc.jwk import KeySet
from verbund.embedded import certificates, ports
from verbund.provider import accounts, sample
from verbund.provider.main import Server, build
from verbund.provider.settings import ProviderSettings
from verbund.tour.signing_in import Form

CHANCELLERY, DISTRICT = "senatskanzlei", "charlottenburg-wilmersdorf"
USERNAME = "projektleitung"
REDIRECT_URI = "http://127.0.0.1:49152/back"
GATEWAY_CALLBACK = "https://mesh.example/oauth2/callback"
AFTER_LOGOUT = "https://mesh.example/"


class Clock:
    """The wall clock, which a test can put forward."""

    def __init__(self) -> None:
        self.ahead_seconds = 0.0

    def __call__(self) -> datetime:
        return datetime.fromtimestamp(time.time() + self.ahead_seconds, UTC)


@dataclass
class Provider:
    """A running provider."""

    settings: ProviderSettings
    clock: Clock = field(default_factory=Clock)

    @property
    def ca(self) -> Path:
        return self.settings.directory / "ca.pem"

    def issuer(self, provider_id: str = CHANCELLERY) -> str:
        return accounts.issuer_url(self.settings.port, provider_id)

    def people(self) -> list[dict[str, str]]:
        issuer_of = partial(accounts.issuer_url, self.settings.port)
        return accounts.people(self.settings.directory, sample.read(), issuer_of)

    def password(self, provider_id: str = CHANCELLERY, username: str = USERNAME) -> str:
        wanted = (self.issuer(provider_id), username)
        return next(found["password"] for found in self.people() if (found["issuer"], found["username"]) == wanted)


def settings_in(directory: Path, **changes: Any) -> ProviderSettings:
    """Settings of a provider that keeps everything in one directory, with a certificate of an authority there."""
    certificates.ensure(directory, [], datetime.now(UTC), provider=True)
    given: dict[str, Any] = {
        "directory": directory,
        "certificate_file": directory / "provider.pem",
        "key_file": directory / "provider.key",
        "port": ports.free_port("127.0.0.1"),
        "redirect_uris": (GATEWAY_CALLBACK,),
        "post_logout_redirect_uris": (AFTER_LOGOUT,),
    }
    return ProviderSettings(**given | changes)


@contextmanager
def running(settings: ProviderSettings) -> Iterator[Provider]:
    """The provider, until the end of the block."""
    provider = Provider(settings)
    with Server(build(settings, provider.clock), settings) as server:
        server.wait_until_serving()
        yield provider


class Visitor:
    """A browser of its own, and a client that began the visit. Nothing is followed: a test looks at each answer."""

    def __init__(self, provider: Provider, provider_id: str = CHANCELLERY) -> None:
        self.provider = provider
        self.provider_id = provider_id
        self.issuer = provider.issuer(provider_id)
        self.browser = httpx.Client(verify=ssl.create_default_context(cafile=provider.ca))
        self.state, self.nonce = secrets.token_urlsafe(16), secrets.token_urlsafe(16)
        self.verifier = secrets.token_urlsafe(48)

    def close(self) -> None:
        self.browser.close()

    def request(self, **changes: str | None) -> dict[str, str]:
        """An authentication request; a parameter given as None is left out."""
        challenge = base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).rstrip(b"=").decode()
        given = {
            "response_type": "code",
            "client_id": "verbund",
            "redirect_uri": REDIRECT_URI,
            "scope": "openid profile email",
            "state": self.state,
            "nonce": self.nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        return {name: value for name, value in {**given, **changes}.items() if value is not None}

    def authorize(self, **changes: str | None) -> httpx.Response:
        return self.browser.get(f"{self.issuer}/authorize", params=self.request(**changes))

    def login(
        self, page: httpx.Response, *, username: str = USERNAME, password: str | None = None, **changes: str
    ) -> httpx.Response:
        """Fills in the form of a page, and sends it."""
        form = Form()
        form.feed(page.text)
        right = password if password is not None else self.provider.password(self.provider_id, username)
        fields = form.fields | {"username": username, "password": right} | changes
        return self.browser.post(str(page.url.join(form.action)), data=fields)

    def code(self, **changes: str | None) -> str:
        """A code, after a sign-in."""
        return sent(self.login(self.authorize(**changes)))["code"]

    def exchange(self, code: str, /, **changes: str | None) -> httpx.Response:
        """Sends a code to the token endpoint."""
        given = {
            "grant_type": "authorization_code",
            "client_id": "verbund",
            "code": code,
            "redirect_uri": REDIRECT_URI,
            "code_verifier": self.verifier,
        }
        fields = {name: value for name, value in {**given, **changes}.items() if value is not None}
        return self.browser.post(f"{self.issuer}/token", data=fields)

    def userinfo(self, access_token: str) -> httpx.Response:
        return self.browser.get(f"{self.issuer}/userinfo", headers={"Authorization": f"Bearer {access_token}"})

    def claims(self, id_token: str) -> dict[str, Any]:
        """What an id token says, once its signature holds by the published keys."""
        published = self.browser.get(
            self.browser.get(f"{self.issuer}/.well-known/openid-configuration").json()["jwks_uri"]
        )
        return dict(jwt.decode(id_token, KeySet.import_key_set(published.json()), ["ES256"]).claims)


def sent(answer: httpx.Response, redirect_uri: str = REDIRECT_URI) -> dict[str, str]:
    """What a redirect brings to the client."""
    assert answer.status_code == 303, answer.text
    location = answer.headers["location"]
    assert location.startswith(redirect_uri)
    return {name: values[0] for name, values in parse_qs(urlsplit(location).query, strict_parsing=True).items()}
