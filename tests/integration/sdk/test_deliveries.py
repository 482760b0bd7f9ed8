"""Sending, receiving and watching, while answers are lost, streams break and workers go."""

import base64
import hashlib
import io
import json
import os
import threading
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo
from verbund.exchange.v1 import delivery_service_pb2 as pb
from verbund.sdk import Client, Damaged, File, Refused, calls
from verbund.sdk.deliveries import manifest_of

from tests.integration.sdk.exchange import MAILBOX, ORGANISATION, Exchange, exchange_serving
from tests.integration.sdk.mesh import new_certificate

CLAIMS = base64.urlsafe_b64encode(json.dumps({"org": ORGANISATION}).encode()).decode().rstrip("=")
TOKEN = f"x.{CLAIMS}.x"
BIG = os.urandom(1_000_000)


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    return new_certificate(tmp_path / "tls")


@pytest.fixture
def exchange(certificate: tuple[Path, Path]) -> Iterator[Exchange]:
    with exchange_serving(Exchange(), certificate) as exchange:
        yield exchange


@pytest.fixture
def client(exchange: Exchange, certificate: tuple[Path, Path]) -> Iterator[Client]:
    with Client(exchange.address, ca=certificate[0], token=TOKEN) as client:
        yield client


@pytest.fixture
def document(exchange: Exchange) -> pb.Document:
    """A document that the exchange has."""
    name = f"{ORGANISATION}/deliveries/d/documents/big"
    exchange.contents[name] = BIG
    digest = hashlib.sha256(BIG).hexdigest()
    return pb.Document(name=name, file_name="big.pdf", size_bytes=len(BIG), sha256=digest)


def send(client: Client, source: Any = BIG, **more: Any) -> pb.Delivery:
    """Sends one file."""
    return client.send(source, to=MAILBOX, subject="Project order", **more)


def test_a_file_arrives_with_its_name_kind_and_digest(client: Client, exchange: Exchange, tmp_path: Path) -> None:
    """One delivery of the caller's organisation, submitted; the pieces are at most 256 KiB."""
    path = tmp_path / "order.pdf"
    path.write_bytes(BIG)
    told: list[tuple[int, int]] = []
    sent = client.send(path, to=MAILBOX, subject="s", project="projects/a.b", progress=lambda *at: told.append(at))
    (document,) = sent.documents
    assert (sent.state, sent.project) == (pb.DELIVERY_STATE_AVAILABLE, "projects/a.b")
    assert sent.name.startswith(f"{ORGANISATION}/deliveries/")
    assert (document.file_name, document.media_type, document.size_bytes) == ("order.pdf", "application/pdf", len(BIG))
    assert exchange.contents[document.name] == BIG
    assert told == sorted(told)
    assert told[-1] == (len(BIG), len(BIG))


def test_bytes_open_files_and_several_files_are_sent_too(client: Client, exchange: Exchange, tmp_path: Path) -> None:
    """Whatever a program has in its hands; the same content twice is one document; progress is of all together."""
    path = tmp_path / "a.txt"
    path.write_text("a")
    told: list[tuple[int, int]] = []
    with path.open("rb") as opened:
        sources: list[Any] = [File(b"bb", name="b.txt"), opened, path, io.BytesIO(b"")]
        sent = client.send(sources, to=MAILBOX, subject="s", progress=lambda *at: told.append(at))
    assert [each.file_name for each in sent.documents] == ["b.txt", "a.txt", "document"]
    assert [exchange.contents[each.name] for each in sent.documents] == [b"bb", b"a", b""]
    assert told[-1] == (3, 3)


@pytest.mark.parametrize("method", ["CreateDelivery", "UploadDocument", "SubmitDelivery"])
def test_an_answer_that_is_lost_makes_nothing_happen_twice(client: Client, exchange: Exchange, method: str) -> None:
    """The step is repeated under the same id."""
    exchange.lost[method] = 2
    assert send(client).state == pb.DELIVERY_STATE_AVAILABLE
    assert (len(exchange.deliveries), len(exchange.contents)) == (1, 1)
    assert exchange.count(method) == 3


