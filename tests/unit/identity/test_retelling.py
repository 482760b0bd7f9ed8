"""Refusals in links: read as they were written, and nobody else writes them."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from verbund.identity.signon.domain import Unanswerable
from verbund.identity.signon.retelling import Retelling

OURS = Retelling(b"o" * 32)


@given(who=st.text(st.characters(exclude_categories=["Cs"])), retry_seconds=st.integers(0, 3600))
def test_what_is_written_is_read(who: str, retry_seconds: int) -> None:
    """Whatever an organisation is called."""
    told = Unanswerable("home_down", who=who, status=503, retry_seconds=retry_seconds)
    read, trace = OURS.read(OURS.about(told, "0" * 32))
    assert (read.reason, read.who, read.status, read.retry_seconds) == ("home_down", who, 503, retry_seconds)
    assert trace == "0" * 32


@pytest.mark.parametrize("about", ["", "x", "ä", "=", "A" * 44, base64.urlsafe_b64encode(b"x" * 64).decode()])
def test_a_link_that_is_no_link_says_nothing(about: str) -> None:
    """It is as unreadable as any other request that is none."""
    with pytest.raises(Unanswerable, match="malformed"):
        OURS.read(about)


def test_nobody_else_says_what_our_pages_say() -> None:
    """Neither with another key, nor by a change of any character."""
    good = OURS.about(Unanswerable("home_down", who="Amt"), "0" * 32)
    others = [Retelling(b"x" * 32).about(Unanswerable("home_down", who="Amt"), "0" * 32)]
    for place, character in enumerate(good):
        others.append(good[:place] + ("A" if character != "A" else "B") + good[place + 1 :])
    for about in others:
        with pytest.raises(Unanswerable, match="malformed"):
            OURS.read(about)
