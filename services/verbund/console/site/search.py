"""What a search understood: the words that were found in place of those that were typed."""

import re
from collections.abc import Iterable
from itertools import islice

WORD = re.compile(r"\w{2,60}")
WORDS_MAX = 8  # of what was typed
VOCABULARY_MAX = 600  # words of what was found: each costs a comparison
ALIKE_LEAST = 0.5  # of 1; less is no longer the same word


def unknown(query: str, texts: Iterable[str]) -> list[str]:
    """The words of a query that stand in none of the texts, as they were typed."""
    told = "\n".join(texts).casefold()
    return [word for word in WORD.findall(query)[:WORDS_MAX] if word.casefold() not in told]


def understood(words: Iterable[str], texts: Iterable[str]) -> list[str]:
    """For each word the one of the texts that is most like it, as it is written there; none where none is."""
    vocabulary = islice((found[0] for text in texts for found in WORD.finditer(text)), VOCABULARY_MAX)
    known = {word: pairs_of(word) for word in dict.fromkeys(vocabulary)}
    found = (most_like(word, known) for word in words)
    return [*dict.fromkeys(word for word in found if word)]


def most_like(word: str, known: dict[str, frozenset[str]]) -> str:
    """The known word that is most like this one; empty where none is."""
    pairs = pairs_of(word)
    best, found = max(((alike(pairs, theirs), other) for other, theirs in known.items()), default=(0.0, ""))
    return found if best >= ALIKE_LEAST else ""


def pairs_of(word: str) -> frozenset[str]:
    """The pairs of neighbouring letters, with its ends: as the registry compares words, by threes.

    What compares letter by letter costs a hundred times as much, for words that somebody made for that.
    """
    padded = f" {word.casefold()} "
    return frozenset(padded[start : start + 2] for start in range(len(padded) - 1))


def alike(one: frozenset[str], other: frozenset[str]) -> float:
    """How much of both they share, of 1 (Dice)."""
    return 2 * len(one & other) / (len(one) + len(other))
