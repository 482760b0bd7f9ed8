"""Deliveries over the wire: the whole way, who may take which step, and that each has one effect."""

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import grpc
import pytest
from verbund.database.database import Database
from verbund.exchange.deliveries.store import DeliveryStore, Place, Wanted
from verbund.exchange.mailboxes.store import MailboxStore
from verbund.exchange.v1 import delivery_service_pb2 as pb
from verbund.exchange.v1 import mailbox_service_pb2 as mailboxes
from verbund.resources.names import MailboxName
from verbund.sdk.refusals import Refused
from verbund.serving.call import Call

from tests.integration.exchange.mesh import Mesh, event_name, intended, running, state_name
from tests.support.members import fields_of, new_id, refused


def test_a_delivery_goes_its_whole_way(mesh: Mesh) -> None:
    """Begun, filled, submitted, claimed, accepted: each step is in the timeline, the submitted ones in the log."""
    draft = mesh.district.begin(mesh.mailbox, "auftrag", message="Bitte prüfen.", reference="IT-7/2026")
    assert (draft.sender, draft.receiver) == (mesh.district.organisation, mesh.citylab.organisation)
    assert (state_name(draft), draft.next.action) == ("DRAFT", pb.NEXT_ACTION_SUBMIT)
    second = mesh.district.add_document(draft.name, "zz", content=b"two")
    first = mesh.district.add_document(draft.name, "aa", content=b"one")
    submitted = mesh.district.submit(draft.name)
    lines = f"{first.sha256}  aa\n{second.sha256}  zz\n"
    assert submitted.manifest_sha256 == hashlib.sha256(lines.encode()).hexdigest()
    assert [document.name for document in submitted.documents] == [first.name, second.name]
    assert (submitted.next.organisation, submitted.next.action) == (mesh.citylab.organisation, pb.NEXT_ACTION_CLAIM)
    due = submitted.next.due_time.ToDatetime(UTC) - submitted.submit_time.ToDatetime(UTC)
    assert due.days == 14
    claimed = mesh.citylab.claim(draft.name)
    assert claimed.claim.claimant == f"{mesh.citylab.organisation}/systems/test"
    assert claimed.next.due_time == claimed.claim.expire_time
    accepted = mesh.citylab.accept(draft.name, manifest_sha256=submitted.manifest_sha256)
    assert state_name(accepted) == "ACCEPTED"
    assert not accepted.HasField("next")
    assert not accepted.HasField("claim")
    steps = ["SUBMITTED", "CLAIMED", "ACCEPTED"]
    assert mesh.citylab.events(draft.name) == steps
    assert mesh.district.events(draft.name) == ["CREATED", "DOCUMENT_ADDED", "DOCUMENT_ADDED", *steps]
    assert intended(mesh.dsn, draft.name) == [f"exchange.delivery.{step.lower()}" for step in steps]


def test_a_rejection_says_why_and_who_is_next(mesh: Mesh) -> None:
    """The sender reads reason and words, and that it is their turn."""
    sent = mesh.district.send(mesh.mailbox)
    mesh.citylab.claim(sent.name)
    mesh.citylab.reject(sent.name, "Anlage 2 fehlt.")
    seen = mesh.district.get(sent.name)
    assert seen.rejection == pb.Rejection(reason=pb.REJECTION_REASON_INCOMPLETE, explanation="Anlage 2 fehlt.")
    assert seen.next == pb.NextStep(organisation=mesh.district.organisation, action=pb.NEXT_ACTION_SEND_ANEW)


def test_who_acted_is_told_to_their_own_organisation_only(mesh: Mesh) -> None:
    """The other side sees which organisation acted, not who in it, and not who holds the claim."""
    sent = mesh.district.send(mesh.mailbox)
    mesh.citylab.claim(sent.name)
    assert not mesh.district.get(sent.name).HasField("claim")
    for member, other in ((mesh.district, mesh.citylab), (mesh.citylab, mesh.district)):
        for entry in member.timeline(sent.name).timeline_entries:
            assert bool(entry.actor) == (entry.organisation == member.organisation)
            assert entry.organisation in {member.organisation, other.organisation}


