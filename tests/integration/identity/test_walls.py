"""The third wall: what PostgreSQL itself lets identity's roles see and do, whatever a statement says."""

from collections.abc import Iterator

import psycopg.errors
import pytest
from verbund.database.database import Database
from verbund.identity.bootstrap import bootstrap
from verbund.resources.names import NOBODY, OrganisationName
from verbund.serving.call import Call

from tests.integration.identity.mesh import System, public

OWN = OrganisationName("organisations/own")
OTHER = OrganisationName("organisations/other")


@pytest.fixture
def service(database_dsn: str) -> Iterator[Database]:
    """The service's role, over two organisations with a system each, one of them suspended."""
    jobs = Database(database_dsn, role="identity_jobs", schema="identity", pool_size=1)
    bootstrap(jobs, organisation="own", title="Own", system="portal", public_key=public(System(OWN).key))
    jobs.close()
    with psycopg.connect(database_dsn, user="postgres") as connection:
        connection.execute(
            "INSERT INTO identity.organisations"
            " SELECT 'organisations/other', title, 'suspended', 1, now(), NULL, now(), now()"
            " FROM identity.organisations"
        )
        connection.execute(
            "INSERT INTO identity.systems"
            " SELECT 'organisations/other/systems/portal', 'organisations/other', title, roles, keys, state, 1,"
            " NULL, NULL, now(), now() FROM identity.systems"
        )
        connection.execute(
            "INSERT INTO identity.used_assertions"
            " VALUES ('organisations/other/systems/portal', 'organisations/other', '', now())"
        )
    database = Database(database_dsn, role="identity_service", schema="identity", pool_size=2)
    yield database
    database.close()


def as_(organisation: OrganisationName) -> Call:
    return Call.internal("test", organisation=organisation)


@pytest.mark.parametrize(
    ("organisation", "organisations", "systems"),
    [(OWN, [OWN], [OWN]), (OTHER, [OTHER, OWN], [OTHER]), (NOBODY, [OWN], [])],
)
def test_who_sees_which_rows(
    service: Database, organisation: OrganisationName, organisations: list[str], systems: list[str]
) -> None:
    """Active organisations are everybody's to see, systems and what they used are their own organisation's."""
    with service.read(as_(organisation)) as rows:
        found = rows.all("SELECT name FROM identity.organisations ORDER BY name")
        assert [row["name"] for row in found] == organisations
        found = rows.all("SELECT organisation FROM identity.systems ORDER BY name")
        assert [row["organisation"] for row in found] == systems
        found = rows.all("SELECT organisation FROM identity.used_assertions")
        assert [row["organisation"] for row in found] == [name for name in systems if name == OTHER]


def test_what_is_not_seen_is_not_changed(service: Database) -> None:
    """An update without a condition changes one's own rows only."""
    with service.transaction(as_(OWN)) as tx:
        assert tx.execute("UPDATE identity.systems SET title = 'changed'") == 1
        assert tx.execute("UPDATE identity.organisations SET title = 'changed'") == 1


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE identity.systems SET organisation = 'organisations/other', name = 'organisations/other/systems/x'",
        "INSERT INTO identity.used_assertions VALUES ('x', 'organisations/other', '', now())",
        "INSERT INTO identity.revoked_tokens VALUES ('x', 'organisations/other', now())",
        "INSERT INTO identity.organisations VALUES ('organisations/x', 'X', 'active', 1, NULL, NULL, now(), now())",
        "DELETE FROM identity.systems",
        "DELETE FROM identity.used_assertions",
        "UPDATE identity.signing_keys SET state = 'signing'",
        "DELETE FROM identity.signing_keys",
        "SELECT leaf FROM evidence.intents",
        "ALTER TABLE identity.systems DISABLE ROW LEVEL SECURITY",
        "SET ROLE identity_owner",
        "SET ROLE identity_jobs",
    ],
)
def test_the_service_cannot(service: Database, statement: str) -> None:
    """Not for another organisation, and not what only jobs, operators or the owner do."""
    with pytest.raises(psycopg.errors.InsufficientPrivilege), service.transaction(as_(OWN)) as tx:
        tx.execute(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE identity.systems SET roles = '{operator}'",
        "DELETE FROM identity.organisations",
        "SET ROLE identity_owner",
    ],
)
def test_the_jobs_cannot(database_dsn: str, statement: str) -> None:
    """They see every row, and change none of the members'."""
    jobs = Database(database_dsn, role="identity_jobs", schema="identity", pool_size=1)
    try:
        with pytest.raises(psycopg.errors.InsufficientPrivilege), jobs.transaction(as_(NOBODY)) as tx:
            tx.execute(statement)
    finally:
        jobs.close()


