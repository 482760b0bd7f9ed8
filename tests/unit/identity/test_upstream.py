"""What is known of people's providers: asked for again before a browser is sent there, and by how many at once."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

import pytest
from verbund.identity.providers.issuers import ISSUERS_MAX
from verbund.identity.providers.outbound import FetchError
from verbund.identity.signon.domain import Choice, Unanswerable
from verbund.identity.signon.upstream import (
    ANSWERED_SECONDS,
    ASKING_MAX,
    FRESH_SECONDS,
    SILENT_SECONDS,
    Endpoints,
    Upstreams,
)
from verbund.resources.names import OrganisationName, ProviderName

from tests.support.clock import Clock

ISSUER = "https://home.example"
WAITED_SECONDS_MAX = 10
DOWN, REFUSED = "home_down", "home_refused"


@dataclass
class Home:
    """What providers answer: the one part that a unit test must not have, since it lies on a socket."""

    up: bool = True
    refuses: bool = False
    token: object = "x.y.z"
    quick: threading.Event = field(default_factory=threading.Event)
    quick_at: str = "nowhere"  # all the same
    asked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """It is quick unless told otherwise."""
        self.quick.set()

    def get(self, url: str, deadline: float) -> bytes:
        """A discovery document."""
        assert deadline > time.monotonic()
        self.asked.append(url)
        assert url.startswith(self.quick_at) or self.quick.wait(WAITED_SECONDS_MAX)
        if not self.up:
            raise FetchError("cannot be reached, or breaks off")
        issuer = url.removesuffix("/.well-known/openid-configuration")
        endpoints = {f"{name}_endpoint": f"{issuer}/{name}" for name in ("authorization", "token")}
        return json.dumps({"issuer": issuer} | endpoints).encode()

    def post(self, url: str, form: bytes, deadline: float) -> bytes:
        """A token."""
        assert url.endswith("/token")
        assert b"code=the-code" in form
        assert deadline > time.monotonic()
        if not self.up or self.refuses:
            raise FetchError("answered with status 400", refused=self.refuses)
        return json.dumps({"id_token": self.token}).encode()


@pytest.fixture
def home() -> Home:
    return Home()


@pytest.fixture
def clock() -> Clock:
    return Clock(0.0)


@pytest.fixture
def upstreams(home: Home, clock: Clock) -> Upstreams:
    return Upstreams(get=home.get, post=home.post, clock=clock)


def choice(issuer: str = ISSUER, organisation: str = "amt") -> Choice:
    return Choice(
        provider=ProviderName(f"organisations/{organisation}/providers/home"),
        organisation=OrganisationName(f"organisations/{organisation}"),
        title="Amt",
        provider_title="Home",
        issuer=issuer,
        audience="verbund",
    )


def reason(upstreams: Upstreams, issuer: str = ISSUER, organisation: str = "amt") -> str:
    """Why no browser is sent to a provider; empty where it is."""
    try:
        upstreams.answering(choice(issuer, organisation))
    except Unanswerable as refused:
        return refused.reason
    return ""


def test_who_was_there_a_moment_ago_is_asked_again(upstreams: Upstreams, home: Home, clock: Clock) -> None:
    """A crowd asks once; then a provider that died meanwhile is found out before a browser goes there."""
    assert [reason(upstreams) for _ in range(3)] == [""] * 3
    assert len(home.asked) == 1
    clock.now = ANSWERED_SECONDS
    home.up = False
    with pytest.raises(Unanswerable) as caught:
        upstreams.answering(choice())
    said = caught.value
    assert (said.reason, said.who, said.status, said.retry_seconds > 0) == (DOWN, "Amt", 503, True)


def test_what_a_provider_says_of_itself_is_kept_for_those_under_way(
    upstreams: Upstreams, home: Home, clock: Clock
) -> None:
    """Who comes back from it needs no second look, also while it stumbles; after five minutes it is looked at."""
    first = upstreams.endpoints(choice())
    assert first == Endpoints(f"{ISSUER}/authorization", f"{ISSUER}/token", "", names_itself=False)
    clock.now = ANSWERED_SECONDS
    home.up = False
    assert reason(upstreams) == DOWN
    assert upstreams.endpoints(choice()) == first
    clock.now = FRESH_SECONDS
    with pytest.raises(Unanswerable):
        upstreams.endpoints(choice())


def test_who_does_not_answer_is_left_alone_for_a_moment(upstreams: Upstreams, home: Home, clock: Clock) -> None:
    """Sign-ons there are answered at once, and go on when it is back."""
    home.up = False
    assert {reason(upstreams) for _ in range(3)} == {DOWN}
    assert len(home.asked) == 1
    home.up = True
    assert reason(upstreams) == DOWN
    clock.now = SILENT_SECONDS
    assert reason(upstreams) == ""
    home.up = False
    clock.now += ANSWERED_SECONDS
    assert reason(upstreams) == DOWN


def test_a_crowd_waits_for_one_answer(home: Home, clock: Clock) -> None:
    """Several who want the same at once ask once."""
    upstreams = Upstreams(get=home.get, post=home.post, clock=clock, place_seconds_max=WAITED_SECONDS_MAX)
    home.quick.clear()
    with ThreadPoolExecutor(ASKING_MAX) as pool:
        crowd = [pool.submit(reason, upstreams) for _ in range(ASKING_MAX)]
        wait_until(home, 1)
        home.quick.set()
        assert [each.result() for each in crowd] == [""] * ASKING_MAX
    assert len(home.asked) == 1


def test_providers_that_hang_do_not_hold_up_everybody(upstreams: Upstreams, home: Home, clock: Clock) -> None:
    """As many are waited for as may be; who would wait longer goes where somebody was lately, or is told."""
    assert reason(upstreams) == ""
    clock.now = ANSWERED_SECONDS
    home.quick.clear()
    with ThreadPoolExecutor(ASKING_MAX) as pool:
        hanging = [
            pool.submit(reason, upstreams, f"https://slow-{number}.example", f"slow-{number}")
            for number in range(ASKING_MAX)
        ]
        wait_until(home, 1 + ASKING_MAX)
        assert reason(upstreams) == ""
        assert reason(upstreams, "https://new.example", "new") == DOWN
        home.quick.set()
        assert [each.result() for each in hanging] == [""] * ASKING_MAX
    assert reason(upstreams, "https://new.example", "new") == ""


@pytest.mark.parametrize("issuers", [["https://slow.example"] * 3, [f"https://slow-{n}.example" for n in range(3)]])
def test_one_organisation_takes_one_place(home: Home, clock: Clock, issuers: list[str]) -> None:
    """Others find theirs, however many people wait for hers, at one provider that hangs or at several."""
    upstreams = Upstreams(get=home.get, post=home.post, clock=clock, place_seconds_max=WAITED_SECONDS_MAX)
    home.quick.clear()
    with ThreadPoolExecutor(len(issuers)) as pool:
        hanging = [pool.submit(reason, upstreams, issuer, "slow") for issuer in issuers]
        wait_until(home, 1)
        home.quick_at = "https://new.example"
        assert reason(upstreams, "https://new.example", "new") == ""
        assert len(home.asked) == 2
        home.quick.set()
        assert [each.result() for each in hanging] == [""] * len(issuers)


def wait_until(home: Home, count: int) -> None:
    """Returns when that many documents were asked for."""
    end = time.monotonic() + WAITED_SECONDS_MAX
    while len(home.asked) < count:
        assert time.monotonic() < end
        time.sleep(0.01)


def test_what_is_known_has_a_bound(upstreams: Upstreams, home: Home) -> None:
    """Whoever came first is asked once more."""
    for number in range(ISSUERS_MAX + 1):
        upstreams.endpoints(choice(f"https://home-{number}.example"))
    upstreams.endpoints(choice(f"https://home-{ISSUERS_MAX}.example"))
    upstreams.endpoints(choice("https://home-0.example"))
    assert len(home.asked) == ISSUERS_MAX + 2


@pytest.mark.parametrize(
    ("answers", "expected"),
    [({"up": False}, DOWN), ({"refuses": True}, REFUSED), ({"token": None}, REFUSED), ({"token": 5}, REFUSED)],
)
def test_a_code_that_brings_no_token_says_whose_fault_it_is(
    upstreams: Upstreams, home: Home, answers: dict[str, object], expected: str
) -> None:
    """Nobody is there, or somebody who does not want to: both name the organisation."""
    redeem = partial(upstreams.id_token, choice(), "the-code", verifier="v", redirect_uri="https://mesh.example/")
    assert redeem() == "x.y.z"
    for name, value in answers.items():
        setattr(home, name, value)
    with pytest.raises(Unanswerable) as caught:
        redeem()
    assert (caught.value.reason, caught.value.who) == (expected, "Amt")