@pytest.mark.parametrize(
    "step", ["get", "timeline", "submit", "withdraw", "claim", "release", "accept", "reject", "delete"]
)
@pytest.mark.parametrize("stage", ["draft", "submitted"])
def test_a_stranger_finds_nothing(mesh: Mesh, step: str, stage: str) -> None:
    """Another organisation's delivery answers as one that does not exist does, whatever is tried."""
    name = mesh.district.begin(mesh.mailbox, "a").name if stage == "draft" else mesh.district.send(mesh.mailbox).name
    missing = f"{mesh.district.organisation}/deliveries/missing"
    found = []
    for each in (name, missing):
        with refused("NOT_FOUND") as refusal:
            getattr(mesh.stranger, step)(each)
        found.append((refusal[0].code, {**refusal[0].metadata} | {"resource": refusal[0].metadata["resource"] == each}))
    assert found[0] == found[1]


@pytest.mark.parametrize("step", ["get", "timeline", "claim", "accept", "withdraw", "submit", "delete"])
def test_a_draft_is_unknown_to_its_receiver(mesh: Mesh, step: str) -> None:
    """What is being prepared nobody else knows of."""
    draft = mesh.district.begin(mesh.mailbox)
    mesh.district.add_document(draft.name)
    with refused("NOT_FOUND"):
        getattr(mesh.citylab, step)(draft.name)
    assert not mesh.citylab.page(mesh.mailbox).deliveries


def test_a_stranger_can_neither_send_nor_learn_of_a_mailbox(mesh: Mesh) -> None:
    """A mailbox that does not admit the sender and one that is not there are the same, to create and to read."""
    missing = f"{mesh.citylab.organisation}/mailboxes/missing"
    for mailbox in (mesh.mailbox, missing):
        with refused("NOT_FOUND") as found:
            mesh.stranger.begin(mailbox)
        assert found[0].metadata["resource"] == mailbox


def test_lists_and_watches_of_others_are_not_found(mesh: Mesh) -> None:
    """The parent of a list or a watch is one's own: another organisation, its mailbox, a mailbox that is not there."""
    mesh.district.send(mesh.mailbox)
    own_missing = f"{mesh.district.organisation}/mailboxes/missing"
    for parent in (mesh.citylab.organisation, mesh.mailbox, "organisations/nobody", own_missing):
        with refused("NOT_FOUND"):
            mesh.district.page(parent)
        with refused("NOT_FOUND"), mesh.district.watching(parent=parent):
            pass
    with refused("NOT_FOUND"):
        mesh.stranger.deliveries.CreateDelivery(
            pb.CreateDeliveryRequest(
                parent=mesh.district.organisation, delivery=pb.Delivery(mailbox=mesh.mailbox, subject="x")
            )
        )


def test_each_side_takes_its_own_steps_only(mesh: Mesh) -> None:
    """A sender cannot claim or decide, a receiver cannot withdraw; both know the delivery, so they are told so."""
    sent = mesh.district.send(mesh.mailbox)
    for step in (mesh.district.claim, mesh.district.release, mesh.district.accept, mesh.district.reject):
        with refused("NOT_OWNER"):
            step(sent.name)
    for other in ("withdraw", "submit", "delete"):
        with refused("NOT_OWNER"):
            getattr(mesh.citylab, other)(sent.name)


def test_accepting_twice_has_one_effect(mesh: Mesh) -> None:
    """The same request gets the same answer; another one is told that it was decided."""
    sent = mesh.district.send(mesh.mailbox)
    mesh.citylab.claim(sent.name)
    request_id = new_id()
    first = mesh.citylab.accept(sent.name, request_id=request_id)
    assert mesh.citylab.accept(sent.name, request_id=request_id) == first
    for step in (mesh.citylab.accept, mesh.citylab.reject, mesh.citylab.claim, mesh.citylab.release):
        with refused("STATE_FORBIDS") as found:
            step(sent.name)
        assert found[0].metadata["type"] == "ALREADY_DECIDED"
    with refused("STATE_FORBIDS"):
        mesh.district.withdraw(sent.name)
    assert mesh.citylab.events(sent.name) == ["SUBMITTED", "CLAIMED", "ACCEPTED"]
    assert intended(mesh.dsn, sent.name).count("exchange.delivery.accepted") == 1


def test_accepting_after_rejecting_changes_nothing(mesh: Mesh) -> None:
    """A decision stands."""
    sent = mesh.district.send(mesh.mailbox)
    mesh.citylab.claim(sent.name)
    rejected = mesh.citylab.reject(sent.name)
    with refused("STATE_FORBIDS") as found:
        mesh.citylab.accept(sent.name)
    assert found[0].metadata["type"] == "ALREADY_DECIDED"
    assert mesh.citylab.get(sent.name) == rejected


