"""Uploads while things fail: what was acknowledged is on the disk, and what was not leaves nothing."""

import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import psycopg
import pytest
from google.api.httpbody_pb2 import HttpBody
from verbund.exchange.v1 import upload_service_pb2 as pb
from verbund.exchange.v1 import upload_service_pb2_grpc as grpc_pb
from verbund.sdk.refusals import Refused

from tests.integration.exchange.files import MIB, Exchange, digest_of, exchanging, is_root, messages, pieces
from tests.integration.exchange.mesh import settings
from tests.support.lacking import lacking
from tests.support.load import wait_until
from tests.support.members import worker_process
from tests.support.serving import bearer

pytestmark = pytest.mark.faults
CALLS = "openat,fsync,fdatasync,rename,renameat,renameat2,sendmsg,sendto,write,writev,close"
TRACED = re.compile(r"^(?P<pid>\d+) +(?P<time>[\d.]+) (?P<call>\w+)\((?P<arguments>.*)$")


@dataclass(frozen=True, slots=True)
class Step:
    """A system call that the worker made."""

    call: str
    arguments: str


@contextmanager
def traced(process: "subprocess.Popen[bytes]", file: Path) -> Iterator[None]:
    """Records the system calls of a process."""
    if not is_root() or (strace := shutil.which("strace")) is None:
        lacking("tracing system calls needs root and strace")
    command = [
        strace,
        "-f",
        "-ttt",
        "-y",
        "-s",
        "4096",
        "-e",
        f"trace={CALLS}",
        "-p",
        str(process.pid),
        "-o",
        str(file),
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracer:
        assert tracer.stderr is not None
        said = tracer.stderr.readline()
        if "attached" not in said:
            lacking(f"strace cannot attach: {said.strip()}")
        try:
            yield
        finally:
            tracer.send_signal(signal.SIGINT)
            tracer.stderr.read()


def steps(file: Path) -> list[Step]:
    """What was recorded, in order."""
    found = (TRACED.match(line) for line in file.read_text(errors="replace").splitlines())
    return [Step(match["call"], match["arguments"]) for match in found if match]


def first(found: list[Step], call: str, *parts: str, after: int = -1) -> int:
    """Where a call with these parts in its arguments stands first after a place."""
    for number, step in enumerate(found):
        if number > after and step.call.startswith(call) and all(part in step.arguments for part in parts):
            return number
    raise AssertionError(f"no {call} with {parts} after {after} in {len(found)} calls")


def test_an_acknowledgement_means_the_disk(database_dsn: str, tmp_path: Path) -> None:
    """The content's bytes are synced, then it gets its name, then the name's directory is synced, then the row is
    committed, and only then the answer is sent: as the kernel saw it.
    """
    content = b"".join(pieces(MIB))
    with exchanging(database_dsn, tmp_path) as exchange:
        name = f"{exchange.draft()}/documents/a"
        exchange.upload(f"{exchange.draft()}/documents/warm", b"warm")
        trace = tmp_path / "trace"
        with traced(exchange.process, trace):
            digest = exchange.upload(name, content).sha256
    found = steps(trace)
    synced = first(found, "fsync", "/incoming/")
    renamed = first(found, "rename", "/incoming/", f"/sha256/{digest[:2]}/{digest[2:]}", after=synced)
    listed = first(found, "fsync", f"/sha256/{digest[:2]}>", after=renamed)
    stored = first(found, "sendto", digest, after=listed)  # to PostgreSQL, with the commit
    answered = first(found, "sendmsg", digest, after=stored)
    told_postgres = [number for number, step in enumerate(found) if step.call == "sendto"]
    assert synced < renamed < listed < stored <= max(told_postgres) < answered
    assert not [step for step in found[:synced] if step.call.startswith("rename")]
    assert not [step for step in found[:listed] if step.call == "sendmsg" and digest in step.arguments]


def test_what_was_acknowledged_outlives_a_kill(database_dsn: str, tmp_path: Path) -> None:
    """The worker is killed at the moment of each answer, and again and again between: a new one has all of it, and the
    documents that it lists are whole.
    """
    acknowledged: dict[str, str] = {}
    with exchanging(database_dsn, tmp_path) as exchange:
        draft = exchange.draft()
        stated = settings(database_dsn, exchange.mesh.issuer, tmp_path / "run") | {
            "VERBUND_EXCHANGE_BLOB_DIR": str(exchange.blobs)
        }
        metadata = bearer(exchange.token())
        exchange.process.kill()
        exchange.process.wait()
        for number in range(1, 9):
            with worker_process("exchange", tmp_path / "run", number, stated) as (process, channel):
                stub = grpc_pb.UploadServiceStub(channel)
                for turn in range(50):
                    name, content = f"{draft}/documents/d{number}-{turn}", bytes([number, turn]) * 300_000
                    if turn == number % 3:  # in the middle of it
                        threading.Timer(0.002 * number, process.kill).start()
                    try:
                        acknowledged[name] = stub.UploadDocument(
                            messages(name, content), metadata=metadata, timeout=20
                        ).sha256
                    except grpc.RpcError:
                        break
                    if turn == 3:
                        process.kill()
        with worker_process("exchange", tmp_path / "run", 0, stated) as (_, channel):
            stub = grpc_pb.UploadServiceStub(channel)
            time.sleep(2.1)  # the lock's grace for files that are being made
            listed = documents_of(database_dsn, draft)
            assert acknowledged.items() <= listed.items()
            for name, digest in listed.items():
                answers = stub.DownloadDocument(pb.DownloadDocumentRequest(name=name), metadata=metadata, timeout=20)
                assert digest_of(b"".join(answer.data for answer in answers)) == digest
        with worker_process("exchange", tmp_path / "run", 0, stated):
            assert exchange.half_written() == []
    assert acknowledged


def documents_of(dsn: str, delivery: str) -> dict[str, str]:
    """The documents of a delivery with their digests, as the database has them."""
    with psycopg.connect(f"{dsn}&user=postgres") as connection:
        found = "SELECT name, sha256 FROM exchange.documents WHERE delivery = %s"
        return dict(connection.execute(found, (delivery,)).fetchall())


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 32 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", str(place)], capture_output=True, check=False
    )
    if mounted.returncode:
        lacking("a small disk needs root and the right to mount")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.parametrize("way", ["grpc", "http"])
