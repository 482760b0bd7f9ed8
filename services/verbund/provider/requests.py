"""Authentication requests (OpenID Connect Core 1.0, section 3.1.2; RFC 7636): read, and refused in the right place.

An error goes back to the client only where client and redirect URI are known good. Before that it is shown to the
person, and nobody is redirected anywhere (RFC 6749, section 4.1.2.1).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from verbund.openid.requests import (
    CHALLENGE,
    CHALLENGE_METHOD,
    OAuthError,
    Pairs,
    answer_url,
    given_of,
    max_age_of,
    scope_of,
    values,
)

CLIENT_ID = "verbund"
PROMPTS = ("none", "login")
USERNAME_LENGTH_MAX = 128
# Addresses, not names: which machine `localhost` is, a resolver decides (RFC 8252, section 8.3).
LOOPBACK = re.compile(
    r"https?://(?:127\.0\.0\.1|\[::1\])(?::(?P<port>[0-9]{1,5}))?"
    r"(?:/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*)?(?:\?[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*)?"
)
PORT_MAX = 65535
URI_LENGTH_MAX = 1024


class Unanswerable(Exception):  # noqa: N818 - a refusal
    """Nobody is known to whom an error could be sent; `reason` names the text that the person is shown."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Client:
    """The one client, `verbund`: public, and sent back to this machine or to places that the settings name."""

    redirect_uris: frozenset[str]
    post_logout_redirect_uris: frozenset[str]

    def may_return_to(self, uri: str) -> bool:
        """Whether a sign-in may end at `uri`."""
        return uri in self.redirect_uris or is_loopback(uri)

    def may_leave_to(self, uri: str) -> bool:
        """Whether a sign-out may end at `uri`."""
        return uri in self.post_logout_redirect_uris or is_loopback(uri)


@dataclass(frozen=True, slots=True)
class ReturnAddress:
    """Where the answer goes."""

    redirect_uri: str
    state: str

    def url(self, issuer: str, answer: Mapping[str, str]) -> str:
        """The answer as a redirect: with the state as it came, and with who answers (RFC 9207)."""
        return answer_url(self.redirect_uri, answer, state=self.state, issuer=issuer)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthenticationRequest:
    """A request that is in order; `parameters` are those it came with."""

    address: ReturnAddress
    challenge: str
    nonce: str
    scope: tuple[str, ...]
    prompt: str
    max_age_seconds: int | None
    login_hint: str
    ui_locales: str
    parameters: Mapping[str, str] = field(repr=False)


def is_loopback(uri: str) -> bool:
    """Whether a URI leads to this machine by address, with any port (RFC 8252, section 7.3)."""
    found = LOOPBACK.fullmatch(uri) if len(uri) <= URI_LENGTH_MAX else None
    return found is not None and int(found["port"] or 0) <= PORT_MAX


def address_of(pairs: Pairs, client: Client) -> ReturnAddress:
    """Where the answer to a request goes; raises Unanswerable."""
    clients, uris, states = (values(pairs, name) for name in ("client_id", "redirect_uri", "state"))
    if clients != [CLIENT_ID]:
        raise Unanswerable("client")
    if len(uris) != 1 or not client.may_return_to(uris[0]):
        raise Unanswerable("redirect_uri")
    return ReturnAddress(uris[0], states[0] if len(states) == 1 else "")


def request_of(pairs: Pairs, address: ReturnAddress) -> AuthenticationRequest:
    """The request, checked; raises OAuthError."""
    given = given_of(pairs)
    scope = scope_of(given)
    return AuthenticationRequest(
        address=address,
        challenge=challenge_of(given),
        nonce=given.get("nonce", ""),
        scope=scope,
        prompt=prompt_of(given),
        max_age_seconds=max_age_of(given),
        login_hint=given.get("login_hint", "")[:USERNAME_LENGTH_MAX],
        ui_locales=given.get("ui_locales", ""),
        parameters=given,
    )


def challenge_of(given: Mapping[str, str]) -> str:
    """The challenge of RFC 7636, which no request may lack."""
    if "code_challenge" not in given:
        raise OAuthError("invalid_request", "code_challenge is missing")
    if given.get("code_challenge_method") != CHALLENGE_METHOD:
        raise OAuthError("invalid_request", f"code_challenge_method must be {CHALLENGE_METHOD}")
    if not CHALLENGE.fullmatch(given["code_challenge"]):
        raise OAuthError("invalid_request", "code_challenge must be the SHA-256 of the verifier, base64url")
    return given["code_challenge"]


def prompt_of(given: Mapping[str, str]) -> str:
    """Whether the person must be asked, or must not be."""
    prompt = given.get("prompt", "")
    if prompt and prompt not in PROMPTS:
        raise OAuthError("invalid_request", f"prompt must be {' or '.join(PROMPTS)}")
    return prompt