def test_two_who_claim_at_once(mesh: Mesh) -> None:
    """One has it, the other is told so; only the one can decide."""
    for _ in range(5):
        sent = mesh.district.send(mesh.mailbox)
        with ThreadPoolExecutor(2) as pool:
            results = list(pool.map(attempt, (mesh.citylab.claim, mesh.colleague.claim), [sent.name] * 2))
        assert sorted(results) == ["", "CLAIMED_BY_ANOTHER"]
        winner, loser = (mesh.citylab, mesh.colleague) if results[0] == "" else (mesh.colleague, mesh.citylab)
        assert attempt(loser.accept, sent.name) == "CLAIMED_BY_ANOTHER"
        assert attempt(loser.release, sent.name) == "CLAIMED_BY_ANOTHER"
        winner.accept(sent.name)
        assert mesh.citylab.events(sent.name) == ["SUBMITTED", "CLAIMED", "ACCEPTED"]


def attempt(step: Callable[[str], object], name: str) -> str:
    """What a step is refused for, by its type; nothing where it is taken."""
    try:
        step(name)
    except grpc.RpcError as error:
        return Refused.from_rpc(error).metadata["type"]
    return ""


def test_a_claim_lasts_longer_when_repeated_and_ends_when_released(mesh: Mesh) -> None:
    """The claimant's repetition never makes it shorter; after a release the next one may claim."""
    sent = mesh.district.send(mesh.mailbox)
    first = mesh.citylab.claim(sent.name, lease_seconds=60)
    longer = mesh.citylab.claim(sent.name, lease_seconds=600)
    again = mesh.citylab.claim(sent.name, lease_seconds=1)
    times = [each.claim.expire_time.ToDatetime() for each in (first, longer, again)]
    assert times[0] < times[1] == times[2]
    assert state_name(mesh.citylab.release(sent.name)) == "AVAILABLE"
    assert attempt(mesh.citylab.accept, sent.name) == "NOT_CLAIMED"
    assert mesh.colleague.claim(sent.name).claim.claimant.endswith("/systems/other")


def test_a_claim_that_ended_decides_nothing(mesh: Mesh) -> None:
    """Time decides, whether a job has written it down or not; who comes next leads the end into the timeline."""
    sent = mesh.district.send(mesh.mailbox)
    mesh.citylab.claim(sent.name)
    mesh.let_pass(sent.name, days=1)
    assert state_name(mesh.citylab.get(sent.name)) == "CLAIMED"
    for step in (mesh.citylab.accept, mesh.citylab.reject, mesh.citylab.release):
        assert attempt(step, sent.name) == "NOT_CLAIMED"
    mesh.colleague.claim(sent.name)
    assert mesh.citylab.events(sent.name) == ["SUBMITTED", "CLAIMED", "CLAIM_EXPIRED", "CLAIMED"]


def test_withdrawn_documents_are_gone_for_the_receiver(mesh: Mesh) -> None:
    """The receiver sees that it was withdrawn, and no documents; the sender sees everything."""
    sent = mesh.district.send(mesh.mailbox)
    mesh.citylab.claim(sent.name)
    assert mesh.citylab.get(sent.name).documents
    mesh.district.withdraw(sent.name)
    assert state_name(mesh.citylab.get(sent.name)) == "WITHDRAWN"
    assert not mesh.citylab.get(sent.name).documents
    assert not mesh.citylab.page(mesh.mailbox).deliveries[0].documents
    assert mesh.district.get(sent.name).documents
    assert attempt(mesh.citylab.accept, sent.name) == "WITHDRAWN"


def test_a_manifest_that_is_not_the_deliverys_accepts_nothing(mesh: Mesh) -> None:
    """Who computed something else is told, and the delivery stays claimed."""
    sent = mesh.district.send(mesh.mailbox)
    mesh.citylab.claim(sent.name)
    with refused("DIGEST_MISMATCH"):
        mesh.citylab.accept(sent.name, manifest_sha256="0" * 64)
    assert state_name(mesh.citylab.get(sent.name)) == "CLAIMED"


