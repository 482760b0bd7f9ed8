"""What clients ask of the authorization endpoint (OpenID Connect Core 1.0, section 3.1.2; RFC 7636): read and checked.

An error goes back to the client only where client and redirect URI are known good. Before that it is shown to the
person, and nobody is redirected anywhere (RFC 6749, section 4.1.2.1).
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from verbund.identity.signon.domain import Party, Unanswerable
from verbund.openid.requests import (
    CHALLENGE,
    CHALLENGE_METHOD,
    RESPONSE_TYPE,
    OAuthError,
    Pairs,
    answer_url,
    given_of,
    max_age_of,
    scope_of,
    values,
)

PROMPTS = ("none", "login", "consent", "select_account")
TEXT_LENGTH_MAX = 2048  # of a state or a nonce, which come back as they were
HINT_LENGTH_MAX = 254


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
    login_hint: str = ""  # who or where the person may be: looked at once, and kept nowhere
    ui_locales: str = ""

    def url(self, issuer: str, answer: Mapping[str, str]) -> str:
        """The answer as a redirect: with the state as it came, and with who answers (RFC 9207)."""
        return answer_url(self.redirect_uri, answer, state=self.state, issuer=issuer)

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
            "ui_locales": self.ui_locales,
        }
        return {name: value for name, value in stated.items() if value}

    def row(self) -> dict[str, Any]:
        """The request as it lies in a row."""
        return asdict(replace(self, login_hint=""))


def from_row(stored: Mapping[str, Any]) -> SignOnRequest:
    """The request that lies in a row."""
    return SignOnRequest(**{**stored, "scope": tuple(stored["scope"]), "prompt": tuple(stored["prompt"])})


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
    given = given_of(pairs)
    scope = scope_of(given)
    nonce, state = given.get("nonce", ""), given.get("state", "")
    if max(len(nonce), len(state)) > TEXT_LENGTH_MAX or "\0" in nonce + state:
        raise OAuthError("invalid_request", f"state and nonce may have {TEXT_LENGTH_MAX} characters")
    return SignOnRequest(
        client=party.client,
        redirect_uri=given["redirect_uri"],
        state=state,
        nonce=nonce,
        challenge=challenge_of(given),
        scope=scope,
        prompt=prompt_of(given),
        max_age_seconds=max_age_of(given),
        login_hint=given.get("login_hint", "")[:HINT_LENGTH_MAX].replace("\0", ""),
        ui_locales=given.get("ui_locales", "")[:HINT_LENGTH_MAX].replace("\0", ""),
    )


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
