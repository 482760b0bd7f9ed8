"""Signs a person in at their organisation's provider as a browser would: authorization code with PKCE (RFC 7636).

It follows OpenID Connect Core 1.0, and checks what a client has to check: state, `iss` (RFC 9207), and the id token.
Nothing that it raises quotes a password, a code or a token.
"""

import base64
import hashlib
import secrets
import ssl
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

CLIENT_ID = "verbund"
# Nobody listens there: what would be sent to it is read from the answer that redirects (RFC 8252, section 7.3).
REDIRECT_URI = "http://127.0.0.1/signed-in"
SCOPE = "openid profile email"
ALGORITHMS = ["ES256", "RS256", "PS256"]
REDIRECTS_MAX = 12
TIMEOUT_SECONDS = 15.0
CLOCK_SKEW_SECONDS = 5


class SignInFailed(Exception):  # noqa: N818 - a refusal, told to a person
    """The provider let nobody in, or answered what no provider may."""


def sign_in(issuer: str, *, ca: Path, username: str, password: str, client_id: str = CLIENT_ID) -> str:
    """The id token of a person who signs in at `issuer` with a password; raises SignInFailed and httpx's errors."""
    trust = ssl.create_default_context(cafile=ca)
    with httpx.Client(verify=trust, timeout=TIMEOUT_SECONDS, headers={"Accept-Language": "en"}) as browser:
        return Visit(browser, issuer, client_id).sign_in(username, password)


class Visit:
    """One visit to a provider, with the values that bind its answers to it."""

    def __init__(self, browser: httpx.Client, issuer: str, client_id: str) -> None:
        self._browser = browser
        self._issuer = issuer
        self._client_id = client_id
        self._state = secrets.token_urlsafe(32)
        self._nonce = secrets.token_urlsafe(32)
        self._verifier = secrets.token_urlsafe(48)

    def sign_in(self, username: str, password: str) -> str:
        """The id token, after discovery, the form, the redirect and the exchange of the code."""
        provider = self._json(self._browser.get(f"{self._issuer}/.well-known/openid-configuration"))
        if provider.get("issuer") != self._issuer:
            raise SignInFailed(f"{self._issuer} says that it is another issuer")
        page = self._follow(self._browser.get(provider["authorization_endpoint"], params=self._request()))
        form = form_of(page)
        fields = form.fields | {"username": username, "password": password}
        answer = self._follow(self._browser.post(urljoin(str(page.url), form.action), data=fields))
        tokens = self._exchange(provider["token_endpoint"], self._code(answer))
        self._check(tokens["id_token"], self._json(self._browser.get(provider["jwks_uri"])))
        return str(tokens["id_token"])

    def _follow(self, answer: httpx.Response) -> httpx.Response:
        """Goes where a provider sends a browser, which may be to another and back, until it shows a page or is done."""
        for _ in range(REDIRECTS_MAX):
            if answer.next_request is None or str(answer.next_request.url).partition("?")[0] == REDIRECT_URI:
                return answer
            answer = self._browser.send(answer.next_request)
        raise SignInFailed(f"{self._issuer} sends a browser around in circles")

    def _request(self) -> dict[str, str]:
        """The authentication request (OpenID Connect Core, section 3.1.2.1)."""
        digest = hashlib.sha256(self._verifier.encode()).digest()
        return {
            "response_type": "code",
            "client_id": self._client_id,
            "redirect_uri": REDIRECT_URI,
            "scope": SCOPE,
            "state": self._state,
            "nonce": self._nonce,
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }

    def _code(self, answer: httpx.Response) -> str:
        """The code in an answer that redirects to us, where it answers this visit's request."""
        location = answer.headers.get("location", "")
        if not answer.has_redirect_location or location.partition("?")[0] != REDIRECT_URI:
            raise SignInFailed(f"{self._issuer} did not accept the name and the password (HTTP {answer.status_code})")
        sent = {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
        if sent.get("state") != self._state or sent.get("iss") != self._issuer:
            raise SignInFailed(f"{self._issuer} answered another request than this one")
        if "code" not in sent:
            raise SignInFailed(f"{self._issuer} refused: {sent.get('error', 'no reason given')}")
        return str(sent["code"])

    def _exchange(self, endpoint: str, code: str) -> dict[str, Any]:
        """What the token endpoint gives for the code."""
        form = {
            "grant_type": "authorization_code",
            "client_id": self._client_id,
            "redirect_uri": REDIRECT_URI,
            "code": code,
            "code_verifier": self._verifier,
        }
        return self._json(self._browser.post(endpoint, data=form))

    def _check(self, token: str, keys: dict[str, Any]) -> None:
        """Checks an id token (OpenID Connect Core, section 3.1.3.7)."""
        expected = jwt.JWTClaimsRegistry(
            leeway=CLOCK_SKEW_SECONDS,
            iss={"essential": True, "value": self._issuer},
            aud={"essential": True, "value": self._client_id},
            azp={"value": self._client_id},
            nonce={"essential": True, "value": self._nonce},
            sub={"essential": True},
            exp={"essential": True},
            iat={"essential": True},
        )
        try:
            expected.validate(jwt.decode(token, KeySet.import_key_set(keys), ALGORITHMS).claims)  # type: ignore[arg-type]
        except (JoseError, ValueError) as error:
            raise SignInFailed(f"{self._issuer} sent an id token that is not good: {type(error).__name__}") from None

    def _json(self, answer: httpx.Response) -> dict[str, Any]:
        """What an endpoint answered."""
        if not answer.is_success:
            raise SignInFailed(f"{answer.url.path} of {self._issuer} answered HTTP {answer.status_code}")
        try:
            found = answer.json()
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise SignInFailed(f"{answer.url.path} of {self._issuer} answered no JSON object")
        return found


class Form(HTMLParser):
    """The first form of a page: where it goes, and the values that go with it."""

    def __init__(self) -> None:
        super().__init__()
        self.action = ""
        self.fields: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keeps the form's address and its hidden fields."""
        found = {name: value or "" for name, value in attrs}
        if tag == "form" and not self.action:
            self.action = found.get("action", "")
        if tag == "input" and found.get("type") == "hidden" and found.get("name"):
            self.fields[found["name"]] = found.get("value", "")


def form_of(page: httpx.Response) -> Form:
    """The form of a login page; raises SignInFailed where there is none."""
    form = Form()
    if page.status_code == httpx.codes.OK:
        form.feed(page.text)
    if not form.action:
        raise SignInFailed(f"the provider shows no form to sign in with (HTTP {page.status_code})")
    return form