@pytest.fixture
def people(database_dsn: str, service: Database) -> Database:
    """The service's role, over a provider and a person of each of two organisations."""
    with psycopg.connect(database_dsn, user="postgres") as connection:
        for organisation in (OWN, OTHER):
            connection.execute(
                "INSERT INTO identity.providers VALUES (%(o)s || '/providers/home', %(o)s, 'Home', 'https://' || %(o)s,"
                " 'verbund', '{}', 'active', 1, NULL, NULL, now(), now())",
                {"o": organisation},
            )
            connection.execute(
                "INSERT INTO identity.people VALUES (%(o)s || '/people/a', %(o)s, %(o)s || '/providers/home', 'anna',"
                " 'Anna', 'anna@example.org', now(), now())",
                {"o": organisation},
            )
    return service


def test_people_are_their_own_organisations(people: Database) -> None:
    """For the operator too; providers the operator does see."""
    for operator, providers in (("false", [OWN]), ("true", [OTHER, OWN])):
        with people.transaction(as_(OWN)) as tx:
            tx.one("SELECT set_config('verbund.operator', %(operator)s, true)", operator=operator)
            found = tx.all("SELECT organisation FROM identity.people")
            assert [row["organisation"] for row in found] == [OWN]
            found = tx.all("SELECT organisation FROM identity.providers ORDER BY name")
            assert [row["organisation"] for row in found] == providers
    with people.transaction(as_(OWN)) as tx:
        assert tx.execute("DELETE FROM identity.people") == 1


def test_the_one_door_opens_one_row(people: Database) -> None:
    """By issuer, audience and subject of an active provider of an active organisation; the other one is suspended."""
    ask = "SELECT organisation, person FROM identity.sign_in(%(issuer)s, %(audience)s, %(subject)s)"
    with people.read(as_(NOBODY)) as rows:
        found = rows.all(ask, issuer=f"https://{OWN}", audience="verbund", subject="anna")
        assert found == [{"organisation": OWN, "person": f"{OWN}/people/a"}]
        assert rows.all(ask, issuer=f"https://{OWN}", audience="verbund", subject="x")[0]["person"] is None
        assert not rows.all(ask, issuer=f"https://{OWN}", audience="other", subject="anna")
        assert not rows.all(ask, issuer=f"https://{OTHER}", audience="verbund", subject="anna")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE identity.people SET home_subject = 'berta'",
        "UPDATE identity.people SET name = 'x'",
        "INSERT INTO identity.revoked_subjects VALUES ('x', 'organisations/other', now())",
        "DELETE FROM identity.providers",
    ],
)
def test_the_service_cannot_with_people(people: Database, statement: str) -> None:
    """Nobody's pseudonym is given to another."""
    with pytest.raises(psycopg.errors.InsufficientPrivilege), people.transaction(as_(OWN)) as tx:
        tx.execute(statement)


def test_the_jobs_do_not_know_people(database_dsn: str) -> None:
    """What is published of the erased is their pseudonym."""
    jobs = Database(database_dsn, role="identity_jobs", schema="identity", pool_size=1)
    try:
        with pytest.raises(psycopg.errors.InsufficientPrivilege), jobs.read(as_(NOBODY)) as rows:
            rows.all("SELECT name FROM identity.people")
    finally:
        jobs.close()
