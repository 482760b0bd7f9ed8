"""Signing keys and what is revoked, in PostgreSQL: for the jobs that turn and publish them, and for those who sign."""

from datetime import datetime
from typing import Any

from verbund.database.rows import Rows, Transaction
from verbund.identity.keys.domain import KeyState, SigningKey

LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('identity.signing_keys', 0))"
ALL = """
    SELECT kid, jwk, state, create_time, publish_time, sign_time, retire_time
    FROM identity.signing_keys ORDER BY create_time, kid
"""
INSERT = """
    INSERT INTO identity.signing_keys (kid, jwk, sealed_key, state, create_time)
    VALUES (%(kid)s, %(jwk)s, %(sealed_key)s, 'published', %(at)s)
"""
RETIRE = """
    UPDATE identity.signing_keys SET state = 'retired', retire_time = %(at)s WHERE state = 'signing'
"""
SIGN = """
    UPDATE identity.signing_keys SET state = 'signing', sign_time = %(at)s
    WHERE kid = %(kid)s AND state = 'published' AND publish_time IS NOT NULL
"""
DROP = "DELETE FROM identity.signing_keys WHERE kid = ANY (%(kids)s) AND state = 'retired'"
MARK_PUBLISHED = """
    UPDATE identity.signing_keys SET publish_time = %(at)s WHERE kid = ANY (%(kids)s) AND publish_time IS NULL
"""
SEALED = "SELECT sealed_key FROM identity.signing_keys WHERE kid = %(kid)s"
PUBLIC = "SELECT jwk FROM identity.signing_keys WHERE kid = %(kid)s"
# All that is published, as one snapshot. What a suspension ends has expired after `kept_since`.
PUBLISHED = """
    SELECT 'key' AS kind, kid AS value, jwk, state, publish_time AS since, NULL::timestamptz AS until
    FROM identity.signing_keys
    UNION ALL
    SELECT 'jti', token_id, NULL, NULL, NULL, expire_time FROM identity.revoked_tokens WHERE expire_time > %(now)s
    UNION ALL
    SELECT 'sub', subject, NULL, NULL, NULL, expire_time FROM identity.revoked_subjects WHERE expire_time > %(now)s
    UNION ALL
    SELECT 'sid', sid, NULL, NULL, NULL, end_time + (%(now)s - %(kept_since)s) FROM identity.sign_on_grants
    WHERE end_time > %(kept_since)s AND code_use_time IS NOT NULL
    UNION ALL
    SELECT 'idp', name, NULL, state, suspend_time, CASE state WHEN 'active' THEN resume_time END
    FROM identity.providers
    WHERE suspend_time IS NOT NULL AND greatest(suspend_time, resume_time) > %(kept_since)s
    UNION ALL
    SELECT 'sub', name, NULL, state, suspend_time, CASE state WHEN 'active' THEN resume_time END
    FROM identity.systems
    WHERE suspend_time IS NOT NULL AND greatest(suspend_time, resume_time) > %(kept_since)s
    UNION ALL
    SELECT 'org', name, NULL, state, suspend_time, CASE state WHEN 'active' THEN resume_time END
    FROM identity.organisations
    WHERE suspend_time IS NOT NULL AND greatest(suspend_time, resume_time) > %(kept_since)s
    ORDER BY kind, value
"""


class KeyStore:
    """Reads and writes signing keys; one method, one statement."""

    def lock(self, tx: Transaction) -> None:
        """Keeps other workers from turning keys until the transaction ends."""
        tx.one(LOCK)

    def all(self, rows: Rows) -> list[SigningKey]:
        """Every key, oldest first."""
        return [SigningKey(**row | {"state": KeyState(row["state"])}) for row in rows.all(ALL)]

    def insert(self, tx: Transaction, *, kid: str, jwk: str, sealed_key: str, at: datetime) -> None:
        """A new key, to be published."""
        tx.execute(INSERT, kid=kid, jwk=jwk, sealed_key=sealed_key, at=at)

    def retire_signing(self, tx: Transaction, *, at: datetime) -> None:
        """The key that signs so far signs no more."""
        tx.execute(RETIRE, at=at)

    def sign_with(self, tx: Transaction, kid: str, *, at: datetime) -> None:
        """From now on this key signs."""
        tx.execute(SIGN, kid=kid, at=at)

    def drop(self, tx: Transaction, kids: tuple[str, ...]) -> None:
        """Forgets retired keys."""
        tx.execute(DROP, kids=list(kids))

    def mark_published(self, tx: Transaction, kids: list[str], *, at: datetime) -> None:
        """The published file holds these keys since now."""
        tx.execute(MARK_PUBLISHED, kids=kids, at=at)

    def sealed(self, rows: Rows, kid: str) -> str | None:
        """A private key as it lies encrypted."""
        row = rows.one(SEALED, kid=kid)
        return row["sealed_key"] if row else None

    def public(self, rows: Rows, kid: str) -> str | None:
        """A public key's JSON."""
        row = rows.one(PUBLIC, kid=kid)
        return row["jwk"] if row else None

    def published(self, rows: Rows, *, now: datetime, kept_since: datetime) -> list[dict[str, Any]]:
        """All that is to be published. Bounded by the allowance of revocations and by the members of the mesh."""
        return rows.all(PUBLISHED, now=now, kept_since=kept_since)
