"""What a search understood: the words that were found in place of those that were typed."""

import re
from collections.abc import Iterable
from difflib import get_close_matches
from itertools import islice

WORD = re.compile(r"\w{2,60}")
WORDS_MAX = 8  # of what was typed
VOCABULARY_MAX = 600  # words of what was found: each costs a comparison
ALIKE_LEAST = 0.6  # of 1, by difflib; less is no longer the same word


def unknown(query: str, texts: Iterable[str]) -> list[str]:
    """The words of a query that stand in none of the texts, as they were typed."""
    told = "\n".join(texts).casefold()
    return [word for word in WORD.findall(query)[:WORDS_MAX] if word.casefold() not in told]


def understood(words: Iterable[str], texts: Iterable[str]) -> list[str]:
    """For each word the one of the texts that is most like it, as it is written there; none where none is."""
    vocabulary = islice((found[0] for text in texts for found in WORD.finditer(text)), VOCABULARY_MAX)
    known = {word.casefold(): word for word in vocabulary}
    found = (get_close_matches(word.casefold(), known, n=1, cutoff=ALIKE_LEAST) for word in words)
    return [*dict.fromkeys(known[each] for matches in found for each in matches)]