@pytest.mark.parametrize("method", ["CreateDelivery", "UploadDocument", "SubmitDelivery"])
def test_a_program_that_dies_and_starts_again_sends_once(
    client: Client, exchange: Exchange, certificate: tuple[Path, Path], method: str
) -> None:
    """It gives up at any step; another process, which remembers nothing, makes the same call."""
    exchange.lost[method] = calls.ATTEMPTS_MAX
    with pytest.raises(Refused) as refused:
        send(client)
    assert refused.value.code is grpc.StatusCode.UNAVAILABLE
    with Client(exchange.address, ca=certificate[0], token=TOKEN) as other:
        sent = send(other)
        assert send(other) == sent
    assert sent.state == pb.DELIVERY_STATE_AVAILABLE
    assert (len(exchange.deliveries), len(exchange.contents)) == (1, 1)


def test_what_goes_wrong_with_the_file_is_told_as_it_is(client: Client, exchange: Exchange, tmp_path: Path) -> None:
    """A file that cannot be read on, and a progress that raises, are no refusal of the mesh's; nothing is submitted."""
    path = tmp_path / "order.pdf"
    path.write_bytes(BIG)
    file = File(path)
    assert file.digest[1] == len(BIG)
    path.unlink()
    with pytest.raises(FileNotFoundError):
        send(client, file)

    def progress(_done: int, _size: int) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        send(client, progress=progress)
    assert exchange.count("SubmitDelivery") == 0


def test_a_file_that_changes_on_its_way_is_refused(client: Client, exchange: Exchange, tmp_path: Path) -> None:
    """What arrives is not what was announced."""
    path = tmp_path / "order.pdf"
    path.write_bytes(BIG)
    file = File(path)
    assert file.digest[1] == len(BIG)
    path.write_bytes(BIG[::-1])
    with pytest.raises(Refused):
        send(client, file)
    assert exchange.count("SubmitDelivery") == 0


def test_another_subject_or_request_id_is_another_delivery(client: Client, exchange: Exchange) -> None:
    """The same content may be sent twice by who means it."""
    names = {send(client).name, send(client, request_id="1b4e28ba-2fa1-41d2-883f-0016d3cca427").name}
    names.add(send(client, message="once more").name)
    assert len(names) == len(exchange.deliveries) == 3


@pytest.mark.parametrize("over", ["REJECTED", "WITHDRAWN", "EXPIRED"])
def test_what_came_to_nothing_is_sent_anew(client: Client, exchange: Exchange, over: str) -> None:
    """And once only, again."""
    first = send(client).name
    exchange.deliveries[first].state = pb.DeliveryState.Value(f"DELIVERY_STATE_{over}")
    second = send(client)
    assert (second.name != first, second.state) == (True, pb.DELIVERY_STATE_AVAILABLE)
    assert send(client).name == second.name
    assert len(exchange.deliveries) == 2


def test_a_draft_that_was_deleted_is_begun_anew(client: Client, exchange: Exchange) -> None:
    """The answer that was kept names a delivery that is gone."""
    first = send(client).name
    del exchange.deliveries[first]
    exchange.deliveries["another"] = pb.Delivery()
    assert send(client).name != first


