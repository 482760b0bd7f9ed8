"""The way of a delivery: no sequence of events leaves the graph, and what has ended stays so."""

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from verbund.exchange.deliveries.domain import (
    ENDED,
    GRAPH,
    OF_DRAFTS,
    OF_TIME,
    Action,
    Delivery,
    Document,
    Draft,
    Event,
    Origin,
    Rejection,
    State,
    Step,
    begun,
    manifest_of,
)
from verbund.exchange.mailboxes.domain import Mailbox, takes_type
from verbund.exchange.timeline.domain import TimelineEntry
from verbund.resources.names import DocumentName, MailboxName, OrganisationName
from verbund.serving.call import Call
from verbund.serving.refusals import Refusal

SENDER, RECEIVER = OrganisationName("organisations/a"), OrganisationName("organisations/b")
MAILBOX_NAME = MailboxName("organisations/b/mailboxes/post")
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
LEASE = timedelta(hours=1)
MAILBOX = Mailbox(
    name=MAILBOX_NAME, organisation=RECEIVER, title="Post", revision=1, create_time=START, update_time=START
)


def draft() -> Delivery:
    """A delivery that was just begun."""
    stated = Draft(mailbox=MAILBOX_NAME, subject="x", message="", project="", reference="")
    return begun(SENDER, "d", stated, origin=Origin(), at=START)


def document(document_id: str, content: bytes = b"") -> Document:
    """A document of it."""
    return Document(
        name=DocumentName(f"organisations/a/deliveries/d/documents/{document_id}"),
        file_name="x.pdf",
        media_type="application/pdf",
        size_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        create_time=START,
    )


Try = Callable[[Delivery, str, datetime], Delivery]
TRIES: dict[str, Try] = {
    "add": lambda delivery, _, at: delivery.with_document(document("d0"), documents_max=3, at=at),
    "remove": lambda delivery, _, at: delivery.without_document(document("d0").name, at=at),
    "submit": lambda delivery, _, at: delivery.submitted(MAILBOX, at=at),
    "claim": lambda delivery, by, at: delivery.claimed(by, lease=LEASE, at=at),
    "release": lambda delivery, by, at: delivery.released(by, at=at),
    "accept": lambda delivery, by, at: delivery.accepted(by, at=at),
    "reject": lambda delivery, by, at: delivery.rejected(by, Rejection(1, "x"), at=at),
    "withdraw": lambda delivery, _, at: delivery.withdrawn(at=at),
}
MOVES = st.tuples(
    st.sampled_from(sorted(TRIES)), st.sampled_from(["x", "y"]), st.sampled_from([0, 1, 50 * 60, 2 * 86400, 20 * 86400])
)


@settings(max_examples=400, deadline=None)
@given(st.lists(MOVES, max_size=25))
def test_no_sequence_of_events_leaves_the_graph(moves: list[tuple[str, str, int]]) -> None:
    """Whatever is tried, by whom and when: each step is one of the graph, or a refusal that changes nothing."""
    delivery, at = draft(), START
    accepted = rejected = 0
    for what, by, seconds in moves:
        at += timedelta(seconds=seconds)
        for step in delivery.as_of(at):
            origins, target = GRAPH[step.event]
            assert step.event in OF_TIME
            assert (delivery.state in origins, step.delivery.state) == (True, target)
            delivery = step.delivery
        before = delivery
        try:
            delivery = TRIES[what](delivery, by, at)
        except Refusal:
            continue
        ways = {(origin, target) for origins, target in GRAPH.values() for origin in origins}
        assert (before.state, delivery.state) in ways
        assert before.state not in ENDED
        assert delivery.revision > before.revision
        accepted += delivery.state is State.ACCEPTED
        rejected += delivery.state is State.REJECTED
        holds_together(delivery, at)
        if what in {"accept", "reject", "release"}:
            assert before.claim is not None
            assert (before.claim.claimant, before.claim.expire_time > at) == (by, True)
    assert accepted + rejected <= 1


