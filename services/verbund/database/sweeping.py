"""Forgets what has expired, in short transactions, so that no call waits for it."""

from collections.abc import Sequence
from typing import LiteralString

from verbund.database.database import Database
from verbund.serving.call import Call

BATCH = 1_000
BATCHES_MAX = 100  # of one statement in one round; the next round goes on
# The answers to requests that were made 48 hours ago (AIP-155): every schema has this table.
ANSWERS = """
    DELETE FROM {schema}.idempotency WHERE (organisation, caller, method, request_id) IN (
        SELECT organisation, caller, method, request_id FROM {schema}.idempotency
        WHERE create_time < now() - interval '48 hours' LIMIT %(limit)s)
"""


def old_answers(schema: LiteralString) -> LiteralString:
    """The statement that forgets a schema's old answers."""
    return ANSWERS.format(schema=schema)


class Sweep:
    """A job that runs each statement until it deletes nothing more. A statement deletes `LIMIT %(limit)s` rows."""

    def __init__(self, database: Database, name: str, statements: Sequence[LiteralString]) -> None:
        self._database = database
        self._name = name
        self._statements = statements

    def run(self) -> None:
        """One round."""
        for statement in self._statements:
            for _ in range(BATCHES_MAX):
                with self._database.transaction(Call.internal(self._name)) as tx:
                    if tx.execute(statement, limit=BATCH) < BATCH:
                        break
