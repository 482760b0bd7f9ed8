"""Answers kept under a request_id are deleted when nobody may ask for them any more."""

from collections.abc import Callable

from verbund.database.database import Database
from verbund.serving.call import Call

BATCH = 1_000
BATCHES_MAX = 100  # a round deletes at most this many batches; the next goes on

SWEEP = """
    DELETE FROM registry.idempotency
    WHERE ctid IN (
        SELECT i.ctid FROM registry.idempotency i
        WHERE i.create_time < now() - make_interval(hours => %(hours)s) LIMIT %(batch)s
    )
"""


def sweep(jobs: Database, *, hours: int) -> Callable[[], None]:
    """The job that deletes answers older than `hours`, in short transactions."""

    def run() -> None:
        for _ in range(BATCHES_MAX):
            with jobs.transaction(Call.internal("registry.idempotency.sweep")) as tx:
                if tx.execute(SWEEP, hours=hours, batch=BATCH) < BATCH:
                    return

    return run
