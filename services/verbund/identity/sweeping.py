"""Forgets what has expired: used assertions, revoked tokens, answers to repeated requests."""

from typing import LiteralString

from verbund.database.database import Database
from verbund.serving.call import Call

BATCH = 5000
BATCHES_MAX = 20
STATEMENTS: tuple[LiteralString, ...] = (
    """
    DELETE FROM identity.used_assertions WHERE (system, jti_digest) IN (
        SELECT system, jti_digest FROM identity.used_assertions
        WHERE expire_time < now() LIMIT %(limit)s)
    """,
    """
    DELETE FROM identity.revoked_tokens WHERE token_id IN (
        SELECT token_id FROM identity.revoked_tokens
        WHERE expire_time < now() LIMIT %(limit)s)
    """,
    """
    DELETE FROM identity.idempotency WHERE (organisation, caller, method, request_id) IN (
        SELECT organisation, caller, method, request_id FROM identity.idempotency
        WHERE create_time < now() - interval '48 hours' LIMIT %(limit)s)
    """,
)


class Sweep:
    """Deletes in bounded batches, each a transaction of its own, so that no call waits for it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def run(self) -> None:
        """One round over every table."""
        for statement in STATEMENTS:
            for _ in range(BATCHES_MAX):
                with self._database.transaction(Call.internal("identity.sweep")) as tx:
                    if tx.execute(statement, limit=BATCH) < BATCH:
                        break
