"""Invitations in PostgreSQL. Row-level security shows them to operators, and one to whoever acts for it."""

from collections.abc import Sequence
from typing import Any

import psycopg.errors

from verbund.database.rows import Rows, Transaction
from verbund.identity.invitations.domain import MISSES_MAX, Invitation, State
from verbund.identity.systems.domain import Key
from verbund.identity.systems.jwk import Jwk
from verbund.resources.names import InvitationName
from verbund.serving.refusals import Absent, StateForbids

KEY_TAKEN = "invitations_key"

FIND = """
    SELECT name, organisation, organisation_title, system, system_title, roles, code_digest, misses, state,
        confirmed_title, kid, jwk, accept_time, creator, revision, expire_time, create_time, update_time
    FROM identity.invitations WHERE name = %(name)s
"""
LOCK = """
    SELECT name, organisation, organisation_title, system, system_title, roles, code_digest, misses, state,
        confirmed_title, kid, jwk, accept_time, creator, revision, expire_time, create_time, update_time
    FROM identity.invitations WHERE name = %(name)s FOR UPDATE
"""
LIST = """
    SELECT name, organisation, organisation_title, system, system_title, roles, code_digest, misses, state,
        confirmed_title, kid, jwk, accept_time, creator, revision, expire_time, create_time, update_time
    FROM identity.invitations WHERE name > %(after)s ORDER BY name LIMIT %(size)s
"""
INSERT = """
    INSERT INTO identity.invitations (name, organisation, organisation_title, system, system_title, roles, code_digest,
        misses, state, creator, revision, expire_time, create_time, update_time)
    VALUES (%(name)s, %(organisation)s, %(organisation_title)s, %(system)s, %(system_title)s, %(roles)s,
        %(code_digest)s, %(misses)s, %(state)s, %(creator)s, %(revision)s, %(expire_time)s, %(create_time)s,
        %(update_time)s)
"""
SAVE = """
    UPDATE identity.invitations
    SET state = %(state)s, confirmed_title = %(confirmed_title)s, kid = %(kid)s, jwk = %(jwk)s,
        accept_time = %(accept_time)s, revision = %(revision)s, expire_time = %(expire_time)s,
        update_time = %(update_time)s
    WHERE name = %(name)s
"""
# The commit of a wrong code waits for no disk: one for an invitation that does not exist has nothing to wait for, and
# how long the refusal takes would tell the two apart.
MISS = """
    UPDATE identity.invitations SET misses = least(misses + 1, %(most)s) WHERE name = %(name)s
    RETURNING set_config('synchronous_commit', 'off', true)
"""
KEY_IN_USE = "SELECT identity.key_in_use(%(kid)s) AS used"


class InvitationStore:
    """Reads and writes invitations; one method, one statement."""

    def find(self, rows: Rows, name: InvitationName) -> Invitation:
        """The invitation of that name; raises Absent."""
        return found(rows.one(FIND, name=name), name)

    def lock(self, tx: Transaction, name: InvitationName) -> Invitation:
        """The invitation, kept from others' changes until the transaction ends; raises Absent."""
        return found(tx.one(LOCK, name=name), name)

    def lock_if_any(self, tx: Transaction, name: InvitationName) -> Invitation | None:
        """The invitation, kept from others' changes until the transaction ends; None where there is none."""
        row = tx.one(LOCK, name=name)
        return None if row is None else invitation_of(row)

    def list(self, rows: Rows, *, after: str, size: int) -> Sequence[Invitation]:
        """The invitations whose names follow `after`, by name."""
        return [invitation_of(row) for row in rows.all(LIST, after=after, size=size)]

    def insert(self, tx: Transaction, new: Invitation) -> None:
        """A new invitation."""
        tx.execute(
            INSERT,
            name=new.name,
            organisation=new.organisation,
            organisation_title=new.organisation_title,
            system=new.system,
            system_title=new.system_title,
            roles=list(new.roles),
            code_digest=new.code_digest,
            misses=new.misses,
            state=new.state,
            creator=new.creator,
            revision=new.revision,
            expire_time=new.expire_time,
            create_time=new.create_time,
            update_time=new.update_time,
        )

    def save(self, tx: Transaction, changed: Invitation) -> None:
        """A locked invitation as it stands after its change; raises StateForbids where its key came in meanwhile."""
        key = changed.key
        try:
            tx.execute(
                SAVE,
                name=changed.name,
                state=changed.state,
                confirmed_title=changed.confirmed_title or None,
                kid=key and key.jwk.kid,
                jwk=key and key.jwk.text,
                accept_time=key and key.create_time,
                revision=changed.revision,
                expire_time=changed.expire_time,
                update_time=changed.update_time,
            )
        except psycopg.errors.UniqueViolation as error:
            if error.diag.constraint_name != KEY_TAKEN:
                raise
            raise key_taken(changed) from error

    def miss(self, tx: Transaction, name: InvitationName) -> None:
        """Counts a wrong code, where there is such an invitation."""
        tx.execute(MISS, name=name, most=MISSES_MAX)

    def key_in_use(self, tx: Transaction, kid: str) -> bool:
        """Whether a system of whatever organisation has the key."""
        row = tx.one(KEY_IN_USE, kid=kid)
        return row is not None and bool(row["used"])


def key_taken(invitation: Invitation) -> StateForbids:
    """The refusal to admit with a key that a system of the mesh has already."""
    description = "Another system has the key that was sent: withdraw the invitation, and make another one."
    return StateForbids(invitation.name, type="KEY_IN_USE", description=description)


def found(row: dict[str, Any] | None, name: str) -> Invitation:
    """The invitation in a row; raises Absent where there is none."""
    if row is None:
        raise Absent(name)
    return invitation_of(row)


def invitation_of(row: dict[str, Any]) -> Invitation:
    """The invitation in a row."""
    stored = dict(row)
    kid, jwk, accept_time = (stored.pop(column) for column in ("kid", "jwk", "accept_time"))
    return Invitation(
        **stored
        | {
            "roles": tuple(row["roles"]),
            "code_digest": bytes(row["code_digest"]),
            "state": State(row["state"]),
            "confirmed_title": row["confirmed_title"] or "",
            "key": Key(Jwk(kid, jwk), accept_time) if kid else None,
        }
    )
