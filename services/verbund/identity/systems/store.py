"""Systems in PostgreSQL. Row-level security hides those of other organisations, in reads and in writes."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import psycopg.errors
from psycopg.types.json import Jsonb

from verbund.database.rows import Rows, Transaction
from verbund.identity.organisations.domain import State
from verbund.identity.systems.domain import Key, System
from verbund.identity.systems.jwk import Jwk
from verbund.resources.names import OrganisationName, SystemName
from verbund.serving.refusals import Absent, Exists

NAME_TAKEN = "systems_pkey"

FIND = """
    SELECT name, organisation, title, roles, keys, state, revision, suspend_time, resume_time, create_time, update_time,
        redirect_uris, post_logout_redirect_uris, public_client
    FROM identity.systems WHERE name = %(name)s
"""
LOCK = """
    SELECT name, organisation, title, roles, keys, state, revision, suspend_time, resume_time, create_time, update_time,
        redirect_uris, post_logout_redirect_uris, public_client
    FROM identity.systems WHERE name = %(name)s FOR UPDATE
"""
LIST = """
    SELECT name, organisation, title, roles, keys, state, revision, suspend_time, resume_time, create_time, update_time,
        redirect_uris, post_logout_redirect_uris, public_client
    FROM identity.systems WHERE organisation = %(organisation)s AND name > %(after)s ORDER BY name LIMIT %(size)s
"""
INSERT = """
    INSERT INTO identity.systems (name, organisation, title, roles, keys, state, revision, create_time, update_time)
    VALUES (%(name)s, %(organisation)s, %(title)s, %(roles)s, %(keys)s, %(state)s, %(revision)s, %(create_time)s,
        %(update_time)s)
"""
SAVE = """
    UPDATE identity.systems
    SET keys = %(keys)s, state = %(state)s, revision = %(revision)s, update_time = %(update_time)s,
        suspend_time = %(suspend_time)s, resume_time = %(resume_time)s, redirect_uris = %(redirect_uris)s,
        post_logout_redirect_uris = %(post_logout_redirect_uris)s, public_client = %(public_client)s
    WHERE name = %(name)s
"""
OPERATORS = """
    SELECT name, organisation, title, roles, keys, state, revision, suspend_time, resume_time, create_time, update_time,
        redirect_uris, post_logout_redirect_uris, public_client
    FROM identity.systems WHERE 'operator' = ANY (roles) ORDER BY name LIMIT 1000
"""
LOCK_OPERATORS = "SELECT pg_advisory_xact_lock(hashtextextended('identity.operators', 0))"


class SystemStore:
    """Reads and writes systems; one method, one statement."""

    def find(self, rows: Rows, name: SystemName) -> System:
        """The system of that name; raises Absent, also where the caller may not see it."""
        return found(rows.one(FIND, name=name), name)

    def lock(self, tx: Transaction, name: SystemName) -> System:
        """The system, kept from others' changes until the transaction ends; raises Absent."""
        return found(tx.one(LOCK, name=name), name)

    def list(self, rows: Rows, organisation: OrganisationName, *, after: str, size: int) -> Sequence[System]:
        """The organisation's systems whose names follow `after`, by name."""
        return [system_of(row) for row in rows.all(LIST, organisation=organisation, after=after, size=size)]

    def insert(self, tx: Transaction, new: System) -> None:
        """A new system; raises Exists where the name is taken."""
        try:
            tx.execute(
                INSERT,
                name=new.name,
                organisation=new.organisation,
                title=new.title,
                roles=list(new.roles),
                keys=keys_row(new.keys),
                state=new.state,
                revision=new.revision,
                create_time=new.create_time,
                update_time=new.update_time,
            )
        except psycopg.errors.UniqueViolation as error:
            if error.diag.constraint_name != NAME_TAKEN:
                raise
            raise Exists(new.name) from error

    def save(self, tx: Transaction, changed: System) -> None:
        """A locked system as it stands after its change."""
        tx.execute(
            SAVE,
            name=changed.name,
            keys=keys_row(changed.keys),
            state=changed.state,
            revision=changed.revision,
            update_time=changed.update_time,
            suspend_time=changed.suspend_time,
            resume_time=changed.resume_time,
            redirect_uris=list(changed.redirect_uris),
            post_logout_redirect_uris=list(changed.post_logout_redirect_uris),
            public_client=changed.public_client,
        )

    def operators(self, rows: Rows) -> Sequence[System]:
        """The systems that run the mesh."""
        return [system_of(row) for row in rows.all(OPERATORS)]

    def lock_operators(self, tx: Transaction) -> None:
        """Lets one transaction at a time look whether there is an operator and make the first."""
        tx.one(LOCK_OPERATORS)


def found(row: dict[str, Any] | None, name: str) -> System:
    """The system in a row; raises Absent where there is none."""
    if row is None:
        raise Absent(name)
    return system_of(row)


def system_of(row: dict[str, Any]) -> System:
    """The system in a row."""
    lists = {name: tuple(row[name]) for name in ("roles", "redirect_uris", "post_logout_redirect_uris")}
    return System(**row | lists | {"state": State(row["state"]), "keys": keys_of(row["keys"])})


def keys_of(stored: list[dict[str, str]]) -> tuple[Key, ...]:
    """The keys that lie in a row."""
    return tuple(Key(Jwk(key["kid"], key["jwk"]), datetime.fromisoformat(key["create_time"])) for key in stored)


def keys_row(keys: tuple[Key, ...]) -> Jsonb:
    """Keys as they lie in a row."""
    return Jsonb(
        [{"kid": key.jwk.kid, "jwk": key.jwk.text, "create_time": key.create_time.isoformat()} for key in keys]
    )
