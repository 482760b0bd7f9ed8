"""What a search says of what it understood."""

import pytest
from verbund.console.site.search import understood, unknown

TEXTS = ["Smart Space Hardenbergplatz", "", "Der Platz vor dem Bahnhof wird neu geordnet.", "Luftqualitätsmanagement"]


@pytest.mark.parametrize(
    "typed",
    ["Hardenbergplats", "Hardenberplatz", "Hardenbrgplatz", "hardenbergplaz", "Hardenbregplatz", "HARDENBERGPLTZ"],
)
def test_a_typing_error_is_understood_and_said(typed: str) -> None:
    """The word as it is written there."""
    assert unknown(typed, TEXTS) == [typed]
    assert understood([typed], TEXTS) == ["Hardenbergplatz"]


@pytest.mark.parametrize("typed", ["Hardenbergplatz", "hardenberg", "Platz", "smart space", "qualität", ""])
def test_what_stands_there_needs_no_word(typed: str) -> None:
    """Whole, in other letters, or within a longer word."""
    assert unknown(typed, TEXTS) == []


def test_only_what_is_unknown_is_said() -> None:
    """Beside words that are right."""
    assert unknown("smart Spase", TEXTS) == ["Spase"]
    assert understood(["Spase"], TEXTS) == ["Space"]


def test_nothing_is_understood_into_a_word() -> None:
    """Where nothing is alike, nothing is claimed; of a long text the beginning is looked at."""
    assert understood(["qqqqqq"], TEXTS) == []
    assert understood(["Hardenbrgplatz"], []) == []
    assert understood(["Hardenbrgplatz"], ["Hardenbergplatz " + "Wort " * 100_000]) == ["Hardenbergplatz"]


@pytest.mark.parametrize(("typed", "written"), [("Plaz", "Platz"), ("Strase", "Straße"), ("Brucke", "Brücke")])
def test_short_words_are_understood(typed: str, written: str) -> None:
    """One letter of few."""
    assert understood([typed], [f"Am {written} entlang"]) == [written]


def test_words_of_the_same_letters_are_not_alike() -> None:
    """Neighbours tell words apart, which costs little also where somebody made the words for what they cost."""
    assert understood(["aXbXcXdXeXf"], ["abcdef", "fedcba"]) == []
