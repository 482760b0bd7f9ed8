"""Organisations in PostgreSQL. Row-level security decides who finds which row."""

from collections.abc import Sequence
from typing import Any

import psycopg.errors

from verbund.database.rows import Rows, Transaction
from verbund.identity.organisations.domain import Organisation, State
from verbund.resources.names import OrganisationName
from verbund.serving.refusals import Absent, Exists

NAME_TAKEN = "organisations_pkey"

FIND = """
    SELECT name, title, state, revision, suspend_time, resume_time, create_time, update_time
    FROM identity.organisations WHERE name = %(name)s
"""
LOCK = """
    SELECT name, title, state, revision, suspend_time, resume_time, create_time, update_time
    FROM identity.organisations WHERE name = %(name)s FOR UPDATE
"""
LIST = """
    SELECT name, title, state, revision, suspend_time, resume_time, create_time, update_time
    FROM identity.organisations WHERE state = 'active' AND name > %(after)s ORDER BY name LIMIT %(size)s
"""
INSERT = """
    INSERT INTO identity.organisations (name, title, state, revision, create_time, update_time)
    VALUES (%(name)s, %(title)s, %(state)s, %(revision)s, %(create_time)s, %(update_time)s)
"""
SAVE = """
    UPDATE identity.organisations
    SET title = %(title)s, state = %(state)s, revision = %(revision)s, update_time = %(update_time)s,
        suspend_time = %(suspend_time)s, resume_time = %(resume_time)s
    WHERE name = %(name)s
"""


class OrganisationStore:
    """Reads and writes organisations; one method, one statement."""

    def find(self, rows: Rows, name: OrganisationName) -> Organisation:
        """The organisation of that name; raises Absent, also where the caller may not see it."""
        return found(rows.one(FIND, name=name), name)

    def lock(self, tx: Transaction, name: OrganisationName) -> Organisation:
        """The organisation, kept from others' changes until the transaction ends; raises Absent."""
        return found(tx.one(LOCK, name=name), name)

    def list(self, rows: Rows, *, after: str, size: int) -> Sequence[Organisation]:
        """The active organisations whose names follow `after`, by name."""
        return [organisation_of(row) for row in rows.all(LIST, after=after, size=size)]

    def insert(self, tx: Transaction, new: Organisation) -> None:
        """A new organisation; raises Exists where the name is taken."""
        try:
            tx.execute(
                INSERT,
                name=new.name,
                title=new.title,
                state=new.state,
                revision=new.revision,
                create_time=new.create_time,
                update_time=new.update_time,
            )
        except psycopg.errors.UniqueViolation as error:
            if error.diag.constraint_name != NAME_TAKEN:
                raise
            raise Exists(new.name) from error

    def save(self, tx: Transaction, changed: Organisation) -> None:
        """A locked organisation as it stands after its change."""
        tx.execute(
            SAVE,
            name=changed.name,
            title=changed.title,
            state=changed.state,
            revision=changed.revision,
            update_time=changed.update_time,
            suspend_time=changed.suspend_time,
            resume_time=changed.resume_time,
        )


def found(row: dict[str, Any] | None, name: str) -> Organisation:
    """The organisation in a row; raises Absent where there is none."""
    if row is None:
        raise Absent(name)
    return organisation_of(row)


def organisation_of(row: dict[str, Any]) -> Organisation:
    """The organisation in a row."""
    return Organisation(**row | {"state": State(row["state"])})
