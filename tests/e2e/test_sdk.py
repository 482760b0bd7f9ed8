"""A department's client on a running mesh: the example, the commands, and what happens when workers are killed."""

import hashlib
import json
import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import verbund.sdk
from verbund.exchange.v1 import delivery_service_pb2 as pb
from verbund.exchange.v1.delivery_service_pb2_grpc import DeliveryServiceStub
from verbund.sdk import File, Refused

from tests.support.exchanging import Pair, pair_of
from tests.support.home import Up, mesh_up
from tests.support.load import kill, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("mesh")]

CONTENT = b"A project order, marked as an example.\n" * 1000


@pytest.fixture(scope="module")
def pair(running: Up) -> Pair:
    """The two organisations that the example names."""
    return pair_of(running, "city-department/records", "city-lab/portal")


def examples() -> list[str]:
    """The programs in the docstring of `verbund.sdk`."""
    blocks: list[list[str]] = []
    inside = False
    for line in (verbund.sdk.__doc__ or "").splitlines():
        if line.startswith("    "):
            if not inside:
                blocks.append([])
            blocks[-1].append(line)
        elif inside and not line:
            blocks[-1].append(line)
            continue
        inside = line.startswith("    ")
    return [textwrap.dedent("\n".join(block)) for block in blocks]


