"""The third wall of invitations: what PostgreSQL lets whom see and change, whatever a statement says."""

import dataclasses
from collections.abc import Iterator

import psycopg.errors
import pytest
from verbund.database.database import Database
from verbund.identity.invitations.domain import MISSES_MAX, Invitation, new_code
from verbund.identity.invitations.servicer import acting_for
from verbund.identity.invitations.store import InvitationStore
from verbund.resources.names import InvitationName, OrganisationName
from verbund.serving.call import Call

from tests.integration.identity.inviting import Invitations
from tests.integration.identity.mesh import Mesh

SEEN = "SELECT name FROM identity.invitations ORDER BY name"


@pytest.fixture(scope="module")
def pair(invitations: Invitations) -> list[str]:
    """Two invitations, by name, of which the first is accepted."""
    made = [invitations.make(), invitations.make()]
    invitations.accept(made[0])
    return [invitation.name for invitation in made]


@pytest.fixture
def service(mesh: Mesh) -> Iterator[Database]:
    """The service's role."""
    database = Database(mesh.dsn, role="identity_service", schema="identity", pool_size=2)
    yield database
    database.close()


def of(organisation: str, *roles: str) -> Call:
    """A call by an organisation."""
    call = Call.internal("test", organisation=OrganisationName(organisation))
    return dataclasses.replace(call, principal=dataclasses.replace(call.principal, roles=frozenset(roles)))


def accepting(name: str) -> Call:
    """A call by somebody who has no token and names an invitation."""
    return acting_for(InvitationName(name), of(""))


def test_operators_see_invitations_and_nobody_else(service: Database, pair: list[str]) -> None:
    """Not even the organisation that they are for; who accepts sees the one that the call names."""
    for call, expected in (
        (of("organisations/senatskanzlei", "operator"), sorted(pair)),
        (of("organisations/senatskanzlei", "admin"), []),
        (of(""), []),
        (accepting(pair[1]), [pair[1]]),
        (accepting("invitations/%"), []),
    ):
        with service.read(call) as rows:
            assert [row["name"] for row in rows.all(SEEN)] == expected


@pytest.mark.parametrize(
    "statement",
    [
        (
            "UPDATE identity.invitations SET state = 'admitted', kid = 'k', jwk = '{}', confirmed_title = 't',"
            " accept_time = now()"
        ),
        "UPDATE identity.invitations SET roles = '{admin}'",
        "UPDATE identity.invitations SET code_digest = sha256('')",
        "UPDATE identity.invitations SET organisation = 'organisations/x', system = 'organisations/x/systems/y'",
        "UPDATE identity.invitations SET creator = 'x'",
        "DELETE FROM identity.invitations",
        (
            "INSERT INTO identity.invitations SELECT 'invitations/x', organisation, organisation_title, system,"
            " system_title, roles, code_digest, misses, state, NULL, NULL, NULL, NULL, creator, revision, expire_time,"
            " create_time, update_time FROM identity.invitations"
        ),
        "INSERT INTO identity.organisations VALUES ('organisations/x', 'X', 'active', 1, NULL, NULL, now(), now())",
    ],
)
def test_who_accepts_cannot(service: Database, pair: list[str], statement: str) -> None:
    """Admit itself, change what was offered, or make anything."""
    with pytest.raises(psycopg.errors.InsufficientPrivilege), service.transaction(accepting(pair[1])) as tx:
        tx.execute(statement)


def test_who_accepts_changes_one(service: Database, pair: list[str]) -> None:
    """An update without a condition too."""
    with service.transaction(accepting(pair[1])) as tx:
        assert tx.execute("UPDATE identity.invitations SET misses = misses") == 1


def test_whether_a_key_is_used_is_all_that_is_told(service: Database, mesh: Mesh, pair: list[str]) -> None:
    """Of systems, to whoever cannot see any."""
    with service.transaction(accepting(pair[1])) as tx:
        assert InvitationStore().key_in_use(tx, mesh.operator.key.thumbprint())
        assert not InvitationStore().key_in_use(tx, "unknown")
        assert tx.all("SELECT name FROM identity.systems") == []


def test_a_wrong_code_waits_for_no_disk(service: Database, pair: list[str]) -> None:
    """Its refusal would take longer than that of an invitation that does not exist. It is counted up to the limit."""
    name = InvitationName(pair[1])
    for count in range(1, MISSES_MAX + 3):
        with service.transaction(acting_for(name, of(""))) as tx:
            InvitationStore().miss(tx, name)
            assert tx.one("SHOW synchronous_commit") == {"synchronous_commit": "off"}
        with service.read(acting_for(name, of(""))) as rows:
            assert InvitationStore().find(rows, name).misses == min(count, MISSES_MAX)


def test_what_is_written_is_read(service: Database, pair: list[str]) -> None:
    """Every field of an invitation, at every stage."""
    operator, store = of("organisations/senatskanzlei", "operator"), InvitationStore()
    with service.read(operator) as rows:
        accepted, new = (store.find(rows, InvitationName(name)) for name in pair)
    assert accepted.key is not None
    assert new.key is None
    made = Invitation.made(
        new.organisation,
        new.organisation_title,
        system=new.system,
        system_title=new.system_title,
        roles=new.roles,
        code=new_code(),
        creator=new.creator,
        expire_time=new.expire_time,
        at=new.create_time,
    )
    changed = made.accepted(accepted.key.jwk, "Confirmed", call=operator, at=new.create_time)
    with service.transaction(operator) as tx:
        store.insert(tx, made)
        assert store.lock(tx, made.name) == made
        store.save(tx, changed)
        assert store.lock(tx, made.name) == changed