def test_a_download_is_whole_and_verified(client: Client, document: pb.Document, tmp_path: Path) -> None:
    """Into a file or into a directory; nothing else is left there."""
    told: list[tuple[int, int]] = []
    into = tmp_path / "in"
    into.mkdir()
    path = client.download(document, into, progress=lambda *at: told.append(at))
    assert (path.name, path.read_bytes(), told[-1]) == ("big.pdf", BIG, (len(BIG), len(BIG)))
    assert client.download(document, into / "named").read_bytes() == BIG
    assert {path.name for path in into.iterdir()} == {"big.pdf", "named"}


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL, grpc.StatusCode.CANCELLED])
def test_a_download_goes_on_where_it_broke(
    client: Client, exchange: Exchange, document: pb.Document, tmp_path: Path, code: grpc.StatusCode
) -> None:
    """However a stream breaks that had begun; no byte is asked for twice."""
    exchange.broken_with = code
    exchange.break_after = [100_000, 70_001, 1]
    assert client.download(document, tmp_path / "got").read_bytes() == BIG
    offsets = [request.offset for method, request in exchange.asked if method == "DownloadDocument"]
    assert offsets == [0, 100_000, 170_001, 170_002]


def test_a_download_that_cannot_go_on_leaves_nothing(
    client: Client, exchange: Exchange, document: pb.Document, tmp_path: Path
) -> None:
    """No file, also none with another name; what was there before stays."""
    target = tmp_path / "in" / "got"
    target.parent.mkdir()
    target.write_text("before")
    exchange.break_after = [100_000, *[0] * calls.ATTEMPTS_MAX]
    with pytest.raises(Refused):
        client.download(document, target)
    assert [(path.name, path.read_text()) for path in target.parent.iterdir()] == [("got", "before")]


@pytest.mark.parametrize("content", [BIG[:-1], BIG + b"x", BIG[::-1], b""], ids=["short", "long", "other", "none"])
def test_a_download_of_other_content_is_damaged(
    client: Client, exchange: Exchange, document: pb.Document, tmp_path: Path, content: bytes
) -> None:
    """A stream that ended well is not enough: length and digest count."""
    exchange.contents[document.name] = content
    with pytest.raises(Damaged):
        client.download(document, tmp_path / "got")
    assert not (tmp_path / "got").exists()


@pytest.mark.parametrize("name", ["../x", "/etc/x", "", ".hidden", "a\nb", "..", "a/b"])
def test_a_sender_names_no_place_on_the_receivers_disk(
    client: Client, document: pb.Document, tmp_path: Path, name: str
) -> None:
    """A name that is not one plain segment gives way to the document's id."""
    document.file_name = name
    assert client.download(document, tmp_path) == tmp_path / "big"


def test_a_sender_replaces_no_file_of_the_receiver(client: Client, document: pb.Document, tmp_path: Path) -> None:
    """What lies in the directory under that name stays, a document that came before too."""
    document.file_name = "accounts.csv"
    (tmp_path / "accounts.csv").write_text("mine")
    assert client.download(document, tmp_path) == tmp_path / "big-accounts.csv"
    assert (tmp_path / "accounts.csv").read_text() == "mine"


@pytest.mark.parametrize("name", ["\N{GRINNING FACE}" * 63, "ü" * 127])
def test_the_longest_names_are_kept(client: Client, document: pb.Document, tmp_path: Path, name: str) -> None:
    """255 bytes, whatever the alphabet; where the id would make it longer, the id stands alone."""
    document.file_name = name
    assert client.download(document, tmp_path) == tmp_path / name
    assert client.download(document, tmp_path) == tmp_path / "big"


def step(number: int, event: pb.TimelineEvent.ValueType, delivery: str = "") -> pb.WatchDeliveriesResponse:
    """A message of a watch."""
    entry = pb.TimelineEntry(event=event)
    name = delivery or f"{ORGANISATION}/deliveries/d{number}"
    return pb.WatchDeliveriesResponse(step=pb.DeliveryStep(delivery=name, entry=entry), resume_token=f"t{number}")


STARTED = pb.WatchDeliveriesResponse(started=pb.WatchStarted(), resume_token="t")
SUBMITTED = pb.TIMELINE_EVENT_SUBMITTED


def end(cause: pb.WatchEndCause.ValueType) -> pb.WatchDeliveriesResponse:
    """The last message."""
    return pb.WatchDeliveriesResponse(end=pb.WatchEnd(cause=cause), resume_token="")


