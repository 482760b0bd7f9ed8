"""People in PostgreSQL. Row-level security hides those of other organisations, from the operator too."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from verbund.database.rows import Rows, Transaction
from verbund.identity.people.domain import Person
from verbund.resources.names import OrganisationName, PersonName
from verbund.serving.refusals import Absent

FIND = """
    SELECT name, organisation, provider, home_subject, display_name, email, create_time, update_time
    FROM identity.people WHERE name = %(name)s
"""
LIST = """
    SELECT name, organisation, provider, home_subject, display_name, email, create_time, update_time
    FROM identity.people WHERE organisation = %(organisation)s AND name > %(after)s ORDER BY name LIMIT %(size)s
"""
# Whoever signs in at two places at once for the first time is one person.
KEEP = """
    INSERT INTO identity.people (name, organisation, provider, home_subject, display_name, email, create_time,
        update_time)
    VALUES (%(name)s, %(organisation)s, %(provider)s, %(home_subject)s, %(display_name)s, %(email)s, %(create_time)s,
        %(update_time)s)
    ON CONFLICT ON CONSTRAINT people_home
    DO UPDATE SET display_name = EXCLUDED.display_name, email = EXCLUDED.email, update_time = EXCLUDED.update_time
    RETURNING name
"""
ERASE = "DELETE FROM identity.people WHERE name = %(name)s"
REVOKE = """
    INSERT INTO identity.revoked_subjects (subject, organisation, expire_time)
    VALUES (%(subject)s, %(organisation)s, %(expire_time)s)
"""


class PersonStore:
    """Reads and writes people; one method, one statement."""

    def find(self, rows: Rows, name: PersonName) -> Person:
        """The person of that name; raises Absent, also where the caller may not see them."""
        row = rows.one(FIND, name=name)
        if row is None:
            raise Absent(name)
        return person_of(row)

    def list(self, rows: Rows, organisation: OrganisationName, *, after: str, size: int) -> Sequence[Person]:
        """The organisation's people whose names follow `after`, by name."""
        return [person_of(row) for row in rows.all(LIST, organisation=organisation, after=after, size=size)]

    def keep(self, tx: Transaction, person: Person) -> PersonName:
        """A person as they are described now: a new one, or one who was there, whose name stays; their name."""
        row = tx.one(
            KEEP,
            name=person.name,
            organisation=person.organisation,
            provider=person.provider,
            home_subject=person.home_subject,
            display_name=person.display_name,
            email=person.email,
            create_time=person.create_time,
            update_time=person.update_time,
        )
        assert row is not None
        return PersonName(row["name"])

    def erase(self, tx: Transaction, name: PersonName) -> None:
        """Forgets who a person is; raises Absent, also where the caller may not see them."""
        if not tx.execute(ERASE, name=name):
            raise Absent(name)

    def revoke(self, tx: Transaction, name: PersonName, organisation: OrganisationName, until: datetime) -> None:
        """Marks every token of a person as revoked, until the last has expired."""
        tx.execute(REVOKE, subject=name, organisation=organisation, expire_time=until)


def person_of(row: dict[str, Any]) -> Person:
    """The person in a row."""
    return Person(**row)
