"""What clients ask of the authorization endpoint (OpenID Connect Core 1.0, section 3.1.2; RFC 7636): read and checked.

An error goes back to the client only where client and redirect URI are known good. Before that it is shown to the
person, and nobody is redirected anywhere (RFC 6749, section 4.1.2.1).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from verbund.identity.signon.domain import Party, Unanswerable
from verbund.identity.tokens.domain import OAuthError

RESPONSE_TYPE = "code"
CHALLENGE_METHOD = "S256"
SCOPES = ("openid", "profile", "email")
PROMPTS = ("none", "login", "consent", "select_account")
CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
MAX_AGE = re.compile(r"[0-9]{1,9}")
TEXT_LENGTH_MAX = 2048  # of a state or a nonce, which come back as they were
HINT_LENGTH_MAX = 254
# What is not supported has an error of its own (OpenID Connect Core 1.0, section 3.1.2.6).
UNSUPPORTED = ("request", "request_uri", "registration")

Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class SignOnRequest:
    """A request that is in order."""

    client: str
    redirect_uri: str
    state: str
    nonce: str
    challenge: str
    scope: tuple[str, ...]
    prompt: tuple[str, ...] = ()
    max_age_seconds: int | None = None
    login_hint: str = ""
    ui_locales: str = ""

    def url(self, issuer: str, answer: Mapping[str, str]) -> str:
        """The answer as a redirect: with the state as it came, and with who answers (RFC 9207)."""
        state = {"state": self.state} if self.state else {}
        return extended(self.redirect_uri, {**answer, **state, "iss": issuer})

    def parameters(self) -> dict[str, str]:
        """The request as it would be sent once more."""
        stated = {
            "client_id": self.client,
            "redirect_uri": self.redirect_uri,
            "response_type": RESPONSE_TYPE,
            "scope": " ".join(self.scope),
            "state": self.state,
            "nonce": self.nonce,
            "code_challenge": self.challenge,
            "code_challenge_method": CHALLENGE_METHOD,
            "prompt": " ".join(self.prompt),
            "max_age": "" if self.max_age_seconds is None else str(self.max_age_seconds),
            "login_hint": self.login_hint,
            "ui_locales": self.ui_locales,
        }
        return {name: value for name, value in stated.items() if value}

    def row(self) -> dict[str, Any]:
        """The request as it lies in a row."""
        return asdict(self)


def from_row(stored: Mapping[str, Any]) -> SignOnRequest:
    """The request that lies in a row."""
    return SignOnRequest(**{**stored, "scope": tuple(stored["scope"]), "prompt": tuple(stored["prompt"])})


def extended(uri: str, parameters: Mapping[str, str]) -> str:
    """A URI with more parameters; its own stay as they are (RFC 6749, section 3.1.2)."""
    if not parameters:
        return uri
    joint = "?" if "?" not in uri else "&" if uri[-1] not in "?&" else ""
    return uri + joint + urlencode(parameters)


def source_of(uri: str) -> str:
    """A URI as a source of CSP 3: its origin, or its scheme, as addresses of IPv6 cannot be written there."""
    parts = urlsplit(uri)
    return f"{parts.scheme}:" if "[" in parts.netloc else f"{parts.scheme}://{parts.netloc}"


def values(pairs: Pairs, name: str) -> list[str]:
    """The values of a parameter; an empty one counts as left out (RFC 6749, section 3.1)."""
    return [value for key, value in pairs if key == name and value]


def one(pairs: Pairs, name: str) -> str:
    """The value of a parameter; empty where there is none, or more than one."""
    found = values(pairs, name)
    return found[0] if len(found) == 1 else ""


def redirect_uri_of(pairs: Pairs, party: Party) -> str:
    """Where the answer goes; raises Unanswerable."""
    uri = one(pairs, "redirect_uri")
    if uri not in party.redirect_uris:
        raise Unanswerable("redirect_uri")
    return uri


def request_of(pairs: Pairs, party: Party) -> SignOnRequest:
    """The request, checked; raises OAuthError. Its client and where its answer goes are known good."""
    given = {name: value for name, value in pairs if value}
    if len(given) != len([value for _, value in pairs if value]):
        raise OAuthError("invalid_request", "a parameter stands twice")
    check_kind(given)
    scope = tuple(given.get("scope", "").split())
    if "openid" not in scope:
        raise OAuthError("invalid_scope", "scope must hold openid")
    nonce, state = given.get("nonce", ""), given.get("state", "")
    if max(len(nonce), len(state)) > TEXT_LENGTH_MAX or "\0" in nonce + state:
        raise OAuthError("invalid_request", f"state and nonce may have {TEXT_LENGTH_MAX} characters")
    return SignOnRequest(
        client=party.client,
        redirect_uri=given["redirect_uri"],
        state=state,
        nonce=nonce,
        challenge=challenge_of(given),
        scope=tuple(name for name in SCOPES if name in scope),
        prompt=prompt_of(given),
        max_age_seconds=max_age_of(given),
        login_hint=given.get("login_hint", "")[:HINT_LENGTH_MAX].replace("\0", ""),
        ui_locales=given.get("ui_locales", "")[:HINT_LENGTH_MAX].replace("\0", ""),
    )


def check_kind(given: Mapping[str, str]) -> None:
    """Refuses what this provider does not do."""
    for name in UNSUPPORTED:
        if name in given:
            raise OAuthError(f"{name}_not_supported")
    if "response_type" not in given:
        raise OAuthError("invalid_request", "response_type is missing")
    if given["response_type"] != RESPONSE_TYPE:
        raise OAuthError("unsupported_response_type", f"response_type must be {RESPONSE_TYPE}")
    if given.get("response_mode", "query") != "query":
        raise OAuthError("invalid_request", "response_mode must be query")


def challenge_of(given: Mapping[str, str]) -> str:
    """The challenge of RFC 7636, which no request may lack."""
    if given.get("code_challenge_method") != CHALLENGE_METHOD or not CHALLENGE.fullmatch(
        given.get("code_challenge", "")
    ):
        raise OAuthError("invalid_request", "code_challenge with code_challenge_method S256 is missing")
    return given["code_challenge"]


def prompt_of(given: Mapping[str, str]) -> tuple[str, ...]:
    """What the person must be asked, or that they must not be."""
    prompt = tuple(given.get("prompt", "").split())
    if any(value not in PROMPTS for value in prompt) or ("none" in prompt and len(prompt) > 1):
        raise OAuthError("invalid_request", f"prompt must be of {', '.join(PROMPTS)}, and none stands alone")
    return prompt


def max_age_of(given: Mapping[str, str]) -> int | None:
    """How long ago the person may have signed in."""
    age = given.get("max_age")
    if age is not None and not MAX_AGE.fullmatch(age):
        raise OAuthError("invalid_request", "max_age must be a number of seconds")
    return None if age is None else int(age)
