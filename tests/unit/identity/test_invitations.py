"""Invitations: what may become of them, whatever happens in which order."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import OKPKey
from verbund.identity.invitations.domain import (
    ADMISSION,
    LIFE,
    LIFE_MAX,
    MISSES_MAX,
    Invitation,
    State,
    expiry,
    new_code,
    new_name,
    proven,
)
from verbund.identity.systems import jwk
from verbund.resources.names import OrganisationName, SystemName
from verbund.serving.call import Call
from verbund.serving.refusals import Forbidden, Invalid, Refusal, StateForbids

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
LATER = NOON + timedelta(minutes=1)
CODE = new_code()
OPERATOR = "organisations/senatskanzlei/systems/operator"
TITLE = "Bezirksamt Mitte von Berlin"


def new_key() -> jwk.Jwk:
    return jwk.parse(json.dumps(OKPKey.generate_key("Ed25519").as_dict(private=False)))


KEY, OTHER_KEY = new_key(), new_key()


def by(subject: str, *, system: bool = True) -> Call:
    """A call by a system, or by a person."""
    call = Call.internal("test")
    name = SystemName(subject) if system else None
    return replace(call, principal=replace(call.principal, subject=subject, system=name))


def invited(creator: str = OPERATOR) -> Invitation:
    return Invitation.made(
        OrganisationName("organisations/mitte"),
        "Bezirksamt Mitte",
        system=SystemName("organisations/mitte/systems/portal"),
        system_title="Portal",
        roles=("admin", "system"),
        code=CODE,
        creator=creator,
        expire_time=NOON + LIFE,
        at=NOON,
    )


INVITED = invited()
ACCEPTED = INVITED.accepted(KEY, TITLE, call=by(""), at=LATER)


def test_a_code_has_256_bits_and_is_not_kept() -> None:
    """Nobody guesses it, and nobody reads it in the database."""
    assert len({new_code() for _ in range(100)}) == 100
    assert len(CODE) == 43
    assert CODE not in repr(INVITED)
    assert len(new_name()) == len("invitations/") + 26


def test_only_its_own_code_proves_an_invitation() -> None:
    """Nothing proves one that is not there, and not even its own code one that was guessed at too often."""
    assert proven(INVITED, CODE) is INVITED
    assert proven(INVITED, new_code()) is None
    assert proven(INVITED, CODE[:-1]) is None
    assert proven(None, CODE) is None
    assert proven(replace(INVITED, misses=MISSES_MAX - 1), CODE) is not None
    assert proven(replace(INVITED, misses=MISSES_MAX), CODE) is None


def test_accepting_keeps_key_and_title() -> None:
    """And leaves the operator a month, however late it was."""
    assert (ACCEPTED.state, ACCEPTED.confirmed_title) == (State.ACCEPTED, TITLE)
    assert ACCEPTED.key is not None
    assert ACCEPTED.key.jwk == KEY
    assert ACCEPTED.etag != INVITED.etag
    last_moment = INVITED.expire_time - timedelta(seconds=1)
    assert INVITED.accepted(KEY, TITLE, call=by(""), at=last_moment).expire_time == last_moment + ADMISSION
    long = replace(INVITED, expire_time=NOON + LIFE_MAX)
    assert long.accepted(KEY, TITLE, call=by(""), at=LATER).expire_time == long.expire_time


def test_accepting_again_is_accepting_once() -> None:
    """With the same key and title, also when it was admitted meanwhile; anything else is refused."""
    assert ACCEPTED.accepted(KEY, TITLE, call=by(""), at=LATER) is ACCEPTED
    admitted = ACCEPTED.admitted(call=by(OPERATOR), at=LATER)
    assert admitted.accepted(KEY, TITLE, call=by(""), at=LATER) is admitted
    for key, title in ((OTHER_KEY, TITLE), (KEY, "Other")):
        with pytest.raises(Forbidden):
            ACCEPTED.accepted(key, title, call=by(""), at=LATER)


def test_a_person_does_not_admit_whom_they_invited() -> None:
    """Another person does; systems, which act for several people, may."""
    person, colleague = "organisations/senatskanzlei/people/a", "organisations/senatskanzlei/people/b"
    accepted = invited(person).accepted(KEY, TITLE, call=by(""), at=LATER)
    with pytest.raises(StateForbids) as caught:
        accepted.admitted(call=by(person, system=False), at=LATER)
    assert caught.value.type == "SECOND_PERSON"
    assert accepted.admitted(call=by(colleague, system=False), at=LATER).state is State.ADMITTED
    assert ACCEPTED.admitted(call=by(OPERATOR), at=LATER).state is State.ADMITTED


@given(st.lists(st.sampled_from(["accept", "other", "withdraw", "admit", "wait"]), max_size=12))
def test_whatever_happens_only_who_accepted_is_admitted(events: list[str]) -> None:
    """In every order: an invitation is admitted once, with the key that was sent first, in its time, and never after it
    was withdrawn.
    """
    invitation, now, seen = INVITED, LATER, [State.INVITED]
    for event in events:
        now += timedelta(days=20) if event == "wait" else timedelta(seconds=1)
        acts = {
            "accept": lambda i=invitation, at=now: i.accepted(KEY, TITLE, call=by(""), at=at),
            "other": lambda i=invitation, at=now: i.accepted(OTHER_KEY, TITLE, call=by(""), at=at),
            "withdraw": lambda i=invitation, at=now: i.withdrawn(at=at),
            "admit": lambda i=invitation, at=now: i.admitted(call=by(OPERATOR), at=at),
        }
        before = invitation
        try:
            invitation = acts[event]() if event in acts else invitation
        except Refusal:
            assert invitation is before
        if before.key is not None:
            assert invitation.key == before.key
        assert (invitation is before) == (invitation.revision == before.revision)
        if invitation.state is not seen[-1]:
            seen.append(invitation.state)
            assert now < before.expire_time or invitation.state is State.WITHDRAWN
    steps = ([State.ACCEPTED, State.ADMITTED], [State.ACCEPTED, State.WITHDRAWN], [State.WITHDRAWN])
    assert any([State.INVITED, *step][: len(seen)] == seen for step in steps)


def test_time_ends_what_was_not_admitted() -> None:
    """Nothing needs to run for that."""
    assert INVITED.state_at(INVITED.expire_time - timedelta(seconds=1)) is State.INVITED
    assert INVITED.state_at(INVITED.expire_time) is State.EXPIRED
    assert ACCEPTED.state_at(ACCEPTED.expire_time) is State.EXPIRED
    admitted = ACCEPTED.admitted(call=by(OPERATOR), at=LATER)
    assert admitted.state_at(NOON + timedelta(days=900)) is State.ADMITTED
    with pytest.raises(StateForbids) as caught:
        ACCEPTED.admitted(call=by(OPERATOR), at=ACCEPTED.expire_time)
    assert caught.value.type == "INVITATION_EXPIRED"


def test_an_invitation_is_open_for_90_days_at_most() -> None:
    """Times that no calendar has are refused like others."""
    assert expiry(None, at=NOON) == NOON + timedelta(days=14)
    last = NOON + timedelta(days=90)
    assert expiry(int(last.timestamp()), at=NOON) == last
    for seconds in (0, int(NOON.timestamp()), int(last.timestamp()) + 1, 10**15, -(10**15)):
        with pytest.raises(Invalid):
            expiry(seconds, at=NOON)
