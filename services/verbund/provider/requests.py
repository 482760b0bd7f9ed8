"""Authentication requests (OpenID Connect Core 1.0, section 3.1.2; RFC 7636): read, and refused in the right place.

An error goes back to the client only where client and redirect URI are known good. Before that it is shown to the
person, and nobody is redirected anywhere (RFC 6749, section 4.1.2.1).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlencode

CLIENT_ID = "verbund"
RESPONSE_TYPE = "code"
CHALLENGE_METHOD = "S256"
SCOPES = ("openid", "profile", "email")
PROMPTS = ("none", "login")
CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
MAX_AGE = re.compile(r"[0-9]{1,9}")
USERNAME_LENGTH_MAX = 128
# What is not supported has an error of its own (OpenID Connect Core 1.0, section 3.1.2.6).
UNSUPPORTED = ("request", "request_uri", "registration")
# Addresses, not names: which machine `localhost` is, a resolver decides (RFC 8252, section 8.3).
LOOPBACK = re.compile(
    r"https?://(?:127\.0\.0\.1|\[::1\])(?::(?P<port>[0-9]{1,5}))?"
    r"(?:/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*)?(?:\?[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*)?"
)
PORT_MAX = 65535
URI_LENGTH_MAX = 1024

Pairs = Sequence[tuple[str, str]]


class OAuthError(Exception):
    """An error as the client is told it (RFC 6749, sections 4.1.2.1 and 5.2)."""

    def __init__(self, code: str, description: str = "", *, status: int = 400) -> None:
        super().__init__(code)
        self.code = code
        self.description = description
        self.status = status


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
        state = {"state": self.state} if self.state else {}
        return extended(self.redirect_uri, {**answer, **state, "iss": issuer})


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


def extended(uri: str, parameters: Mapping[str, str]) -> str:
    """A URI with more parameters; its own stay as they are (RFC 6749, section 3.1.2)."""
    if not parameters:
        return uri
    joint = "?" if "?" not in uri else "&" if uri[-1] not in "?&" else ""
    return uri + joint + urlencode(parameters)


def address_of(pairs: Pairs, client: Client) -> ReturnAddress:
    """Where the answer to a request goes; raises Unanswerable."""
    clients, uris, states = (values(pairs, name) for name in ("client_id", "redirect_uri", "state"))
    if clients != [CLIENT_ID]:
        raise Unanswerable("client")
    if len(uris) != 1 or not client.may_return_to(uris[0]):
        raise Unanswerable("redirect_uri")
    return ReturnAddress(uris[0], states[0] if len(states) == 1 else "")


def values(pairs: Pairs, name: str) -> list[str]:
    """The values of a parameter; an empty one counts as left out (RFC 6749, section 3.1)."""
    return [value for key, value in pairs if key == name and value]


def request_of(pairs: Pairs, address: ReturnAddress) -> AuthenticationRequest:
    """The request, checked; raises OAuthError."""
    given = {name: value for name, value in pairs if value}
    if len(given) != len([value for _, value in pairs if value]):
        raise OAuthError("invalid_request", "a parameter stands twice")
    check_kind(given)
    scope = tuple(given.get("scope", "").split())
    if "openid" not in scope:
        raise OAuthError("invalid_scope", "scope must hold openid")
    return AuthenticationRequest(
        address=address,
        challenge=challenge_of(given),
        nonce=given.get("nonce", ""),
        scope=tuple(name for name in SCOPES if name in scope),
        prompt=prompt_of(given),
        max_age_seconds=max_age_of(given),
        login_hint=given.get("login_hint", "")[:USERNAME_LENGTH_MAX],
        ui_locales=given.get("ui_locales", ""),
        parameters=given,
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


def max_age_of(given: Mapping[str, str]) -> int | None:
    """How long ago the person may have signed in."""
    age = given.get("max_age")
    if age is not None and not MAX_AGE.fullmatch(age):
        raise OAuthError("invalid_request", "max_age must be a number of seconds")
    return None if age is None else int(age)
