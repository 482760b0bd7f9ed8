"""The keys of providers: which are taken, how long they are kept, how often they are asked for, and where."""

import ipaddress
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest
from joserfc.jwk import ECKey, OctKey, RSAKey
from verbund.identity.providers.discovery import DiscoveryError, key_of, keys_of
from verbund.identity.providers.domain import Fault, TokenRefused
from verbund.identity.providers.keyrings import (
    FETCH_EVERY_SECONDS,
    FRESH_SECONDS,
    KEPT_SECONDS,
    WAITING_ALL_MAX,
    WAITING_MAX,
    Keyrings,
)
from verbund.identity.providers.outbound import Fetcher, FetchError, may_be_asked, target_of

from tests.support.clock import Clock

ISSUER = "https://home.example"
KEY, NEW = (ECKey.generate_key("P-256", auto_kid=True) for _ in range(2))


def jwks(*keys: ECKey) -> bytes:
    return json.dumps({"keys": [key.as_dict(private=False) for key in keys]}).encode()


@dataclass
class Documents:
    """What a provider serves: the one part that a unit test must not have, since it lies on a socket."""

    keys: tuple[ECKey, ...] = (KEY,)
    up: bool = True
    slow: threading.Event = field(default_factory=threading.Event)
    asked: int = 0

    def __post_init__(self) -> None:
        """It is quick unless told otherwise."""
        self.slow.set()

    def get(self, url: str, deadline: float) -> bytes:
        """A document."""
        assert deadline > time.monotonic()
        self.asked += url.endswith("openid-configuration")
        self.slow.wait(5)
        if not self.up:
            raise FetchError("cannot be reached, or breaks off")
        if url.endswith("openid-configuration"):
            return json.dumps({"issuer": ISSUER, "jwks_uri": f"{ISSUER}/keys"}).encode()
        return jwks(*self.keys)


@pytest.fixture
def documents() -> Documents:
    return Documents()


def asked_by(documents: Documents, clock: Clock) -> Keyrings:
    return Keyrings(documents.get, clock=clock)


def fault_of(rings: Keyrings, kid: str | None, algorithm: str = "ES256") -> Fault:
    with pytest.raises(TokenRefused) as caught:
        rings.key_of(ISSUER, kid, algorithm)
    return caught.value.fault


def test_a_fresh_key_is_asked_for_once(documents: Documents) -> None:
    """And again when it is old: what a provider withdraws is not good for ever."""
    clock = Clock(0.0)
    rings = asked_by(documents, clock)
    for _ in range(5):
        assert rings.key_of(ISSUER, KEY.kid, "ES256").thumbprint() == KEY.thumbprint()
    assert documents.asked == 1
    clock.now += FRESH_SECONDS
    documents.keys = (NEW,)
    assert fault_of(rings, KEY.kid) is Fault.KEY
    assert documents.asked == 2
    rings.close()


def test_an_unknown_kid_has_a_provider_asked_once_in_ten_seconds(documents: Documents) -> None:
    """Whoever invents kids does not have us flood a provider; a new key is found after that."""
    clock = Clock(0.0)
    rings = asked_by(documents, clock)
    rings.key_of(ISSUER, KEY.kid, "ES256")
    documents.keys = (KEY, NEW)
    for _ in range(50):
        assert fault_of(rings, NEW.kid) is Fault.KEY
    assert documents.asked == 1
    clock.now += FETCH_EVERY_SECONDS
    assert rings.key_of(ISSUER, NEW.kid, "ES256").thumbprint() == NEW.thumbprint()
    assert documents.asked == 2
    rings.close()


def test_the_last_good_keys_outlive_a_provider_by_an_hour(documents: Documents) -> None:
    """Its people go on while it cannot be reached; after that nobody can say whether the keys still hold."""
    clock = Clock(0.0)
    rings = asked_by(documents, clock)
    rings.key_of(ISSUER, KEY.kid, "ES256")
    documents.up = False
    clock.now = KEPT_SECONDS - 1
    assert rings.key_of(ISSUER, KEY.kid, "ES256")
    clock.now = KEPT_SECONDS + FETCH_EVERY_SECONDS
    assert fault_of(rings, KEY.kid) is Fault.PROVIDER
    rings.close()


def test_many_who_wait_ask_once(documents: Documents) -> None:
    """One fetch serves all; who comes when enough wait is turned away instead of holding a thread."""
    documents.slow.clear()
    rings = asked_by(documents, Clock(0.0))

    def ask(_: int) -> bool:
        try:
            return bool(rings.key_of(ISSUER, KEY.kid, "ES256"))
        except TokenRefused:
            return False

    with ThreadPoolExecutor(WAITING_MAX + 8) as pool:
        answers = [pool.submit(ask, number) for number in range(WAITING_MAX + 8)]
        while sum(answer.done() for answer in answers) < 8:
            time.sleep(0.01)
        documents.slow.set()
        assert sum(answer.result() for answer in answers) == WAITING_MAX
    assert documents.asked == 1
    rings.close()


def test_many_providers_that_do_not_answer_hold_few_threads(documents: Documents) -> None:
    """Whoever has twenty of them takes no more of the token endpoint than that; others go on with what is known."""
    rings = asked_by(documents, Clock(0.0))
    known = rings.key_of(ISSUER, KEY.kid, "ES256")
    documents.slow.clear()

    def ask(number: int) -> None:
        with pytest.raises(TokenRefused):
            rings.key_of(f"{ISSUER}/{number}", KEY.kid, "ES256")

    with ThreadPoolExecutor(20) as pool:
        answers = [pool.submit(ask, number) for number in range(20)]
        while sum(answer.done() for answer in answers) < 20 - WAITING_ALL_MAX:
            time.sleep(0.01)
        assert rings.key_of(ISSUER, KEY.kid, "ES256") is known
        documents.slow.set()
        for answer in answers:
            answer.result()
    rings.close()


