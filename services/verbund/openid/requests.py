"""Parameters of the authorization endpoint (OpenID Connect Core 1.0, section 3.1.2), and URIs that answers go to."""

import re
from collections.abc import Mapping, Sequence
from urllib.parse import urlencode, urlsplit

RESPONSE_TYPE = "code"
CHALLENGE_METHOD = "S256"
SCOPES = ("openid", "profile", "email")
CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
MAX_AGE = re.compile(r"[0-9]{1,9}")
# What is not supported has an error of its own (OpenID Connect Core 1.0, section 3.1.2.6).
UNSUPPORTED = ("request", "request_uri", "registration")

Pairs = Sequence[tuple[str, str]]


class OAuthError(Exception):
    """An error as the client is told it (RFC 6749, sections 4.1.2.1 and 5.2).

    `invalid_client` has no description: what was wrong is nobody's business.
    """

    def __init__(self, code: str, description: str = "", *, status: int = 400) -> None:
        super().__init__(code)
        self.code = code
        self.description = description
        self.status = status


def values(pairs: Pairs, name: str) -> list[str]:
    """The values of a parameter; an empty one counts as left out (RFC 6749, section 3.1)."""
    return [value for key, value in pairs if key == name and value]


def given_of(pairs: Pairs) -> dict[str, str]:
    """The parameters of a request for a code in the query; raises OAuthError where one is wrong."""
    given = {name: value for name, value in pairs if value}
    if len(given) != len([value for _, value in pairs if value]):
        raise OAuthError("invalid_request", "a parameter stands twice")
    for name in UNSUPPORTED:
        if name in given:
            raise OAuthError(f"{name}_not_supported")
    if "response_type" not in given:
        raise OAuthError("invalid_request", "response_type is missing")
    if given["response_type"] != RESPONSE_TYPE:
        raise OAuthError("unsupported_response_type", f"response_type must be {RESPONSE_TYPE}")
    if given.get("response_mode", "query") != "query":
        raise OAuthError("invalid_request", "response_mode must be query")
    return given


def scope_of(given: Mapping[str, str]) -> tuple[str, ...]:
    """What is asked for and known; raises OAuthError where it is no sign-in."""
    scope = given.get("scope", "").split()
    if "openid" not in scope:
        raise OAuthError("invalid_scope", "scope must hold openid")
    return tuple(name for name in SCOPES if name in scope)


def max_age_of(given: Mapping[str, str]) -> int | None:
    """How long ago the person may have signed in, in seconds; raises OAuthError."""
    age = given.get("max_age")
    if age is not None and not MAX_AGE.fullmatch(age):
        raise OAuthError("invalid_request", "max_age must be a number of seconds")
    return None if age is None else int(age)


def answer_url(redirect_uri: str, answer: Mapping[str, str], *, state: str, issuer: str) -> str:
    """An answer as a redirect: with the state as it came, and with who answers (RFC 9207)."""
    returned = {"state": state} if state else {}
    return extended(redirect_uri, {**answer, **returned, "iss": issuer})


def extended(uri: str, parameters: Mapping[str, str]) -> str:
    """A URI with more parameters; its own stay as they are (RFC 6749, section 3.1.2)."""
    if not parameters:
        return uri
    joint = "?" if "?" not in uri else "&" if uri[-1] not in "?&" else ""
    return uri + joint + urlencode(parameters)


def source_of(uri: str) -> str:
    """A URI as a source of CSP 3: its origin, or its scheme, as addresses of IPv6 cannot be written there."""
    if not uri:
        return ""
    parts = urlsplit(uri)
    return f"{parts.scheme}:" if "[" in parts.netloc else f"{parts.scheme}://{parts.netloc}"
