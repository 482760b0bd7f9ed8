"""Whether the other side of a stream keeps up, and who has a place."""

import pytest
from verbund.serving.refusals import Exhausted
from verbund.serving.streams import Pace, Places

from tests.support.clock import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pace(clock: Clock) -> Pace:
    return Pace(bytes_per_second_min=1000, window_seconds=5, clock=clock)


def test_only_waiting_counts(pace: Pace, clock: Clock) -> None:
    """A stream that we hold up ourselves is not slow; one that moves nothing while we wait is."""
    clock.now += 6
    assert not pace.too_slow()
    pace.wait()
    clock.now += 4.9
    assert not pace.too_slow()
    clock.now += 0.2
    assert pace.too_slow()


def test_bytes_win_time_back_but_not_more_than_a_window(pace: Pace, clock: Clock) -> None:
    """Who has sent a gigabyte may not rest for hours after it."""
    pace.wait()
    pace.moved(1_000_000_000)
    pace.wait()
    clock.now += 6
    assert pace.too_slow()
    pace.moved(6000)
    assert not pace.too_slow()


def test_places_are_free_again_whatever_happened() -> None:
    """All for all, half for one; each comes back."""
    places = Places(2)
    with places.place("a"):
        with pytest.raises(Exhausted) as caught, places.place("a"):
            pass
        assert caught.value.metadata["limit"] == "streams per organisation"
        with places.place("b"), pytest.raises(Exhausted) as caught, places.place("c"):
            pass
        assert caught.value.metadata["limit"] == "streams"
    with pytest.raises(ZeroDivisionError), places.place("a"):
        raise ZeroDivisionError
    with places.place("a"), places.place("b"):
        pass
    with Places(1).place("a"):
        pass
