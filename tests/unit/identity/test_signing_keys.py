"""The life of signing keys: whoever keeps the published set for a while never meets a token whose key is missing."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from verbund.identity.keys.domain import MARGIN, Due, KeyState, Schedule, SigningKey, due

START = datetime(2026, 11, 23, 9, tzinfo=UTC)
SCHEDULE = Schedule(publish=timedelta(minutes=10), rotate=timedelta(days=30), token_life=timedelta(minutes=5))


def key(kid: str, state: KeyState, **times: datetime) -> SigningKey:
    return SigningKey(kid=kid, jwk="{}", state=state, create_time=START, **times)


SIGNING = key("a", KeyState.SIGNING, publish_time=START, sign_time=START)
WAITING = key("b", KeyState.PUBLISHED, publish_time=START)


def test_the_first_key_signs_as_soon_as_it_is_published() -> None:
    """A new mesh has nobody who keeps an older set."""
    assert due([], SCHEDULE, at=START) == Due(create=True)
    unpublished = replace(WAITING, publish_time=None)
    assert not due([unpublished], SCHEDULE, at=START + timedelta(days=1)).anything
    assert due([WAITING], SCHEDULE, at=START) == Due(sign="b")


def test_the_next_key_is_made_in_time_to_take_over() -> None:
    """Thirty days after it began, the key has a published successor."""
    early = SIGNING.create_time + SCHEDULE.rotate - SCHEDULE.publish
    assert not due([SIGNING], SCHEDULE, at=early - timedelta(seconds=1)).anything
    assert due([SIGNING], SCHEDULE, at=early) == Due(create=True)


@pytest.mark.parametrize(("seconds", "sign"), [(0, None), (599, None), (600, "b")])
def test_a_key_waits_until_it_has_been_published_long_enough(seconds: int, sign: str | None) -> None:
    """Ten minutes, from its publication and not from its making."""
    assert due([SIGNING, WAITING], SCHEDULE, at=START + timedelta(seconds=seconds)).sign == sign


@pytest.mark.parametrize(("after", "drop"), [(timedelta(seconds=-1), ()), (timedelta(0), ("old",))])
def test_a_retired_key_stays_a_tokens_life(after: timedelta, drop: tuple[str, ...]) -> None:
    """And a margin longer: clocks differ."""
    old = key("old", KeyState.RETIRED, publish_time=START, sign_time=START, retire_time=START)
    assert due([old, SIGNING], SCHEDULE, at=START + SCHEDULE.token_life + MARGIN + after).drop == drop


@settings(deadline=None, max_examples=60)
@given(
    steps=st.lists(st.floats(1, 400, allow_nan=False), min_size=30, max_size=120),
    publishes=st.lists(st.booleans(), min_size=30, max_size=120),
    forced=st.sets(st.integers(0, 119), max_size=20),
)
def test_no_holder_of_an_older_set_misses_a_key(steps: list[float], publishes: list[bool], forced: set[int]) -> None:
    """Whatever the pauses, failed publications and forced rotations: a set that was published `publish` ago holds the
    key that signs now, and the newest set holds every key whose tokens still live.
    """
    schedule = replace(SCHEDULE, rotate=timedelta(minutes=40))
    now, keys = START, list[SigningKey]()
    files: list[tuple[datetime, frozenset[str]]] = []
    signed: dict[str, datetime] = {}  # until when a token of each key lives
    for index, (seconds, publish) in enumerate(zip(steps, publishes, strict=False)):
        now += timedelta(seconds=seconds)
        keys = turned(keys, due(keys, schedule, at=now), index, now)
        if index in forced and not any(key.state is KeyState.PUBLISHED for key in keys):
            keys.append(key(f"forced{index}", KeyState.PUBLISHED))
        if publish:
            files.append((now, frozenset(key.kid for key in keys)))
            keys = [replace(key, publish_time=key.publish_time or now) for key in keys]
        for each in keys:
            if each.state is KeyState.SIGNING:
                signed[each.kid] = now + schedule.token_life
                held = [file for at, file in files if at <= now - schedule.publish]
                assert not held or each.kid in held[-1] or len(signed) == 1
        if files and publish:
            assert {kid for kid, until in signed.items() if until > now} <= files[-1][1]


def turned(keys: list[SigningKey], todo: Due, index: int, now: datetime) -> list[SigningKey]:
    """The keys after what was due, as the store changes them."""
    kept = [each for each in keys if each.kid not in todo.drop]
    if todo.sign is not None:
        kept = [
            replace(each, state=KeyState.RETIRED, retire_time=now) if each.state is KeyState.SIGNING else each
            for each in kept
        ]
        kept = [
            replace(each, state=KeyState.SIGNING, sign_time=now) if each.kid == todo.sign else each for each in kept
        ]
    if todo.create:
        kept.append(key(f"key{index}", KeyState.PUBLISHED))
    return kept
