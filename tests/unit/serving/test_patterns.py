"""What a field must look like is said in words."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from buf.validate import validate_pb2
from google.protobuf.descriptor import Descriptor
from verbund.policy.catalogue import FILES
from verbund.serving.patterns import words_of


def patterns() -> Iterator[str]:
    """Every pattern that a field of the protos has to match."""
    for message in messages(
        each for files in FILES.values() for file in files for each in file.message_types_by_name.values()
    ):
        for field in message.fields:
            yield from stated(field.GetOptions().Extensions[validate_pb2.field])


def messages(found: Any) -> Iterator[Descriptor]:
    """Messages with those inside them."""
    for message in found:
        yield message
        yield from messages(message.nested_types)


def stated(rules: Any) -> Iterator[str]:
    """The pattern of a field, of its entries, of its keys and values."""
    if rules.string.pattern:
        yield rules.string.pattern
    for inner in ("repeated.items", "map.keys", "map.values"):
        outer, _, which = inner.partition(".")
        if rules.HasField(outer) and getattr(rules, outer).HasField(which):
            yield from stated(getattr(getattr(rules, outer), which))


def test_each_pattern_of_the_protos_has_words() -> None:
    """Nobody reads a regular expression, also for a field that is new."""
    found = set(patterns())
    assert len(found) > 20  # the search itself finds them
    wordless = {pattern for pattern in found if not words_of(pattern)}
    assert not wordless, "put them into words in services/verbund/serving/patterns.py"
    assert not [words for words in map(words_of, found) if re.search(r"[\^\\{}?]|\]\)|\(\[", words or "")]


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        (
            "^organisations/[a-z]([a-z0-9-]{0,61}[a-z0-9])?/systems/[a-z]([a-z0-9-]{0,61}[a-z0-9])?$",
            "must look like organisations/ID/systems/ID, where an ID has lowercase letters, digits and hyphens",
        ),
        (
            "^(projects/[a-z]([a-z0-9-]{0,61}[a-z0-9])?[.][a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?|invitations/[a-z2-7]{26})$",
            "must look like projects/ID.ID or invitations/ID, where an ID has lowercase letters, digits and hyphens",
        ),
        ("^$|^[0-9a-f]{64}$", "must be empty, or be a SHA-256 in hexadecimal: 64 of the characters 0-9 and a-f"),
        ("^[A-Z]+$", None),
    ],
)
def test_words(pattern: str, words: str | None) -> None:
    """A name is shown by its form, what is not known is said to be so."""
    assert words_of(pattern) == words
