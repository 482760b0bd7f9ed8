"""What time does to deliveries: claims end, deliveries expire, old drafts go. Every worker does it, none twice."""

from datetime import timedelta

from verbund.clock import Clock
from verbund.database.database import Database
from verbund.exchange.deliveries.steps import Steps
from verbund.exchange.deliveries.store import DeliveryStore
from verbund.serving.call import Call

BATCH = 50  # deliveries of one transaction
BATCHES_MAX = 100  # of one round; the next round goes on


class Passing:
    """The jobs of time. Each batch is a transaction of its own that skips what others hold."""

    def __init__(
        self, database: Database, deliveries: DeliveryStore, steps: Steps, clock: Clock, *, draft_life: timedelta
    ) -> None:
        self._database = database
        self._deliveries = deliveries
        self._steps = steps
        self._clock = clock
        self._draft_life = draft_life

    def write_due(self) -> None:
        """Writes down which claims and deliveries have ended."""
        for _ in range(BATCHES_MAX):
            call = Call.internal("exchange.due")
            with self._database.transaction(call) as tx:
                at = self._clock()
                due = self._deliveries.lock_due(tx, at, size=BATCH)
                for name in due:
                    delivery = self._deliveries.load(tx, name)
                    self._steps.write(tx, () if delivery is None else delivery.as_of(at), call)
            if len(due) < BATCH:
                return

    def delete_drafts(self) -> None:
        """Deletes the drafts that nobody has changed for long."""
        for _ in range(BATCHES_MAX):
            with self._database.transaction(Call.internal("exchange.drafts")) as tx:
                if self._deliveries.delete_old_drafts(tx, self._clock() - self._draft_life, size=BATCH) < BATCH:
                    return
