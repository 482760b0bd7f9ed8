"""What a provider says of itself, and the exchange of its codes for tokens (OpenID Connect Core 1.0, section 3.1.3).

Before a browser is sent to a provider, somebody answered there a moment ago: else the person would see a browser's own
error, which says neither whose fault that is nor what to do.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import inf
from typing import Any
from urllib.parse import urlencode

import structlog

from verbund.identity.providers.discovery import WELL_KNOWN, DiscoveryError, read
from verbund.identity.providers.issuers import Issuers
from verbund.identity.providers.outbound import FetchError, target_of
from verbund.identity.signon.domain import Choice, Unanswerable
from verbund.resources.names import OrganisationName

FRESH_SECONDS = 300.0  # what a provider says of itself
ANSWERED_SECONDS = 1.0  # ago, before a browser is sent there: a crowd asks once
SILENT_SECONDS = 5.0  # who did not answer is not asked again
ASK_SECONDS_MAX = 3.0  # somebody waits in front of a browser
TOKEN_SECONDS_MAX = 5.0
# At the same time, each for another organisation: more would take the threads from everybody else's sign-on, and one
# whose providers hang must not be all of them.
ASKING_MAX = 3
PLACE_SECONDS_MAX = 0.5
RETRY_SECONDS = 30

Get = Callable[[str, float], bytes]  # a document by its URL, until a time of `time.monotonic()`; raises FetchError
Post = Callable[[str, bytes, float], bytes]  # the same of the answer to a form

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where a provider takes browsers and codes."""

    authorization: str
    token: str
    end_session: str
    names_itself: bool
    """Whether its answers say who answers (RFC 9207)."""


@dataclass(slots=True)
class Upstream:
    """What is known of one issuer; who holds the lock asks it. Times are those of the clock."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    endpoints: Endpoints | None = None
    answered_at: float = -inf
    silent_until: float = -inf

    def known(self, *, since: float) -> Endpoints | None:
        """What it said of itself since then."""
        return self.endpoints if self.answered_at > since else None


class Upstreams:
    """Asks providers. Thread-safe."""

    def __init__(
        self,
        *,
        get: Get,
        post: Post,
        clock: Callable[[], float] = time.monotonic,
        place_seconds_max: float = PLACE_SECONDS_MAX,
    ) -> None:
        self._get = get
        self._post = post
        self._clock = clock
        self._place_seconds_max = place_seconds_max
        self._upstreams = Issuers(lambda _: Upstream())
        self._asking: set[OrganisationName] = set()  # those for whom somebody asks just now
        self._places = threading.Condition()

    def endpoints(self, choice: Choice) -> Endpoints:
        """The endpoints of a provider; raises Unanswerable where it is down, or does not say."""
        return self._endpoints(choice, FRESH_SECONDS)

    def answering(self, choice: Choice) -> Endpoints:
        """The same of a provider that answers at present: a browser that goes there finds somebody."""
        return self._endpoints(choice, ANSWERED_SECONDS)

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
            answer = self._post(endpoints.token, urlencode(form).encode(), time.monotonic() + TOKEN_SECONDS_MAX)
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

    def _endpoints(self, choice: Choice, age_seconds_max: float) -> Endpoints:
        upstream = self._upstreams.of(choice.issuer)
        if found := upstream.known(since=self._clock() - age_seconds_max):
            return found
        with self._turn(upstream, choice.organisation) as is_ours:
            if self._clock() < upstream.silent_until:
                raise unreachable(choice)
            # Meanwhile somebody else may have asked; who waited for that in vain takes what was true lately.
            found = upstream.known(since=self._clock() - (age_seconds_max if is_ours else FRESH_SECONDS))
            if found is None and is_ours:
                found = self._asked(upstream, choice)
        if found is None:
            raise unreachable(choice)
        return found

    @contextmanager
    def _turn(self, upstream: Upstream, organisation: OrganisationName) -> Iterator[bool]:
        """Whether it is the caller who asks; one at a time asks for one organisation, and one provider."""
        if not self._takes_place(organisation):
            yield False
            return
        is_ours = False
        try:
            is_ours = upstream.lock.acquire(timeout=ASK_SECONDS_MAX)
            yield is_ours
        finally:
            if is_ours:
                upstream.lock.release()
            with self._places:
                self._asking.remove(organisation)
                self._places.notify_all()

    def _takes_place(self, organisation: OrganisationName) -> bool:
        def is_free() -> bool:
            return organisation not in self._asking and len(self._asking) < ASKING_MAX

        with self._places:
            found = self._places.wait_for(is_free, self._place_seconds_max)
            if found:
                self._asking.add(organisation)
        return found

    def _asked(self, upstream: Upstream, choice: Choice) -> Endpoints:
        """What a provider says of itself now."""
        url = choice.issuer.removesuffix("/") + WELL_KNOWN
        try:
            document = self._get(url, time.monotonic() + ASK_SECONDS_MAX)
            upstream.endpoints = endpoints_of(read(document, "the discovery document"), choice.issuer)
        except (FetchError, DiscoveryError) as error:
            upstream.silent_until = self._clock() + SILENT_SECONDS
            raise down(choice, error) from None
        upstream.answered_at = self._clock()
        return upstream.endpoints


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
    return unreachable(choice)


def unreachable(choice: Choice) -> Unanswerable:
    """The same, where that was logged already."""
    return Unanswerable("home_down", who=choice.title, status=503, retry_seconds=RETRY_SECONDS)
