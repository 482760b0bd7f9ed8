"""Watches of deliveries: each side is told its own, once and in order, over resumption too."""

from typing import Any

from verbund.exchange.timeline.messages import TOKENS
from verbund.exchange.v1 import delivery_service_pb2 as pb
from verbund.feeds.cursors import Cursor, Tokens

from tests.integration.exchange.mesh import Mesh, event_name
from tests.support.members import refused


def take(stream: Any, count: int) -> list[tuple[str, str]]:
    """The next steps: event, and last part of the delivery's name."""
    steps = [next(stream).step for _ in range(count)]
    return [(event_name(step.entry.event), step.delivery.rsplit("/", 1)[-1]) for step in steps]


def test_each_side_is_told_of_its_own(mesh: Mesh) -> None:
    """The sender hears of the draft, the receiver from the submission on, a mailbox of what it received, others
    nothing.
    """
    other = mesh.citylab.open_mailbox("andere")
    own = mesh.district.open_mailbox("eigene")
    with (
        mesh.district.watching() as sender,
        mesh.citylab.watching() as receiver,
        mesh.citylab.watching(parent=mesh.mailbox) as mailbox,
        mesh.stranger.watching() as stranger,
    ):
        mesh.district.send(other, "zuerst")
        mesh.district.send(mesh.mailbox, "auftrag")
        mesh.citylab.claim(f"{mesh.district.organisation}/deliveries/auftrag")
        mesh.stranger.send(own, "fremd")
        first = [("CREATED", "zuerst"), ("DOCUMENT_ADDED", "zuerst"), ("SUBMITTED", "zuerst")]
        second = [("CREATED", "auftrag"), ("DOCUMENT_ADDED", "auftrag"), ("SUBMITTED", "auftrag")]
        claimed, foreign = ("CLAIMED", "auftrag"), ("SUBMITTED", "fremd")
        assert take(sender, 8) == [*first, *second, claimed, foreign]
        assert take(receiver, 3) == [first[-1], second[-1], claimed]
        assert take(mailbox, 2) == [second[-1], claimed]
        assert [event for event, _ in take(stranger, 3)] == ["CREATED", "DOCUMENT_ADDED", "SUBMITTED"]


def test_a_step_says_who_is_next_and_who_acted_to_their_own_only(mesh: Mesh) -> None:
    """The two sides' messages differ in the actor alone."""
    with mesh.district.watching() as sender, mesh.citylab.watching() as receiver:
        mesh.district.send(mesh.mailbox, "a")
        sent = [next(sender).step for _ in range(3)][-1]
        received = next(receiver).step
    assert (sent.entry.actor, received.entry.actor) == (f"{mesh.district.organisation}/systems/test", "")
    assert received.entry.next.action == pb.NEXT_ACTION_CLAIM
    sent.entry.actor = ""
    assert sent == received


def test_a_resumed_watch_misses_nothing(mesh: Mesh) -> None:
    """From any token on, and from the beginning, each step comes once: a receiver never hears of a draft."""
    with mesh.citylab.watching() as stream:
        mesh.district.send(mesh.mailbox, "a")
        token = next(stream).resume_token
    mesh.citylab.claim(f"{mesh.district.organisation}/deliveries/a")
    mesh.district.send(mesh.mailbox, "b")
    with mesh.citylab.watching(token) as resumed:
        assert take(resumed, 2) == [("CLAIMED", "a"), ("SUBMITTED", "b")]
    with mesh.citylab.watching(TOKENS.token_of(Cursor(0, 0))) as beginning:
        assert take(beginning, 3) == [("SUBMITTED", "a"), ("CLAIMED", "a"), ("SUBMITTED", "b")]


def test_a_token_of_another_feed_is_refused(mesh: Mesh) -> None:
    """The registry's tokens, nonsense, and one of a feed that is further on."""
    for wrong in (Tokens("change").token_of(Cursor(1, 1)), "x", TOKENS.token_of(Cursor(2**40, 1))):
        with refused("CURSOR_INVALID"), mesh.citylab.watching(wrong):
            pass


def test_a_deleted_draft_leaves_nothing_to_resume_to(mesh: Mesh) -> None:
    """What went with a draft is not told again."""
    draft = mesh.district.begin(mesh.mailbox, "weg")
    mesh.district.delete(draft.name)
    mesh.district.begin(mesh.mailbox, "da")
    with mesh.district.watching(TOKENS.token_of(Cursor(0, 0))) as stream:
        assert take(stream, 1) == [("CREATED", "da")]
