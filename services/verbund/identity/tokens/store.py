"""What the token endpoint reads and keeps in PostgreSQL: it acts for the client's organisation and sees no other.

Whose a person's token is stands in the token alone: for that there is one door, the function `identity.sign_in`.
"""

from datetime import datetime

from verbund.database.rows import Rows, Transaction
from verbund.identity.providers.store import mapping_of
from verbund.identity.tokens.domain import Client, Home
from verbund.resources.names import OrganisationName, SystemName

# Everything that a token depends on, in one round trip and one snapshot.
CLIENT = """
    SELECT s.roles, s.keys, s.state = 'active' AND o.state = 'active' AS active,
        greatest(s.resume_time, o.resume_time) AS resume_time,
        (SELECT k.kid FROM identity.signing_keys k WHERE k.state = 'signing') AS signing_kid
    FROM identity.systems s JOIN identity.organisations o ON o.name = s.organisation
    WHERE s.name = %(name)s AND s.organisation = %(organisation)s
"""
HOME = """
    SELECT provider, organisation, mapping, resume_time, signing_kid, person, display_name, email
    FROM identity.sign_in(%(issuer)s, %(audience)s, %(subject)s)
"""
USE = """
    INSERT INTO identity.used_assertions (system, organisation, jti_digest, expire_time)
    VALUES (%(system)s, %(organisation)s, %(jti_digest)s, %(expire_time)s)
    ON CONFLICT DO NOTHING
"""
REVOKE = """
    INSERT INTO identity.revoked_tokens (token_id, organisation, expire_time)
    VALUES (%(token_id)s, %(organisation)s, %(expire_time)s)
    ON CONFLICT DO NOTHING
"""


class TokenStore:
    """Reads clients, and writes what was used and what was revoked; one method, one statement."""

    def client(self, rows: Rows, name: SystemName, organisation: OrganisationName) -> Client:
        """The client of that name; one without keys where there is none, since that proves nothing either."""
        row = rows.one(CLIENT, name=name, organisation=organisation)
        if row is None:
            return Client(name=name, organisation=organisation, keys={})
        keys = {key["kid"]: key["jwk"] for key in row["keys"]}
        return Client(name=name, organisation=organisation, **row | {"roles": tuple(row["roles"]), "keys": keys})

    def home(self, rows: Rows, issuer: str, audience: str, subject: str) -> Home | None:
        """The active provider with this issuer and audience, and the person that it knows by this subject."""
        row = rows.one(HOME, issuer=issuer, audience=audience, subject=subject)
        if row is None:
            return None
        return Home(issuer=issuer, audience=audience, **row | {"mapping": mapping_of(row["mapping"])})

    def use(self, tx: Transaction, client: Client, jti_digest: bytes, *, expire_time: datetime) -> bool:
        """Marks an assertion as used; False where it was before."""
        count = tx.execute(
            USE,
            system=client.name,
            organisation=client.organisation,
            jti_digest=jti_digest,
            expire_time=expire_time,
        )
        return count == 1

    def revoke(self, tx: Transaction, client: Client, token_id: str, *, expire_time: datetime) -> None:
        """Marks a token as revoked."""
        tx.execute(REVOKE, token_id=token_id, organisation=client.organisation, expire_time=expire_time)
