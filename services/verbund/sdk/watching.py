"""A mailbox as its owner sees it: what waits there, what arrives, and every step of it.

A watch goes on by itself, from where it was: when the service stops, when the token expires, when a worker dies.
"""

import time
from collections.abc import Callable, Iterator, Sequence

import grpc

from verbund.exchange.v1 import delivery_service_pb2 as pb
from verbund.exchange.v1.delivery_service_pb2_grpc import DeliveryServiceStub
from verbund.sdk.calls import PAUSE_SECONDS, broke_off, may_pass, pause_of
from verbund.sdk.deliveries import Deliveries, Named
from verbund.sdk.refusals import Refused

PATIENCE_SECONDS = 600.0
ATTEMPTS_COUNTED = 5  # the pause grows no more after that
ARRIVED = (
    pb.TIMELINE_EVENT_SUBMITTED,
    pb.TIMELINE_EVENT_RELEASED,
    pb.TIMELINE_EVENT_CLAIM_EXPIRED,
)


class Inbox:
    """One mailbox. Iterating gives each delivery that waits to be claimed: those that are there, then what arrives."""

    def __init__(self, channel: grpc.Channel, deliveries: Deliveries, mailbox: str) -> None:
        self._stub = DeliveryServiceStub(channel)
        self._deliveries = deliveries
        self.mailbox = mailbox

    def list(self, *states: pb.DeliveryState.ValueType) -> Iterator[pb.Delivery]:
        """Its deliveries in these states, or all of them; the newest first. Raises Refused."""
        return self._deliveries.list(self.mailbox, states)

    def __iter__(self) -> Iterator[pb.Delivery]:
        """Nothing is missed between the list and the watch: the watch stands first."""
        waiting: list[pb.Delivery] | None = None
        for message in self._messages("", PATIENCE_SECONDS):
            if waiting is None:
                waiting = [*self.list(pb.DELIVERY_STATE_AVAILABLE)]
                yield from reversed(waiting)
            if message.HasField("step") and message.step.entry.event in ARRIVED:
                yield from self._arrived(message.step, [delivery.name for delivery in waiting])

    def _arrived(self, step: pb.DeliveryStep, listed: Sequence[str]) -> Iterator[pb.Delivery]:
        """The delivery that a step brought, unless it was listed already, or somebody was faster."""
        if step.entry.event == pb.TIMELINE_EVENT_SUBMITTED and step.delivery in listed:
            return
        delivery = self._deliveries.get(step.delivery)
        if delivery.state == pb.DELIVERY_STATE_AVAILABLE:
            yield delivery

    def watch(
        self, resume_token: str = "", *, patience_seconds: float = PATIENCE_SECONDS
    ) -> Iterator[pb.WatchDeliveriesResponse]:
        """Each step of each delivery as it happens, once and in order; `step` says what, `resume_token` where to go on.

        Raises Refused where the mesh refuses, or answers nothing for longer than `patience_seconds`.
        """
        return (message for message in self._messages(resume_token, patience_seconds) if message.HasField("step"))

    def _messages(self, resume_token: str, patience_seconds: float) -> Iterator[pb.WatchDeliveriesResponse]:
        return resumed(
            lambda token: self._stub.WatchDeliveries(
                pb.WatchDeliveriesRequest(parent=self.mailbox, resume_token=token)
            ),
            resume_token,
            patience_seconds,
        )

    def claim(self, delivery: Named, *, lease_seconds: int = 0) -> pb.Delivery:
        """Claims a delivery for the caller; nobody else can accept or reject it meanwhile. Raises Refused."""
        return self._deliveries.claim(delivery, lease_seconds=lease_seconds)

    def accept(self, delivery: Named, *, manifest_sha256: str = "") -> pb.Delivery:
        """Accepts a claimed delivery: the receiver answers for it from here on. Raises Refused."""
        return self._deliveries.accept(delivery, manifest_sha256=manifest_sha256)

    def reject(self, delivery: Named, reason: pb.RejectionReason.ValueType, explanation: str) -> pb.Delivery:
        """Rejects a claimed delivery, with what the sender can do about it. Raises Refused."""
        return self._deliveries.reject(delivery, reason, explanation)

    def release(self, delivery: Named) -> pb.Delivery:
        """Gives a claim back. Raises Refused."""
        return self._deliveries.release(delivery)


def resumed(
    open_watch: Callable[[str], Iterator[pb.WatchDeliveriesResponse]], resume_token: str, patience_seconds: float
) -> Iterator[pb.WatchDeliveriesResponse]:
    """The messages of one watch after the other, each from where the last one was."""
    failing_since: float | None = None  # a watch that is only quiet for hours has not failed
    attempt = 0
    while True:
        stream = open_watch(resume_token)
        try:
            for message in stream:
                resume_token = message.resume_token or resume_token
                failing_since, attempt = None, 0
                yield message
            pause = PAUSE_SECONDS  # it ended as it should
        except Refused as refused:
            now = time.monotonic()
            failing_since = now if failing_since is None else failing_since
            if not (may_pass(refused) or broke_off(refused)) or now - failing_since > patience_seconds:
                raise
            attempt = min(attempt + 1, ATTEMPTS_COUNTED)
            pause = pause_of(refused, attempt - 1)
        finally:
            cancel = getattr(stream, "cancel", None)
            if cancel is not None:
                cancel()
        time.sleep(pause)
