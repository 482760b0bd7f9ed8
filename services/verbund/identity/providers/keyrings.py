"""The keys of providers, kept: asked for again when they are old or one is missing, and no more often than is fair."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

import structlog

from verbund.identity.providers.discovery import DiscoveryError, HomeKey, keys_of
from verbund.identity.providers.domain import Fault, TokenRefused
from verbund.identity.providers.issuers import Issuers
from verbund.identity.providers.outbound import FetchError
from verbund.identity.systems.jwk import PublicKey

FETCH_SECONDS_MAX = 3.0  # for the discovery document and the keys together
FETCH_EVERY_SECONDS = 10.0  # one provider at most, whatever its tokens say
FRESH_SECONDS = 300.0  # a key that a provider withdraws is good for no longer
KEPT_SECONDS = 3600.0  # while the provider cannot be reached
FETCHES_MAX = 4  # at the same time
WAITING_MAX = 2  # for the keys of one provider: more would take the threads from everybody else's tokens
WAITING_ALL_MAX = 3  # for those of any, as one member may have many providers that do not answer

Get = Callable[[str, float], bytes]  # a document by its URL, until a time of `time.monotonic()`; raises FetchError

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Keyring:
    """What is known of the keys of one issuer. Times are those of the clock."""

    issuer: str
    lock: threading.Lock = field(default_factory=threading.Lock)
    keys: tuple[HomeKey, ...] = ()
    read_at: float = -KEPT_SECONDS
    next_fetch_at: float = 0.0
    fault: str = "it was not asked yet"
    fetching: Future[None] | None = None
    waiting: int = 0

    def find(self, kid: str | None, algorithm: str) -> PublicKey | None:
        """The key for a token that names this key and algorithm; one that names no key needs that there is but one."""
        found = [key for key in self.keys if key.fits(kid, algorithm)]
        return found[0].key if found and (kid is not None or len(found) == 1) else None


class Keyrings:
    """The keys of every issuer that was asked for. Thread-safe."""

    def __init__(self, get: Get, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._get = get
        self._clock = clock
        self._rings = Issuers(lambda issuer: Keyring(issuer, next_fetch_at=self._clock()))
        self._pool = ThreadPoolExecutor(FETCHES_MAX, thread_name_prefix="provider-keys")
        self._places = threading.BoundedSemaphore(WAITING_ALL_MAX)

    def close(self) -> None:
        """Lets the fetches in progress end; they have a deadline."""
        self._pool.shutdown(cancel_futures=True)

    def key_of(self, issuer: str, kid: str | None, algorithm: str) -> PublicKey:
        """The public key that a token of this issuer names; raises TokenRefused where the provider has none, or
        cannot be asked and was not for an hour.
        """
        ring = self._rings.of(issuer)
        if self._clock() < ring.read_at + FRESH_SECONDS and (found := ring.find(kid, algorithm)) is not None:
            return found
        self._renew(ring)
        if self._clock() >= ring.read_at + KEPT_SECONDS:
            raise TokenRefused(Fault.PROVIDER, ring.fault)
        found = ring.find(kid, algorithm)
        if found is None:
            raise TokenRefused(Fault.KEY, "the provider has no key of this `kid` for this algorithm")
        return found

    def _renew(self, ring: Keyring) -> None:
        """Fetches the keys where that is due, or waits for whoever does; returns in time whatever comes of it."""
        with ring.lock:
            if ring.fetching is None:
                if self._clock() < ring.next_fetch_at:
                    return
                ring.next_fetch_at = self._clock() + FETCH_EVERY_SECONDS
                ring.fetching = self._pool.submit(self._fetch, ring)
            fetching = ring.fetching
            if ring.waiting >= WAITING_MAX or not self._places.acquire(blocking=False):
                return
            ring.waiting += 1
        try:
            wait([fetching], timeout=FETCH_SECONDS_MAX)
        finally:
            self._places.release()
            with ring.lock:
                ring.waiting -= 1

    def _fetch(self, ring: Keyring) -> None:
        """One fetch, whose end everybody may see."""
        deadline = time.monotonic() + FETCH_SECONDS_MAX
        try:
            keys = keys_of(ring.issuer, lambda url: self._get(url, deadline))
        except (FetchError, DiscoveryError) as error:
            ring.fault = str(error) if isinstance(error, DiscoveryError) else f"the provider {error}"
            log.warning("keys of a provider", issuer=ring.issuer, fault=ring.fault)
        else:
            ring.keys, ring.read_at = keys, self._clock()
        finally:
            with ring.lock:
                ring.fetching = None
