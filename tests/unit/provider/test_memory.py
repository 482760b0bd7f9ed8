"""What is remembered is bounded, in time and in number."""

from verbund.provider.attempts import Attempts
from verbund.provider.expiring import Expiring

from tests.support.clock import Clock


def test_a_value_is_there_for_its_time() -> None:
    """Until the second before its end, for its key only, and once where it is taken."""
    clock = Clock()
    kept = Expiring[str](life_seconds=10, number_max=5, clock=clock)
    key = kept.put("one")
    clock.now += 9
    assert kept.get(key) == "one"
    assert kept.get(key + "x") is None
    assert kept.take(key) == "one"
    assert kept.take(key) is None
    late = kept.put("two")
    clock.now += 10
    assert kept.get(late) is None


def test_the_oldest_makes_room() -> None:
    """However many are put, no more are kept than fit; a value that is kept again is the newest."""
    kept = Expiring[int](life_seconds=10, number_max=3, clock=Clock())
    keys = [kept.put(number) for number in range(3)]
    kept.keep(keys[0], 10)
    kept.put(3)
    assert [kept.get(key) for key in keys] == [10, None, 2]
    for number in range(1000):
        kept.put(number)
    assert len(kept._kept) == 3


def test_what_has_expired_takes_no_room() -> None:
    """It goes with the next value."""
    clock = Clock()
    kept = Expiring[int](life_seconds=10, number_max=100, clock=clock)
    for number in range(50):
        kept.put(number)
    clock.now += 10
    kept.put(50)
    assert len(kept._kept) == 1


def test_keys_are_not_kept() -> None:
    """Only their digests: whoever could read the memory's tables could use nothing of them."""
    kept = Expiring[int](life_seconds=10, number_max=3, clock=Clock())
    assert kept.put(1).encode() not in b"".join(kept._kept)


def test_wrong_passwords_are_counted_by_account_and_altogether() -> None:
    """An account that is guessed at waits for the next minute; so does everybody where all of them are."""
    clock = Clock()
    attempts = Attempts(per_account_max=2, total_max=5, clock=clock)
    for account in ("a", "a", "b", "c"):
        assert attempts.seconds_to_wait(account) == 0
        attempts.failed(account)
    wait = attempts.seconds_to_wait("a")
    assert 1 <= wait <= 60
    assert attempts.seconds_to_wait("b") == 0
    attempts.failed("d")
    assert attempts.seconds_to_wait("e") == wait
    clock.now += wait
    assert attempts.seconds_to_wait("a") == attempts.seconds_to_wait("e") == 0