def test_what_a_mailbox_does_not_take_is_not_submitted(mesh: Mesh) -> None:
    """No documents, a type or a size it does not accept, a closed mailbox, and one that no longer admits the sender."""
    mailbox = mesh.citylab.open_mailbox("eng", media_types=["image/*", "application/pdf"], document_bytes_max=8)
    draft = mesh.district.begin(mailbox)
    assert attempt(mesh.district.submit, draft.name) == "NO_DOCUMENTS"
    mesh.district.add_document(draft.name, "a", content=b"12345678")
    mesh.district.add_document(draft.name, "b", media_type="text/html")
    assert attempt(mesh.district.submit, draft.name) == "MEDIA_TYPE_NOT_ACCEPTED"
    large = mesh.district.begin(mailbox)
    mesh.district.add_document(large.name, "a", content=b"123456789")
    assert attempt(mesh.district.submit, large.name) == "DOCUMENT_TOO_LARGE"
    good = mesh.district.begin(mailbox)
    mesh.district.add_document(good.name, "a", media_type="image/PNG; charset=x")
    mesh.citylab.mailboxes.CloseMailbox(mailboxes.CloseMailboxRequest(name=mailbox))
    assert attempt(mesh.district.submit, good.name) == "MAILBOX_CLOSED"
    assert attempt(mesh.district.begin, mailbox) == "MAILBOX_CLOSED"
    mesh.citylab.mailboxes.OpenMailbox(mailboxes.OpenMailboxRequest(name=mailbox))
    changed = mailboxes.Mailbox(name=mailbox, senders=["organisations/somebody"])
    mesh.citylab.mailboxes.UpdateMailbox(mailboxes.UpdateMailboxRequest(mailbox=changed))
    with refused("NOT_FOUND") as found:
        mesh.district.submit(good.name)
    assert found[0].metadata["resource"] == mailbox
    assert state_name(mesh.district.get(good.name)) == "DRAFT"


def test_submitting_twice_has_one_effect(mesh: Mesh) -> None:
    """The same request gets the same answer, another one learns that it was submitted; documents cannot change."""
    draft = mesh.district.begin(mesh.mailbox)
    mesh.district.add_document(draft.name)
    request_id = new_id()
    first = mesh.district.submit(draft.name, request_id=request_id)
    assert mesh.district.submit(draft.name, request_id=request_id) == first
    assert attempt(mesh.district.submit, draft.name) == "NOT_DRAFT"
    assert attempt(mesh.district.delete, draft.name) == "NOT_DRAFT"
    assert mesh.citylab.events(draft.name) == ["SUBMITTED"]


def test_a_deleted_draft_is_gone_with_all_of_it(mesh: Mesh) -> None:
    """Its name can be used again, and nothing of it is left."""
    draft = mesh.district.begin(mesh.mailbox, "a")
    mesh.district.add_document(draft.name)
    mesh.district.delete(draft.name)
    with refused("NOT_FOUND"):
        mesh.district.get(draft.name)
    again = mesh.district.begin(mesh.mailbox, "a")
    assert again.etag != draft.etag
    assert not again.documents
    assert mesh.district.events(again.name) == ["CREATED"]


def test_an_etag_protects_against_acting_on_what_changed(mesh: Mesh) -> None:
    """A step on a delivery that has gone on since is STALE; with the present etag it is taken."""
    draft = mesh.district.begin(mesh.mailbox)
    mesh.district.add_document(draft.name)
    with refused("STALE"):
        mesh.district.submit(draft.name, etag=draft.etag)
    mesh.district.submit(draft.name, etag=mesh.district.get(draft.name).etag)


def test_a_name_in_use_is_refused(mesh: Mesh) -> None:
    """A sender's own ids are used once; another sender's same id is another delivery."""
    mesh.district.begin(mesh.mailbox, "a")
    with refused("ALREADY_EXISTS"):
        mesh.district.begin(mesh.mailbox, "a")
    everybody = mesh.citylab.open_mailbox("offen")
    assert mesh.stranger.begin(everybody, "a").name == "organisations/stranger/deliveries/a"


@pytest.mark.parametrize("field", ["subject", "message", "reference"])
def test_a_character_that_no_text_has_is_refused(mesh: Mesh, field: str) -> None:
    """U+0000, and what a terminal that shows it would obey, is INVALID; only a message has lines."""
    for wrong in ("\0", "\x1b", "\x9b", "\x7f") + (() if field == "message" else ("\n", "\r", "\t")):
        with refused("INPUT_INVALID") as found:
            mesh.district.begin(mesh.mailbox, **{field: f"a{wrong}b"})
        assert fields_of(found[0]) == [f"delivery.{field}"]
    assert mesh.district.begin(mesh.mailbox, message="Guten Tag\r\n\tund mehr\n").message.endswith("mehr\n")