def test_a_watch_goes_on_over_drains_expired_tokens_and_dead_workers(client: Client, exchange: Exchange) -> None:
    """Each time from the last token received; each step once and in order."""
    exchange.watches = [
        [STARTED, step(1, SUBMITTED), end(pb.WATCH_END_CAUSE_DRAIN)],
        [STARTED, step(2, SUBMITTED), end(pb.WATCH_END_CAUSE_TOKEN)],
        [STARTED, step(3, SUBMITTED), grpc.StatusCode.UNAVAILABLE],
        [grpc.StatusCode.UNAVAILABLE],
        [STARTED, step(4, SUBMITTED), grpc.StatusCode.INTERNAL],
        [STARTED, step(5, SUBMITTED)],
    ]
    watch = client.inbox(MAILBOX).watch("from-here")
    assert [message.resume_token for message in islice(watch, 5)] == ["t1", "t2", "t3", "t4", "t5"]
    asked = [request.resume_token for method, request in exchange.asked if method == "WatchDeliveries"]
    assert asked == ["from-here", "t1", "t2", "t3", "t3", "t4"]


def test_a_watch_that_is_refused_ends(client: Client, exchange: Exchange) -> None:
    """Who may not watch is told, once."""
    exchange.watches = [[grpc.StatusCode.NOT_FOUND], [STARTED, step(1, SUBMITTED)]]
    with pytest.raises(Refused) as refused:
        next(client.inbox(MAILBOX).watch(patience_seconds=0.0))
    assert refused.value.code is grpc.StatusCode.NOT_FOUND
    assert exchange.count("WatchDeliveries") == 1


def test_a_mesh_that_stays_away_is_told_after_a_while(client: Client, exchange: Exchange) -> None:
    """How long is the caller's choice; a mesh that answers in between starts the time anew."""
    down: list[pb.WatchDeliveriesResponse | grpc.StatusCode] = [grpc.StatusCode.UNAVAILABLE]
    exchange.watches = [down, down, [STARTED, step(1, SUBMITTED)], down, down, down, down]
    watch = client.inbox(MAILBOX).watch(patience_seconds=0.5)
    assert next(watch).resume_token == "t1"
    with pytest.raises(Refused):
        next(watch)
    assert exchange.count("WatchDeliveries") > 4


def test_an_inbox_gives_what_waits_and_then_what_arrives(client: Client, exchange: Exchange) -> None:
    """The oldest first; nothing twice, and nothing that somebody else has claimed."""
    for number, state in enumerate(
        (
            pb.DELIVERY_STATE_AVAILABLE,
            pb.DELIVERY_STATE_AVAILABLE,
            pb.DELIVERY_STATE_ACCEPTED,
            pb.DELIVERY_STATE_CLAIMED,
        )
    ):
        name = f"{ORGANISATION}/deliveries/d{number}"
        exchange.deliveries[name] = pb.Delivery(name=name, mailbox=MAILBOX, state=state)
    arriving = f"{ORGANISATION}/deliveries/later"
    exchange.deliveries[arriving] = pb.Delivery(name=arriving, state=pb.DELIVERY_STATE_DRAFT)
    messages = [STARTED, step(0, SUBMITTED), step(3, SUBMITTED), step(9, SUBMITTED, arriving)]
    exchange.watches = [[*messages, step(10, pb.TIMELINE_EVENT_CLAIMED, arriving)], [], []]
    inbox = iter(client.inbox(MAILBOX))
    waiting = [next(inbox).name, next(inbox).name]
    exchange.deliveries[arriving].state = pb.DELIVERY_STATE_AVAILABLE
    assert [*waiting, next(inbox).name] == [
        f"{ORGANISATION}/deliveries/d1",
        f"{ORGANISATION}/deliveries/d0",
        arriving,
    ]


