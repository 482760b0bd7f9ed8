"""Organisations and systems: what may become of them, and who may change them."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from joserfc.jwk import OKPKey
from verbund.identity.organisations.domain import Organisation, State
from verbund.identity.systems import jwk
from verbund.identity.systems.domain import Key, System, refuse_giving
from verbund.identity.tokens.allowance import Allowance
from verbund.identity.tokens.domain import issue_time
from verbund.resources.names import OrganisationName, SystemName
from verbund.serving.call import Call
from verbund.serving.refusals import Absent, Exists, Forbidden, Stale, StateForbids

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
LATER = NOON + timedelta(minutes=1)
CITYLAB = OrganisationName("organisations/citylab")


def new_key() -> jwk.Jwk:
    return jwk.parse(json.dumps(OKPKey.generate_key("Ed25519").as_dict(private=False)))


FIRST = new_key()
ORGANISATION = Organisation(name=CITYLAB, title="CityLAB", create_time=NOON, update_time=NOON)
SYSTEM = System(
    name=SystemName(f"{CITYLAB}/systems/portal"),
    organisation=CITYLAB,
    title="Portal",
    roles=("system",),
    keys=(Key(FIRST, NOON),),
    create_time=NOON,
    update_time=NOON,
)


def by(organisation: str, *roles: str, system: str = "portal") -> Call:
    """A call by a system of an organisation."""
    call = Call.internal("test", organisation=OrganisationName(f"organisations/{organisation}"))
    name = SystemName(f"organisations/{organisation}/systems/{system}")
    return replace(call, principal=replace(call.principal, roles=frozenset(roles), system=name))


def test_only_its_own_and_operators_change_an_organisation() -> None:
    """A stranger may see it, so the refusal says whose it is."""
    ORGANISATION.refuse_stranger(by("citylab", "admin"))
    ORGANISATION.refuse_stranger(by("senatskanzlei", "operator"))
    with pytest.raises(Forbidden) as caught:
        ORGANISATION.refuse_stranger(by("bezirksamt", "admin"))
    assert (caught.value.reason, caught.value.metadata["resource"]) == ("NOT_OWNER", CITYLAB)


def test_every_change_changes_the_etag_and_nothing_else_does() -> None:
    """A change that changes nothing keeps it."""
    assert ORGANISATION.retitled("CityLAB", at=LATER) is ORGANISATION
    changed = ORGANISATION.retitled("CityLAB Berlin", at=LATER)
    assert (changed.revision, changed.update_time) == (2, LATER)
    assert len({ORGANISATION.etag, changed.etag, changed.suspended(call=by("o", "operator"), at=LATER).etag}) == 3
    changed.check("")
    changed.check(changed.etag)
    with pytest.raises(Stale):
        changed.check(ORGANISATION.etag)


def test_suspending_twice_is_suspending_once() -> None:
    """In an emergency somebody presses twice."""
    operator = by("senatskanzlei", "operator")
    for member in (ORGANISATION, SYSTEM):
        suspended = member.suspended(call=operator, at=NOON)
        assert (suspended.state, suspended.suspend_time) == (State.SUSPENDED, NOON)
        assert suspended.suspended(call=operator, at=LATER) is suspended
        resumed = suspended.resumed(at=LATER)
        assert (resumed.state, resumed.resume_time) == (State.ACTIVE, LATER)
        assert resumed.resumed(at=LATER) is resumed


def test_an_operator_cannot_shut_itself_out() -> None:
    """Neither by its organisation nor by its own system; another operator's system it can."""
    operator = by("senatskanzlei", "operator", system="operator")
    own = replace(ORGANISATION, name=OrganisationName("organisations/senatskanzlei"))
    with pytest.raises(StateForbids):
        own.suspended(call=operator, at=NOON)
    name = SystemName("organisations/senatskanzlei/systems/operator")
    system = replace(SYSTEM, name=name, roles=("operator",))
    with pytest.raises(StateForbids):
        system.suspended(call=operator, at=NOON)
    assert replace(system, name=SystemName(f"{name}-2")).suspended(call=operator, at=NOON).state is State.SUSPENDED


def test_a_system_may_suspend_itself() -> None:
    """Whoever lost its key must be able to say so with it."""
    assert SYSTEM.suspended(call=by("citylab", "admin"), at=NOON).state is State.SUSPENDED


def test_a_system_has_one_to_eight_keys() -> None:
    """The ninth is refused, and the last stays."""
    system = SYSTEM
    with pytest.raises(StateForbids) as caught:
        system.without_key(FIRST.kid, at=LATER)
    assert caught.value.type == "LAST_KEY"
    for _ in range(7):
        system = system.with_key(new_key(), at=LATER)
    with pytest.raises(StateForbids) as caught:
        system.with_key(new_key(), at=LATER)
    assert caught.value.type == "KEYS_MAX"
    assert system.without_key(FIRST.kid, at=LATER).keys == system.keys[1:]
    with pytest.raises(Exists):
        system.with_key(FIRST, at=LATER)
    with pytest.raises(Absent):
        system.without_key("unknown", at=LATER)


def test_only_an_operator_gives_the_operators_role() -> None:
    """An administrator of the operator's organisation is none."""
    refuse_giving(["system"], by("citylab", "admin"))
    refuse_giving(["operator"], by("senatskanzlei", "operator"))
    with pytest.raises(Forbidden) as caught:
        refuse_giving(["system", "operator"], by("senatskanzlei", "admin"))
    assert caught.value.reason == "PERMISSION_MISSING"


def test_a_token_is_issued_after_the_suspension_that_ended() -> None:
    """Also within the second in which it ended, which the published revocation still covers."""
    assert issue_time(None, NOON.timestamp() + 0.9) == int(NOON.timestamp())
    resumed = NOON + timedelta(milliseconds=500)
    assert issue_time(resumed, NOON.timestamp() + 0.9) == int(NOON.timestamp()) + 1
    assert issue_time(resumed, NOON.timestamp() + 7) == int(NOON.timestamp()) + 7


def test_a_client_has_its_share_of_every_minute() -> None:
    """One that takes too many does not take from others."""
    allowance = Allowance(2)
    assert [allowance.take("a", now=0), allowance.take("a", now=1), allowance.take("a", now=59)] == [True, True, False]
    assert allowance.take("b", now=59)
    assert allowance.take("a", now=60)
