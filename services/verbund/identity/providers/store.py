"""Providers in PostgreSQL. Row-level security hides those of other organisations, in reads and in writes."""

from collections.abc import Sequence
from typing import Any

import psycopg.errors
from psycopg.types.json import Jsonb

from verbund.database.rows import Rows, Transaction
from verbund.identity.providers.domain import ClaimMapping, Provider, State, domain_taken, taken
from verbund.resources.names import OrganisationName, ProviderName
from verbund.serving.refusals import Absent, Exists

NAME_TAKEN = "providers_pkey"
ISSUER_TAKEN = "providers_trusted"

FIND = """
    SELECT name, organisation, title, issuer, audience, mapping, email_domains, state, revision, suspend_time,
        resume_time, create_time, update_time
    FROM identity.providers WHERE name = %(name)s
"""
LOCK = """
    SELECT name, organisation, title, issuer, audience, mapping, email_domains, state, revision, suspend_time,
        resume_time, create_time, update_time
    FROM identity.providers WHERE name = %(name)s FOR UPDATE
"""
LIST = """
    SELECT name, organisation, title, issuer, audience, mapping, email_domains, state, revision, suspend_time,
        resume_time, create_time, update_time
    FROM identity.providers WHERE organisation = %(organisation)s AND name > %(after)s ORDER BY name LIMIT %(size)s
"""
INSERT = """
    INSERT INTO identity.providers (name, organisation, title, issuer, audience, mapping, email_domains, state,
        revision, create_time, update_time)
    VALUES (%(name)s, %(organisation)s, %(title)s, %(issuer)s, %(audience)s, %(mapping)s, %(email_domains)s, %(state)s,
        %(revision)s, %(create_time)s, %(update_time)s)
"""
SAVE = """
    UPDATE identity.providers
    SET title = %(title)s, issuer = %(issuer)s, audience = %(audience)s, mapping = %(mapping)s,
        email_domains = %(email_domains)s, state = %(state)s, revision = %(revision)s, update_time = %(update_time)s,
        suspend_time = %(suspend_time)s, resume_time = %(resume_time)s
    WHERE name = %(name)s
"""
COUNT = "SELECT count(*) AS number FROM identity.providers WHERE organisation = %(organisation)s"
DOMAIN_TAKEN = "SELECT identity.email_domain_taken(%(email_domains)s, %(organisation)s) AS taken"


class ProviderStore:
    """Reads and writes providers; one method, one statement."""

    def find(self, rows: Rows, name: ProviderName) -> Provider:
        """The provider of that name; raises Absent, also where the caller may not see it."""
        return found(rows.one(FIND, name=name), name)

    def lock(self, tx: Transaction, name: ProviderName) -> Provider:
        """The provider, kept from others' changes until the transaction ends; raises Absent."""
        return found(tx.one(LOCK, name=name), name)

    def list(self, rows: Rows, organisation: OrganisationName, *, after: str, size: int) -> Sequence[Provider]:
        """The organisation's providers whose names follow `after`, by name."""
        return [provider_of(row) for row in rows.all(LIST, organisation=organisation, after=after, size=size)]

    def count(self, tx: Transaction, organisation: OrganisationName) -> int:
        """How many providers an organisation has."""
        row = tx.one(COUNT, organisation=organisation)
        return int(row["number"]) if row else 0

    def refuse_taken_domains(self, tx: Transaction, changed: Provider) -> None:
        """Raises StateForbids where an active provider of another organisation has a domain of this one.

        Until the transaction ends, nobody else's change of an active provider's domains comes in between.
        """
        row = tx.one(DOMAIN_TAKEN, email_domains=list(changed.email_domains), organisation=changed.organisation)
        if row is None or row["taken"]:
            raise domain_taken(changed.name)

    def insert(self, tx: Transaction, new: Provider) -> None:
        """A new provider; raises Exists where the name is taken."""
        try:
            tx.execute(
                INSERT,
                name=new.name,
                organisation=new.organisation,
                title=new.title,
                issuer=new.issuer,
                audience=new.audience,
                mapping=mapping_row(new.mapping),
                email_domains=list(new.email_domains),
                state=new.state,
                revision=new.revision,
                create_time=new.create_time,
                update_time=new.update_time,
            )
        except psycopg.errors.UniqueViolation as error:
            if error.diag.constraint_name != NAME_TAKEN:
                raise
            raise Exists(new.name) from error

    def save(self, tx: Transaction, changed: Provider) -> None:
        """A locked provider as it stands after its change; raises StateForbids where another has its issuer."""
        try:
            tx.execute(
                SAVE,
                name=changed.name,
                title=changed.title,
                issuer=changed.issuer,
                audience=changed.audience,
                mapping=mapping_row(changed.mapping),
                email_domains=list(changed.email_domains),
                state=changed.state,
                revision=changed.revision,
                update_time=changed.update_time,
                suspend_time=changed.suspend_time,
                resume_time=changed.resume_time,
            )
        except psycopg.errors.UniqueViolation as error:
            if error.diag.constraint_name != ISSUER_TAKEN:
                raise
            raise taken(changed.name) from error


def found(row: dict[str, Any] | None, name: str) -> Provider:
    """The provider in a row; raises Absent where there is none."""
    if row is None:
        raise Absent(name)
    return provider_of(row)


def provider_of(row: dict[str, Any]) -> Provider:
    """The provider in a row."""
    read = {"state": State(row["state"]), "mapping": mapping_of(row["mapping"])}
    return Provider(**row | read | {"email_domains": tuple(row["email_domains"])})


def mapping_of(stored: dict[str, Any]) -> ClaimMapping:
    """The mapping that lies in a row."""
    return ClaimMapping(
        name_claim=stored["name_claim"],
        email_claim=stored["email_claim"],
        roles_claim=stored["roles_claim"],
        roles={value: tuple(roles) for value, roles in stored["roles"]},
        default_roles=tuple(stored["default_roles"]),
        assurances=dict(stored["assurances"]),
        required_claims=stored["required_claims"],
    )


def mapping_row(mapping: ClaimMapping) -> Jsonb:
    """A mapping as it lies in a row."""
    return Jsonb(
        {
            "name_claim": mapping.name_claim,
            "email_claim": mapping.email_claim,
            "roles_claim": mapping.roles_claim,
            "roles": list(mapping.roles.items()),  # in their order, which objects would lose
            "default_roles": mapping.default_roles,
            "assurances": list(mapping.assurances.items()),
            "required_claims": mapping.required_claims,
        }
    )