def verb(pair: Pair, system: str, *arguments: str) -> list[Any]:
    """What a command prints as JSON, a line each."""
    done = subprocess.run(
        [sys.executable, "-m", "verbund", *arguments, "--system", system, "--json"],
        env=pair.up.environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""  # no progress bar where nobody watches
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_the_example_runs_as_it_stands(pair: Pair, tmp_path: Path) -> None:
    """Ten lines send a file, and as many receive it: exactly what the documentation shows."""
    sending, receiving = (
        f"from pathlib import Path\nhome = Path({str(pair.up.home)!r})\n{code}" for code in programs()
    )
    assert len([line for line in programs()[0].splitlines() if line.strip()]) <= 10
    (tmp_path / "order.pdf").write_bytes(CONTENT)
    (tmp_path / "received").mkdir()
    sent = [
        subprocess.run([sys.executable, "-c", sending], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    ]
    name, digest = sent[0].split()
    assert (sent[0], digest) == (sent[1], hashlib.sha256(CONTENT).hexdigest())
    receiver = subprocess.Popen([sys.executable, "-c", receiving], cwd=tmp_path)
    try:
        with pair.sending() as client:
            accepted = pb.DELIVERY_STATE_ACCEPTED
            wait_until(
                lambda: client.deliveries.get(name).state == accepted, "the receiver's program does not accept it"
            )
    finally:
        receiver.kill()
        receiver.wait()
    assert (tmp_path / "received" / "order.pdf").read_bytes() == CONTENT


def programs() -> tuple[str, str]:
    """The sender's and the receiver's program."""
    sending, receiving = examples()
    return sending, "from verbund.sdk import Client\n" + receiving


def test_commands_send_and_receive(pair: Pair, tmp_path: Path) -> None:
    """What one sends the other claims, downloads, verifies and accepts; both see who is next, and what happened."""
    files = [tmp_path / "order.pdf", tmp_path / "plan.txt"]
    for number, file in enumerate(files):
        file.write_bytes(os.urandom(300_000) + bytes([number]))
    to = ["--to", pair.mailbox, "--subject", f"Order {time.time_ns()}"]
    (sent,) = verb(pair, pair.sender, "send", *map(str, files), *to)
    name = sent["name"]
    assert verb(pair, pair.sender, "send", *map(str, files), *to) == [sent]
    listed = verb(pair, pair.receiver, "inbox", pair.mailbox, "--state", "available")
    assert name in {delivery["name"] for delivery in listed}
    (claimed,) = verb(pair, pair.receiver, "inbox", "claim", name)
    assert claimed["next"]["action"] == "NEXT_ACTION_DECIDE"
    *downloaded, manifest = verb(pair, pair.receiver, "inbox", "download", name, "--into", str(make(tmp_path / "in")))
    assert {Path(each["path"]).read_bytes() for each in downloaded} == {file.read_bytes() for file in files}
    with_manifest = ("--manifest", manifest["manifestSha256"])
    (accepted,) = verb(pair, pair.receiver, "inbox", "accept", name, *with_manifest)
    assert accepted["state"] == "DELIVERY_STATE_ACCEPTED"
    (seen,) = verb(pair, pair.sender, "delivery", name)
    events = [entry["event"].removeprefix("TIMELINE_EVENT_") for entry in seen["timeline"]]
    assert events == ["CREATED", "DOCUMENT_ADDED", "DOCUMENT_ADDED", "SUBMITTED", "CLAIMED", "ACCEPTED"]


def make(folder: Path) -> Path:
    """A directory that is there."""
    folder.mkdir()
    return folder


def test_a_command_says_a_refusal_in_words(pair: Pair) -> None:
    """Exit code 1, the reason, who can mend it, the trace; no traceback."""
    done = subprocess.run(
        [sys.executable, "-m", "verbund", "delivery", "organisations/city-lab/deliveries/nothing"],
        env=pair.up.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("verbund: ")
    assert "can mend this: " in done.stderr
    assert "Traceback" not in done.stderr


def test_a_rejection_reaches_the_sender_and_the_same_file_can_be_sent_anew(pair: Pair) -> None:
    """With its reason; sending it once more is a new delivery."""
    file = File(os.urandom(1000), name="order.pdf")
    with pair.sending() as sender, pair.receiving() as receiver:
        first = sender.send(file, to=pair.mailbox, subject="Order")
        inbox = receiver.inbox(pair.mailbox)
        inbox.claim(first)
        inbox.reject(first, pb.REJECTION_REASON_INCOMPLETE, "The plan is missing.")
        assert sender.deliveries.get(first).rejection.explanation == "The plan is missing."
        second = sender.send(file, to=pair.mailbox, subject="Order")
        assert second.name != first.name
        assert sender.withdraw(second).state == pb.DELIVERY_STATE_WITHDRAWN


def test_a_stranger_is_refused_with_a_typed_reason(pair: Pair) -> None:
    """Who may not know of a delivery learns nothing of it."""
    with pair.sending() as sender:
        sent = sender.send(File(b"x", name="x.txt"), to=pair.mailbox, subject=f"Order {time.time_ns()}")
    stranger = pair_of(pair.up, "city-stranger/system", "city-lab/portal")
    with stranger.sending() as client, pytest.raises(Refused) as refused:
        client.deliveries.get(sent)
    assert refused.value.reason == "NOT_FOUND"


@pytest.fixture
def breaking() -> Iterator[Pair]:
    """A pair in a mesh of their own, whose parts are killed."""
    with mesh_up() as up:
        yield pair_of(up, "city-department/records", "city-lab/portal")


def here(pair: Pair) -> str:
    """The token from which a watch of the mailbox tells all that comes, whenever it begins."""
    with pair.receiving() as receiver:
        request = pb.WatchDeliveriesRequest(parent=pair.mailbox)
        stream = DeliveryServiceStub(receiver.channel).WatchDeliveries(request, timeout=60)
        token: str = next(stream).resume_token
        stream.cancel()
    assert token
    return token


@pytest.mark.faults
def test_documents_pass_and_watches_go_on_while_workers_are_killed(breaking: Pair, tmp_path: Path) -> None:
    """Each worker of the exchange dies again and again: every file arrives whole, once, and the watch tells each."""
    count, size = 8, 24 * 1024 * 1024
    stop = threading.Event()
    names: list[str] = []
    start = here(breaking)

    def follow() -> None:
        with breaking.receiving() as receiver:
            steps = receiver.inbox(breaking.mailbox).watch(start)
            submitted = (
                message.step.delivery for message in steps if message.step.entry.event == pb.TIMELINE_EVENT_SUBMITTED
            )
            names.extend(islice(submitted, count))

    def disturb() -> None:
        while not stop.is_set():
            for worker in ("exchange-0", "exchange-1"):
                kill(breaking.up, worker)
                stop.wait(1.5)

    threads = [threading.Thread(target=follow, daemon=True), threading.Thread(target=disturb)]
    for thread in threads:
        thread.start()
    sent = []
    try:
        with breaking.sending() as sender, breaking.receiving() as receiver:
            for number in range(count):
                content = os.urandom(size)
                delivery = persistently(
                    lambda: sender.send(File(content, name=f"{number}.bin"), to=breaking.mailbox, subject=str(number))  # noqa: B023
                )
                path = persistently(lambda: receiver.download(delivery.documents[0], tmp_path))  # noqa: B023
                assert path.read_bytes() == content
                path.unlink()
                sent.append(delivery.name)
    finally:
        stop.set()
        threads[1].join()
    threads[0].join(60)
    assert len(set(sent)) == count
    assert names == sent


def persistently(call: Any) -> Any:
    """Repeats a call that was refused: a worker that is killed every second may be met several times."""
    for _ in range(5):
        try:
            return call()
        except Refused as refused:
            last = refused
    raise last
