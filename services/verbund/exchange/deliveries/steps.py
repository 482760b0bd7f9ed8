"""How every step of a delivery is written: its state, its timeline entry and its evidence intent commit together."""

from collections.abc import Sequence

from verbund.database.rows import Transaction
from verbund.exchange.deliveries.domain import OF_DRAFTS, Step
from verbund.exchange.deliveries.store import DeliveryStore
from verbund.exchange.timeline.domain import TimelineEntry
from verbund.exchange.timeline.store import TimelineStore
from verbund.serving.call import Call


class Steps:
    """Writes what happened to a locked delivery."""

    def __init__(self, deliveries: DeliveryStore, timeline: TimelineStore) -> None:
        self._deliveries = deliveries
        self._timeline = timeline

    def begin(self, tx: Transaction, step: Step, call: Call) -> None:
        """The first step of a new delivery; raises Exists."""
        self._deliveries.insert(tx, step.delivery)
        self._timeline.record(tx, TimelineEntry.of(step, call))

    def write(self, tx: Transaction, steps: Sequence[Step], call: Call) -> None:
        """Some steps of one delivery, in order. The log is owed a leaf of each but those of drafts, which only their
        sender knows.
        """
        for step in steps:
            self._timeline.record(tx, TimelineEntry.of(step, call))
            if step.event not in OF_DRAFTS:
                delivery = step.delivery
                digest = bytes.fromhex(delivery.manifest_sha256)
                tx.intend(f"exchange.delivery.{step.event}", delivery.name, digest, delivery.parties)
        if steps:
            self._deliveries.save(tx, steps[-1].delivery)