def test_a_token_without_kid_needs_that_there_is_one_key(documents: Documents) -> None:
    """Nobody guesses which was meant."""
    documents.keys = (KEY,)
    rings = asked_by(documents, Clock(0.0))
    assert rings.key_of(ISSUER, None, "ES256")
    rings.close()
    documents.keys = (KEY, NEW)
    rings = asked_by(documents, Clock(0.0))
    assert fault_of(rings, None) is Fault.KEY
    rings.close()


@pytest.mark.parametrize(
    "members",
    [
        OctKey.generate_key(256).as_dict(private=True),
        {"kty": "RSA", "e": "AQAB", "n": "_" * 170 + "w"},
        RSAKey.generate_key(2048).as_dict(private=True),
        ECKey.generate_key("P-384").as_dict(private=False),
        KEY.as_dict(private=False) | {"use": "enc"},
        KEY.as_dict(private=False) | {"key_ops": ["sign"]},
        KEY.as_dict(private=False) | {"kid": 7},
        KEY.as_dict(private=False) | {"x": "AAAA"},
        KEY.as_dict(private=False) | {"x": None},
        {"kty": ["EC"]},
        {},
    ],
)
def test_keys_that_are_for_something_else_are_passed_over(members: dict[str, object]) -> None:
    """A set may hold any; one of them does not spoil the others."""
    assert key_of(dict(members)) is None


def test_a_key_with_an_algorithm_is_for_no_other() -> None:
    """RS256 and PS256 take the same kind of key: a key that names one is not used with the other."""
    found = key_of(RSAKey.generate_key(2048).as_dict(private=False) | {"alg": "PS256", "kid": "a"})
    assert found is not None
    assert (found.fits("a", "PS256"), found.fits("a", "RS256"), found.fits("b", "PS256")) == (True, False, False)


@pytest.mark.parametrize(
    ("configuration", "keys"),
    [
        (b"no JSON", jwks(KEY)),
        (b"[]", jwks(KEY)),
        (json.dumps({"issuer": "https://other.example", "jwks_uri": ISSUER}).encode(), jwks(KEY)),
        (json.dumps({"issuer": ISSUER}).encode(), jwks(KEY)),
        (json.dumps({"issuer": ISSUER, "jwks_uri": ISSUER}).encode(), b'{"keys": {}}'),
        (json.dumps({"issuer": ISSUER, "jwks_uri": ISSUER}).encode(), json.dumps({"keys": [{}] * 65}).encode()),
    ],
)
def test_a_provider_that_does_not_say_what_it_should(configuration: bytes, keys: bytes) -> None:
    """Another issuer's document above all: providers could be mixed up by it."""
    with pytest.raises(DiscoveryError):
        keys_of(ISSUER, lambda url: configuration if "openid" in url else keys)


@pytest.mark.parametrize(
    ("address", "public", "private"),
    [
        ("192.0.2.1", False, True),
        ("8.8.8.8", True, True),
        ("2606:4700::1111", True, True),
        ("127.0.0.1", False, True),
        ("10.1.2.3", False, True),
        ("192.168.0.1", False, True),
        ("fd00::1", False, True),
        ("::1", False, True),
        ("::ffff:127.0.0.1", False, True),
        ("::ffff:8.8.8.8", True, True),
        ("64:ff9b::7f00:1", False, True),
        ("169.254.169.254", False, False),
        ("::ffff:169.254.169.254", False, False),
        ("fe80::1", False, False),
        ("224.0.0.1", False, False),
        ("ff02::1", False, False),
        ("0.0.0.0", False, False),  # noqa: S104 - nobody listens
        ("::", False, False),
        ("2002:7f00:1::", False, False),
        ("2001:0:1:2::3", False, False),
        ("::127.0.0.1", False, False),
        ("64:ff9b:1::7f00:1", False, False),
        ("::ffff:0:7f00:1", False, False),
        ("fec0::1", False, False),
    ],
)
def test_where_identity_asks(address: str, public: bool, private: bool) -> None:
    """Public addresses; private ones where the setting allows; the places where clouds keep secrets never."""
    found = ipaddress.ip_address(address)
    assert (may_be_asked(found, private=False), may_be_asked(found, private=True)) == (public, private)


@pytest.mark.parametrize("host", ["a" * 64 + ".example", "a..example"])
def test_a_host_that_no_resolver_takes(host: str) -> None:
    """It cannot be reached, as any other that is not there."""
    with pytest.raises(FetchError, match="cannot be reached"):
        Fetcher(ca_file=None, private_addresses=False).get(f"https://{host}/", time.monotonic() + 3)


@pytest.mark.parametrize(
    "url",
    [
        "http://home.example",
        "https://",
        "https://user@home.example",
        "https://user:password@home.example/",
        "https://home.example:0/",
        "https://home.example:99999/",
        "https://home.example/#fragment",
        "https://home.example/a b",
        "https://home.example/\r\nHost: other",
        "https://home.example\\@other",
        "https://hömé.example/",
        "file:///etc/passwd",
    ],
)
def test_what_is_no_address_of_a_provider(url: str) -> None:
    """Nothing that could be read in two ways."""
    with pytest.raises(FetchError):
        target_of(url)