def test_a_rejection_must_be_storable_and_say_something(mesh: Mesh) -> None:
    """Control characters and no reason are INVALID; the claim stays."""
    sent = mesh.district.send(mesh.mailbox)
    mesh.citylab.claim(sent.name)
    for explanation in ("a\0b", "a\x1bb", ""):
        with refused("INPUT_INVALID"):
            mesh.citylab.reject(sent.name, explanation)
    with refused("INPUT_INVALID"):
        mesh.citylab.deliveries.RejectDelivery(
            pb.RejectDeliveryRequest(name=sent.name, rejection=pb.Rejection(explanation="x"))
        )
    assert state_name(mesh.citylab.get(sent.name)) == "CLAIMED"


def test_drafts_are_bounded(database_dsn: str, tmp_path: Path) -> None:
    """An organisation has so many drafts at once; what it submits or deletes makes room."""
    with running(database_dsn, tmp_path, VERBUND_EXCHANGE_DRAFTS_MAX="2") as mesh:
        first = mesh.district.begin(mesh.mailbox)
        mesh.district.begin(mesh.mailbox)
        with refused("LIMIT_REACHED"):
            mesh.district.begin(mesh.mailbox)
        mesh.district.delete(first.name)
        mesh.district.begin(mesh.mailbox)


def test_lists_are_paged_the_newest_first(mesh: Mesh) -> None:
    """Every delivery comes once, in both directions, and by state; a page's token fits its own list only."""
    names = [mesh.district.send(mesh.mailbox, f"d{number}").name for number in range(5)]
    mesh.citylab.claim(names[2])
    for member, parent in ((mesh.district, mesh.district.organisation), (mesh.citylab, mesh.mailbox)):
        found, token = [], ""
        for _ in range(3):
            page = member.page(parent, page_size=2, page_token=token)
            found += [delivery.name for delivery in page.deliveries]
            token = page.next_page_token
        assert (found, token) == (names[::-1], "")
        page = member.page(parent, page_size=2, states=[pb.DELIVERY_STATE_CLAIMED])
        assert [delivery.name for delivery in page.deliveries] == [names[2]]
    token = mesh.district.page(page_size=2).next_page_token
    with refused("CURSOR_INVALID"):
        mesh.district.page(page_size=2, page_token=token, states=[pb.DELIVERY_STATE_CLAIMED])
    with refused("CURSOR_INVALID"):
        mesh.citylab.page(mesh.mailbox, page_size=2, page_token=token)
    with refused("CURSOR_INVALID"):
        mesh.stranger.page(page_size=2, page_token=token)
    with refused("INPUT_INVALID"):
        mesh.district.page(states=[pb.DELIVERY_STATE_UNSPECIFIED])


def test_a_timeline_is_paged_the_oldest_first(mesh: Mesh) -> None:
    """Every entry comes once; a stranger's use of the token finds nothing."""
    sent = mesh.district.send(mesh.mailbox)
    mesh.citylab.claim(sent.name)
    found, token = [], ""
    for _ in range(2):
        page = mesh.district.timeline(sent.name, page_size=2, page_token=token)
        found += [event_name(entry.event) for entry in page.timeline_entries]
        token = page.next_page_token
    assert (found, token) == (["CREATED", "DOCUMENT_ADDED", "SUBMITTED", "CLAIMED"], "")
    token = mesh.district.timeline(sent.name, page_size=2).next_page_token
    with refused("CURSOR_INVALID"):
        mesh.citylab.timeline(sent.name, page_size=2, page_token=token)


def test_a_page_is_bounded_in_bytes(mesh: Mesh) -> None:
    """Deliveries come a few at a time where they are large, at least one, and each says whether more may follow."""
    names = [mesh.district.send(mesh.mailbox).name for _ in range(3)]
    database = Database(mesh.dsn, role="exchange_service", schema="exchange", pool_size=1)
    store, found = DeliveryStore(), []
    place = Place(datetime(9999, 1, 1, tzinfo=UTC), "", size=10, bytes_max=1)
    with database.read(Call.internal("test", organisation=mesh.citylab.organisation)) as rows:
        for _ in names:
            (delivery,), full = store.received(rows, MailboxName(mesh.mailbox), Wanted(), place)
            assert (full, bool(delivery.documents), delivery.submit_time is not None) == (True, True, True)
            found.append(delivery.name)
            place = Place(delivery.submit_time or delivery.create_time, delivery.name, size=10, bytes_max=1)
        assert store.received(rows, MailboxName(mesh.mailbox), Wanted(), place) == ([], False)
        (mailbox,), full = MailboxStore().list(rows, mesh.citylab.organisation, after="", size=10, bytes_max=1)
        assert (mailbox.name, full) == (mesh.mailbox, True)
    database.close()
    assert found == names[::-1]
