"""Browsers that sign on: a visitor with cookies, a home where people are asked, and the console as the client."""

import base64
import hashlib
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx

from tests.integration.identity.mesh import ISSUER, running
from tests.integration.identity.signing_in import SignIns
from tests.support.home_provider import HomeProvider

SECRET = "the-secret-of-the-console-in-tests-0123456789"
CALLBACK = f"{ISSUER}/console/callback"


def query_of(location: str) -> dict[str, str]:
    """The parameters of a URL."""
    return dict(parse_qsl(urlsplit(location).query))


@dataclass
class Visitor:
    """A browser: it keeps cookies, and follows nothing by itself."""

    http: httpx.Client
    cookies: dict[str, str] = field(default_factory=dict)
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(32))

    def get(self, path: str, **parameters: str) -> httpx.Response:
        """What a page answers."""
        return self._kept(self.http.get(path, params=parameters or None, headers=self._headers()))

    def post(self, path: str, origin: str = ISSUER, **fields: str) -> httpx.Response:
        """What a form answers."""
        return self._kept(self.http.post(path, data=fields, headers=self._headers() | {"origin": origin}))

    def request(self, **changed: str | None) -> dict[str, str]:
        """The console's request; a parameter given as None is left out."""
        challenge = base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).rstrip(b"=").decode()
        stated = {
            "client_id": "console",
            "redirect_uri": CALLBACK,
            "response_type": "code",
            "scope": "openid profile email",
            "state": "the-state",
            "nonce": "the-nonce",
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        } | changed
        return {name: value for name, value in stated.items() if value is not None}

    def authorize(self, **changed: str | None) -> httpx.Response:
        """What the authorization endpoint answers."""
        return self.get("/oauth2/authorize", **self.request(**changed))

    def _headers(self) -> dict[str, str]:
        return {"cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}

    def _kept(self, answer: httpx.Response) -> httpx.Response:
        for line in answer.headers.get_list("set-cookie"):
            for name, morsel in SimpleCookie(line).items():
                assert name.startswith("__Host-")
                assert (morsel["secure"], morsel["httponly"], morsel["path"]) == (True, True, "/")
                assert morsel["samesite"].lower() == "lax"
                if morsel["max-age"] == "0":
                    self.cookies.pop(name, None)
                else:
                    self.cookies[name] = morsel.value
        return answer


@dataclass
class SignOns(SignIns):
    """A running identity, browsers, and a home that signs anybody in."""

    def visitor(self) -> Visitor:
        """A browser that was never here."""
        return Visitor(self.mesh.http)

    def at_home(self, location: str, subject: str = "anna", *, at: str = "home", **claims: Any) -> dict[str, str]:
        """The person signs in at home; what home's answer says, with a code that is good for an ID token."""
        asked = query_of(location)
        assert asked["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(8)

        def answer(form: dict[str, str]) -> tuple[int, Any]:
            hashed = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).rstrip(b"=")
            if form["code"] != code or hashed.decode() != asked["code_challenge"]:
                return 400, {"error": "invalid_grant"}
            return 200, {"id_token": self.home.token(subject, at=at, **{"nonce": asked["nonce"]} | claims)}

        self.home.answers[f"/{at}/token"] = answer
        return {"code": code, "state": asked["state"], "iss": self.home.issuer(at)}

    def back(self, visitor: Visitor, subject: str = "anna", /, **changed: str | None) -> httpx.Response:
        """The visitor signs on: the answer at the callback, which leads to the client."""
        sent = visitor.authorize(**changed)
        assert sent.status_code == httpx.codes.SEE_OTHER, sent.text
        return visitor.get("/oauth2/callback", **self.at_home(sent.headers["location"], subject))

    def code(self, visitor: Visitor, subject: str = "anna", /, **changed: str | None) -> str:
        """A code for the console."""
        answer = self.back(visitor, subject, **changed)
        assert answer.status_code == httpx.codes.SEE_OTHER, answer.text
        return query_of(answer.headers["location"])["code"]

    def redeem(self, visitor: Visitor, code: str, /, **changed: str) -> httpx.Response:
        """What the token endpoint answers to a code."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": CALLBACK,
            "code_verifier": visitor.verifier,
            "client_id": "console",
            "client_secret": SECRET,
        }
        return self.mesh.http.post("/oauth2/token", data=form | changed)

    def refresh(self, token: str, /, **changed: str) -> httpx.Response:
        """What the token endpoint answers to a refresh token."""
        form = {"grant_type": "refresh_token", "refresh_token": token, "client_id": "console", "client_secret": SECRET}
        return self.mesh.http.post("/oauth2/token", data=form | changed)

    def tokens(self, visitor: Visitor, subject: str = "anna", /, **changed: str | None) -> dict[str, Any]:
        """What the console gets of a sign-on."""
        answer = self.redeem(visitor, self.code(visitor, subject, **changed))
        assert answer.status_code == httpx.codes.OK, answer.text
        return dict(answer.json())


def publish(home: HomeProvider, at: str = "home", **configuration: Any) -> str:
    """Serves an issuer that browsers can be sent to."""
    url = partial("{}/{}/{}".format, home.url, at)
    stated = {f"{name}_endpoint": url(name) for name in ("authorization", "token", "end_session")}
    return home.publish(at=at, **stated | {"authorization_response_iss_parameter_supported": True} | configuration)


@contextmanager
def signing_on(dsn: str, home: HomeProvider, directory: Path) -> Iterator[SignOns]:
    """An identity with a console, whose CityLAB trusts the provider, until the end of the block."""
    publish(home)
    secret = directory / "console-secret"
    secret.write_text(SECRET)
    secret.chmod(0o600)
    with running(
        dsn,
        VERBUND_IDENTITY_PROVIDER_CA_FILE=str(home.ca_file),
        VERBUND_IDENTITY_PROVIDER_PRIVATE_ADDRESSES="true",
        VERBUND_IDENTITY_CONSOLE_SECRET_FILE=str(secret),
    ) as mesh:
        found = SignOns(mesh, home)
        found.activate(found.draft("home"))
        yield found
