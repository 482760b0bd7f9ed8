"""What pages remember of what they were told."""

from verbund.console.site.kept import Kept

from tests.support.clock import Clock


def test_a_value_is_kept_for_its_time() -> None:
    """And not a moment longer."""
    clock = Clock()
    names = Kept[str](30.0, clock=clock)
    names.keep("people/a", "Erika")
    clock.now += 29.9
    assert names.get("people/a") == "Erika"
    assert names.get("people/b") is None
    clock.now += 0.1
    assert names.get("people/a") is None


def test_what_is_over_is_not_held() -> None:
    """Whoever was erased is not remembered by chance: the next name that is kept takes theirs away."""
    clock = Clock(0.0)
    names = Kept[str](30.0, clock=clock)
    names.keep("people/a", "Erika")
    clock.now = 20.0
    names.keep("people/b", "Max")
    names.keep("people/a", "Erika Muster")
    clock.now = 50.0
    names.keep("people/c", "Kim")
    assert len(names) == 1
    assert names.get("people/c") == "Kim"


def test_many_values_have_a_bound() -> None:
    """The oldest make room."""
    names = Kept[int](30.0, count_max=2)
    for number in range(4):
        names.keep(str(number), number)
    assert [names.get(str(number)) for number in range(4)] == [None, None, 2, 3]