def holds_together(delivery: Delivery, at: datetime) -> None:
    """What must be true of every delivery."""
    assert (delivery.claim is not None) == (delivery.state is State.CLAIMED)
    assert (delivery.submit_time is None) == (delivery.state is State.DRAFT)
    assert (delivery.rejection is not None) == (delivery.state is State.REJECTED)
    assert RECEIVER in delivery.parties or delivery.state is State.DRAFT
    assert SENDER in delivery.parties
    step = delivery.next
    match delivery.state:
        case State.ACCEPTED | State.WITHDRAWN:
            assert step is None
        case State.DRAFT | State.REJECTED | State.EXPIRED:
            assert step is not None
            assert (step.organisation, step.due_time) == (SENDER, None)
        case _:
            assert step is not None
            assert step.organisation == RECEIVER
            assert step.due_time is not None
            assert step.due_time >= at


def test_what_has_ended_has_no_way_out() -> None:
    """No event leads out of an ended state, every other one can end, and every state can be reached."""
    left = {origin for origins, _ in GRAPH.values() for origin in origins}
    assert left | set(ENDED) == set(State)
    assert not left & set(ENDED)
    reached = {State.DRAFT} | {target for _, target in GRAPH.values()}
    assert reached == set(State)
    assert set(GRAPH) | {Event.CREATED} == set(Event)


def test_time_takes_its_steps_in_order() -> None:
    """A claim ends, the next one has a day, and then it expires; nothing happens before its time."""
    delivery = draft().with_document(document("d"), documents_max=1, at=START).submitted(MAILBOX, at=START)
    late = START + timedelta(days=14) - timedelta(minutes=1)
    claimed = delivery.claimed("x", lease=LEASE, at=late)
    assert claimed.as_of(late + LEASE - timedelta(seconds=1)) == ()
    (step,) = claimed.as_of(late + LEASE)
    assert (step.event, step.delivery.state) == (Event.CLAIM_EXPIRED, State.AVAILABLE)
    assert step.delivery.due_time == late + LEASE + timedelta(days=1)
    (last,) = step.delivery.as_of(late + LEASE + timedelta(days=1))
    assert (last.event, last.delivery.state) == (Event.EXPIRED, State.EXPIRED)
    assert last.delivery.next is not None
    assert last.delivery.next.action is Action.SEND_ANEW
    assert last.delivery.as_of(late + timedelta(days=400)) == ()


def test_the_manifest_is_what_sha256sum_prints() -> None:
    """Two spaces, ids as file names, in the order of the names, each line ended."""
    one, two = document("a", b"1"), document("b", b"2")
    printed = f"{hashlib.sha256(b'1').hexdigest()}  a\n{hashlib.sha256(b'2').hexdigest()}  b\n"
    assert manifest_of([two, one]) == hashlib.sha256(printed.encode()).hexdigest()


@pytest.mark.parametrize("event", list(Event))
def test_what_happens_to_a_draft_is_told_to_its_sender_alone(event: Event) -> None:
    """Entries of the draft stay the sender's own also when the receiver knows the delivery."""
    before = draft().with_document(document("d"), documents_max=1, at=START)
    delivery = before if event in OF_DRAFTS else before.submitted(MAILBOX, at=START)
    entry = TimelineEntry.of(Step(event, delivery, START), Call.internal("x", organisation=SENDER))
    assert (RECEIVER in entry.parties) == entry.received == (event not in OF_DRAFTS)
    assert bool(entry.organisation) == bool(entry.actor) == (event not in OF_TIME)


@pytest.mark.parametrize(
    ("accepted", "given_type", "taken"),
    [
        ((), "text/html", True),
        (("application/pdf",), "application/pdf", True),
        (("application/pdf",), "Application/PDF; version=1.7", True),
        (("application/pdf",), "application/pdfx", False),
        (("image/*",), "image/png", True),
        (("image/*",), "imagex/png", False),
        (("image/*",), "image", False),
        (("application/pdf",), "", False),
    ],
)
def test_a_mailbox_takes_the_types_it_names(accepted: tuple[str, ...], given_type: str, *, taken: bool) -> None:
    """Parameters and upper case make no difference, and a prefix is no match."""
    assert takes_type(accepted, given_type) == taken


def test_a_document_more_than_there_may_be_is_refused() -> None:
    """The bound holds for drafts of any age."""
    delivery = draft().with_document(document("a"), documents_max=1, at=START)
    with pytest.raises(Refusal):
        delivery.with_document(document("b"), documents_max=1, at=START)
