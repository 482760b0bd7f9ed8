"""Deliveries as callers see them."""

from collections.abc import Iterable

from verbund.exchange.deliveries.domain import Action, Delivery, Document, NextStep, State
from verbund.exchange.v1 import delivery_service_pb2 as pb
from verbund.resources.times import timestamp

STATES = {
    State.DRAFT: pb.DELIVERY_STATE_DRAFT,
    State.AVAILABLE: pb.DELIVERY_STATE_AVAILABLE,
    State.CLAIMED: pb.DELIVERY_STATE_CLAIMED,
    State.ACCEPTED: pb.DELIVERY_STATE_ACCEPTED,
    State.REJECTED: pb.DELIVERY_STATE_REJECTED,
    State.EXPIRED: pb.DELIVERY_STATE_EXPIRED,
    State.WITHDRAWN: pb.DELIVERY_STATE_WITHDRAWN,
}
ACTIONS = {
    Action.SUBMIT: pb.NEXT_ACTION_SUBMIT,
    Action.CLAIM: pb.NEXT_ACTION_CLAIM,
    Action.DECIDE: pb.NEXT_ACTION_DECIDE,
    Action.SEND_ANEW: pb.NEXT_ACTION_SEND_ANEW,
}
STATE_OF = {number: state for state, number in STATES.items()}


def to_proto(delivery: Delivery, organisation: str) -> pb.Delivery:
    """The delivery as one of its organisations sees it."""
    message = pb.Delivery(
        name=delivery.name,
        mailbox=delivery.mailbox,
        subject=delivery.subject,
        message=delivery.message,
        project=delivery.project,
        reference=delivery.reference,
        documents=[document_of(document) for document in delivery.documents_for(organisation)],
        manifest_sha256=delivery.manifest_sha256,
        sender=delivery.sender,
        receiver=delivery.receiver,
        state=STATES[delivery.state],
        next=next_of(delivery.next),
        trace_id=delivery.origin.trace_id,
        etag=delivery.etag,
        create_time=timestamp(delivery.create_time),
        update_time=timestamp(delivery.update_time),
    )
    if delivery.claim is not None and organisation == delivery.receiver:
        message.claim.claimant = delivery.claim.claimant
        message.claim.expire_time.FromDatetime(delivery.claim.expire_time)
    if delivery.rejection is not None:
        message.rejection.reason = pb.RejectionReason.ValueType(delivery.rejection.reason)
        message.rejection.explanation = delivery.rejection.explanation
    if delivery.submit_time is not None:
        message.submit_time.CopyFrom(timestamp(delivery.submit_time))
    return message


def document_of(document: Document) -> pb.Document:
    """A document."""
    return pb.Document(
        name=document.name,
        file_name=document.file_name,
        media_type=document.media_type,
        size_bytes=document.size_bytes,
        sha256=document.sha256,
        create_time=timestamp(document.create_time),
    )


def next_of(step: NextStep | None) -> pb.NextStep | None:
    """Whose turn it is."""
    if step is None:
        return None
    due = None if step.due_time is None else timestamp(step.due_time)
    return pb.NextStep(organisation=step.organisation, action=ACTIONS[step.action], due_time=due)


def states_of(numbers: Iterable[int]) -> list[State]:
    """The states that a list asks for; the proto has them named."""
    return [STATE_OF[pb.DeliveryState.ValueType(number)] for number in numbers]