def test_steps_of_the_receiver_are_repeated_under_one_id(client: Client, exchange: Exchange) -> None:
    """Claim, accept and withdraw, while answers are lost. To accept again after a crash has the first answer; to claim
    again is a claim of its own.
    """
    delivery = send(client)
    inbox = client.inbox(MAILBOX)
    exchange.lost = {"ClaimDelivery": 1, "AcceptDelivery": 1}
    inbox.claim(delivery)
    inbox.claim(delivery)
    manifest = manifest_of(delivery.documents)
    assert inbox.accept(delivery, manifest_sha256=manifest).state == pb.DELIVERY_STATE_ACCEPTED
    inbox.accept(delivery.name, manifest_sha256=manifest)
    ids = {
        method: [getattr(request, "request_id", "") for name, request in exchange.asked if name == method]
        for method, _ in exchange.asked
    }
    first, again, second = ids["ClaimDelivery"]
    assert first == again != second
    assert len(ids["AcceptDelivery"]) == 3
    assert len(set(ids["AcceptDelivery"])) == 1


def test_a_manifest_is_what_sha256sum_prints(tmp_path: Path) -> None:
    """For files named by their ids, in the order of their names."""
    documents = []
    for name, content in (("b", b"2"), ("a", b"1")):
        digest = hashlib.sha256(content).hexdigest()
        documents.append(pb.Document(name=f"organisations/x/deliveries/y/documents/{name}", sha256=digest))
        (tmp_path / name).write_bytes(content)
    printed = "".join(f"{hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()}  {name}\n" for name in ("a", "b"))
    assert manifest_of(documents) == hashlib.sha256(printed.encode()).hexdigest()


def test_every_kind_of_call_raises_a_typed_refusal(client: Client) -> None:
    """Whoever knows gRPC catches it as ever, in answers, futures and streams."""
    stub = client.deliveries._stub
    request = pb.GetDeliveryRequest(name="x")
    with pytest.raises(Refused) as refused:
        stub.GetDelivery(request)
    assert refused.value.code is grpc.StatusCode.NOT_FOUND
    with pytest.raises(grpc.RpcError):
        stub.GetDelivery.with_call(request)
    future = stub.GetDelivery.future(request)
    assert isinstance(future.exception(), Refused)
    with pytest.raises(Refused):
        future.result()
    with pytest.raises(Refused):
        next(iter(stub.WatchDeliveries(pb.WatchDeliveriesRequest())))


def test_waiting_follows_what_the_mesh_says() -> None:
    """Within bounds; without a word from it the pause grows."""
    told = Refused(grpc.StatusCode.UNAVAILABLE, "", (RetryInfo(retry_delay=Duration(seconds=2)),))
    silent = Refused(grpc.StatusCode.UNAVAILABLE, "")
    assert calls.pause_of(told, 0) == 2.0
    assert (
        calls.pause_of(silent, 0) < calls.pause_of(silent, 2) <= calls.pause_of(silent, 50) == calls.PAUSE_SECONDS_MAX
    )


def test_who_calls_is_said_in_one_way(certificate: tuple[Path, Path]) -> None:
    """A key without its system, two tokens, or nothing at all is a mistake, told at once."""
    key = certificate[1]
    for wrong in ({}, {"key": key}, {"client_id": "x"}, {"token": "t", "home_token": "h"}):
        with pytest.raises(ValueError, match="say who calls"):
            Client("https://127.0.0.1:1", ca=certificate[0], **wrong)


def test_a_caller_that_brings_tokens_is_asked_for_each_call(exchange: Exchange, certificate: tuple[Path, Path]) -> None:
    """A function is asked each time: it keeps tokens itself."""
    given = []
    lock = threading.Lock()

    def token() -> str:
        with lock:
            given.append(1)
        return TOKEN

    with Client(exchange.address, ca=certificate[0], token=token) as client:
        exchange.deliveries["x"] = pb.Delivery(name="x")
        client.deliveries.get("x")
        before = len(given)
        client.deliveries.get("x")
        assert len(given) > before
        assert client.organisation == ORGANISATION
