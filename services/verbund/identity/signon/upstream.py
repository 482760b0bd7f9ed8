"""What a provider says of itself, and the exchange of its codes for tokens (OpenID Connect Core 1.0, section 3.1.3)."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Any
from urllib.parse import urlencode

import structlog

from verbund.identity.providers.discovery import WELL_KNOWN, DiscoveryError, read
from verbund.identity.providers.outbound import Fetcher, FetchError, target_of
from verbund.identity.signon.domain import Choice, Unanswerable

FRESH_SECONDS = 300.0
FETCH_SECONDS_MAX = 5.0  # somebody waits in front of a browser
PROVIDERS_MAX = 1024
RETRY_SECONDS = 30

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where a provider takes browsers and codes."""

    authorization: str
    token: str
    end_session: str
    names_itself: bool
    """Whether its answers say who answers (RFC 9207)."""


class Upstreams:
    """Asks providers. Thread-safe."""

    def __init__(self, fetcher: Fetcher, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._fetcher = fetcher
        self._clock = clock
        self._lock = Lock()
        self._known: dict[str, tuple[float, Endpoints]] = {}

    def endpoints(self, choice: Choice) -> Endpoints:
        """The endpoints of a provider; raises Unanswerable where it is down, or does not say."""
        found = self._known.get(choice.issuer)
        if found is not None and self._clock() < found[0]:
            return found[1]
        try:
            url = choice.issuer.removesuffix("/") + WELL_KNOWN
            content = read(self._fetcher.get(url, time.monotonic() + FETCH_SECONDS_MAX), "the discovery document")
            endpoints = endpoints_of(content, choice.issuer)
        except (FetchError, DiscoveryError) as error:
            raise down(choice, error) from None
        with self._lock:
            while len(self._known) >= PROVIDERS_MAX:
                self._known.pop(next(iter(self._known)))
            self._known[choice.issuer] = (self._clock() + FRESH_SECONDS, endpoints)
        return endpoints

    def id_token(self, choice: Choice, code: str, *, verifier: str, redirect_uri: str) -> str:
        """The ID token that a code is good for; raises Unanswerable."""
        endpoints = self.endpoints(choice)
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "client_id": choice.audience,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
        }
        try:
            answer = self._fetcher.post(endpoints.token, urlencode(form).encode(), time.monotonic() + FETCH_SECONDS_MAX)
            found = read(answer, "the answer of the token endpoint").get("id_token")
        except FetchError as error:
            if error.refused:
                log.info("code refused at home", issuer=choice.issuer)
                raise Unanswerable("home_refused", who=choice.title) from None
            raise down(choice, error) from None
        except DiscoveryError as error:
            raise down(choice, error) from None
        if not isinstance(found, str):
            raise Unanswerable("home_refused", who=choice.title)
        return found


def endpoints_of(content: dict[str, Any], issuer: str) -> Endpoints:
    """The endpoints that a discovery document names; raises DiscoveryError."""
    if content.get("issuer") != issuer:
        raise DiscoveryError("the discovery document is another issuer's")
    authorization, token, end_session = (
        content.get(f"{name}_endpoint", "") for name in ("authorization", "token", "end_session")
    )
    for url in (authorization, token, *([end_session] if end_session else [])):
        try:
            target_of(url)
        except (FetchError, TypeError):
            raise DiscoveryError("the discovery document names an endpoint that is no https URL") from None
    names_itself = content.get("authorization_response_iss_parameter_supported") is True
    return Endpoints(authorization, token, end_session, names_itself)


def down(choice: Choice, error: Exception) -> Unanswerable:
    """What a person is told where their organisation's provider is away."""
    log.warning("provider of a sign-on", issuer=choice.issuer, fault=str(error))
    return Unanswerable("home_down", who=choice.title, status=503, retry_seconds=RETRY_SECONDS)