def test_a_full_disk_is_refused_and_gets_over_it(database_dsn: str, tmp_path: Path, small_disk: Path, way: str) -> None:
    """RESOURCE_EXHAUSTED in the middle of the upload; nothing of it is left, what was there is, and when there is room
    again the next one succeeds, without anybody's doing.
    """
    more: dict[str, Any] = {
        "VERBUND_EXCHANGE_BLOB_DIR": str(small_disk / "blobs"),
        "VERBUND_EXCHANGE_FREE_BYTES_MIN": "1",
    }
    content = b"".join(pieces(20 * MIB))
    with exchanging(database_dsn, tmp_path, **more) as exchange:
        draft = exchange.draft()
        exchange.upload(f"{draft}/documents/first", content)
        assert refused_for_room(exchange, f"{draft}/documents/second", content[::-1], way) == "STORAGE_FULL"
        assert exchange.half_written() == []
        assert exchange.stored() == [digest_of(content)]
        assert exchange.download(f"{draft}/documents/first") == content
        with exchange.client() as client:
            assert client.delete(f"/v1/{draft}/documents/first").status_code == 200
        path = exchange.blobs / "sha256" / digest_of(content)[:2] / digest_of(content)[2:]
        path.unlink()  # as the sweep does after an hour
        exchange.upload(f"{draft}/documents/second", content[::-1])
        assert exchange.download(f"{draft}/documents/second") == content[::-1]


def refused_for_room(exchange: Exchange, name: str, content: bytes, way: str) -> str:
    """The reason of the refusal of an upload that there is no room for."""
    if way == "grpc":
        with pytest.raises(grpc.RpcError) as caught:
            exchange.upload(name, content)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        return reason_of(caught.value)
    with exchange.client() as client:
        answer = client.put(f"/v1/{name}", params={"fileName": "a"}, content=content)
    assert (answer.status_code, answer.headers["content-type"]) == (429, "application/json")
    return str(answer.json()["details"][0]["reason"])


def test_slow_uploads_take_nobodys_place_but_their_own_organisations(database_dsn: str, tmp_path: Path) -> None:
    """However many one organisation opens and leaves open: calls are answered, and another's upload gets through."""
    release = threading.Event()

    def stalling(name: str) -> Iterator[pb.UploadDocumentRequest]:
        yield pb.UploadDocumentRequest(name=name, file_name="a", content=HttpBody(data=b"x"))
        release.wait(60)

    with exchanging(database_dsn, tmp_path) as exchange:
        draft = exchange.draft()
        metadata = bearer(exchange.token())
        held = [
            exchange.stub().UploadDocument.future(stalling(f"{draft}/documents/a{number}"), metadata=metadata)
            for number in range(40)
        ]
        wait_until(lambda: sum(call.done() for call in held) == 36, "not as many are refused as should be")
        for call in held:
            error = call.exception() if call.done() else None
            assert error is None or (isinstance(error, grpc.RpcError) and reason_of(error) == "LIMIT_REACHED")
        for _ in range(20):
            exchange.mesh.district.get(draft)
        answer = grpc_pb.UploadServiceStub(exchange.mesh.channel).DownloadDocument(
            pb.DownloadDocumentRequest(name=f"{draft}/documents/a"),
            metadata=bearer(exchange.token("other")),
            timeout=60,
        )
        with pytest.raises(grpc.RpcError) as caught:
            list(answer)
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND
        for call in held:
            call.cancel()
        release.set()


def reason_of(error: grpc.RpcError) -> str:
    """The reason of a refusal."""
    return Refused.from_rpc(error).reason
