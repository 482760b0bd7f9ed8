"""Contents on the disk: placed for good, read exactly, and swept only where no document can name them."""

import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import psycopg
import pytest
from verbund.database.database import Database
from verbund.exchange.blobs.directory import FREE_CHECK_BYTES, BlobDirectory, Damaged
from verbund.exchange.blobs.sweeping import BlobSweep
from verbund.exchange.documents.domain import CONTENT_BYTES_MAX
from verbund.exchange.documents.store import DocumentStore
from verbund.exchange.settings import ExchangeSettings
from verbund.serving.refusals import Exhausted
from verbund.serving.settings import ServingSettings

from tests.integration.exchange.files import SENDER, digest_of, exchanging

CONTENT = os.urandom(100_000)


@pytest.fixture
def blobs(tmp_path: Path) -> BlobDirectory:
    """An empty directory of contents."""
    found = BlobDirectory(tmp_path / "blobs", free_bytes_min=1)
    found.prepare()
    return found


@pytest.fixture
def sweeping(database_dsn: str) -> Iterator[Callable[[BlobDirectory, float], BlobSweep]]:
    """Makes sweeps."""
    database = Database(database_dsn, role="exchange_jobs", schema="exchange", pool_size=2)
    yield lambda blobs, keep: BlobSweep(database, DocumentStore(), blobs, keep)
    database.close()


def put(blobs: BlobDirectory, content: bytes) -> str:
    """Places a content; its digest."""
    with blobs.incoming() as incoming:
        incoming.write(content)
        incoming.sync()
        incoming.place()
        return incoming.digest


def test_a_content_lies_under_its_digest(blobs: BlobDirectory, tmp_path: Path) -> None:
    """Counted and hashed as it came, readable by its owner only, and nothing else is left."""
    digest = put(blobs, CONTENT)
    assert digest == digest_of(CONTENT)
    path = tmp_path / "blobs" / "sha256" / digest[:2] / digest[2:]
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (CONTENT, 0o600)
    assert (tmp_path / "blobs").stat().st_mode & 0o777 == 0o700
    assert list((tmp_path / "blobs" / "incoming").iterdir()) == []
    assert put(blobs, CONTENT) == digest  # again: the same
    with blobs.open(digest, len(CONTENT)) as blob:
        assert blob.read(10, 20) == CONTENT[10:30]
        assert b"".join(blob.pieces(5, 99_999, 1000)) == CONTENT[5:99_999]
        with pytest.raises(Damaged):
            blob.read(99_999, 2)


def test_what_is_not_placed_is_gone(blobs: BlobDirectory, tmp_path: Path) -> None:
    """However it comes to its end."""
    with pytest.raises(ZeroDivisionError), blobs.incoming() as incoming:
        incoming.write(CONTENT)
        raise ZeroDivisionError
    assert [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()] == []


def test_a_content_of_another_size_is_damaged(blobs: BlobDirectory) -> None:
    """So is one that is not there; a name that is no digest leads nowhere."""
    digest = put(blobs, CONTENT)
    for size in (len(CONTENT) - 1, len(CONTENT) + 1):
        with pytest.raises(Damaged), blobs.open(digest, size):
            pass
    with pytest.raises(Damaged), blobs.open("0" * 64, 0):
        pass
    with pytest.raises(ValueError, match="SHA-256"), blobs.open("../../../etc/passwd", 0):
        pass


def test_an_upload_of_the_same_mends_what_was_damaged(blobs: BlobDirectory) -> None:
    """The content is replaced by its like."""
    digest = put(blobs, CONTENT)
    os.truncate(blobs.path_of(digest), 10)
    put(blobs, CONTENT)
    with blobs.open(digest, len(CONTENT)) as blob:
        assert blob.read(0, len(CONTENT)) == CONTENT


def test_what_a_killed_process_left_is_swept_and_what_a_living_one_writes_is_not(
    blobs: BlobDirectory, tmp_path: Path
) -> None:
    """The lock on a file tells whether its writer lives, whatever its age."""
    left, young = tmp_path / "blobs" / "incoming" / "left", tmp_path / "blobs" / "incoming" / "young"
    left.write_bytes(b"x")
    os.utime(left, (1, 1))
    young.write_bytes(b"x")
    with blobs.incoming() as incoming, young.open("ab") as file:
        incoming.write(CONTENT)
        for path in (tmp_path / "blobs" / "incoming").iterdir():
            if path != young:
                os.utime(path, (1, 1))
        fcntl.flock(file, fcntl.LOCK_EX)
        assert blobs.sweep_incoming() == 1
        assert not left.exists()
        incoming.sync()
        incoming.place()
    BlobDirectory(tmp_path / "blobs", free_bytes_min=1).prepare()  # a process that starts takes nothing away
    assert young.exists()
    with blobs.open(digest_of(CONTENT), len(CONTENT)):
        pass


def test_the_last_room_is_not_taken(tmp_path: Path) -> None:
    """Uploads leave free what other things on the disk need."""
    state = os.statvfs(tmp_path)
    blobs = BlobDirectory(tmp_path / "blobs", free_bytes_min=state.f_blocks * state.f_frsize)
    blobs.prepare()
    with pytest.raises(Exhausted) as caught, blobs.incoming():
        pass
    assert (caught.value.reason, caught.value.retry_seconds) == ("STORAGE_FULL", 10.0)


def test_uploads_at_once_do_not_fill_the_disk_unseen(tmp_path: Path) -> None:
    """By default, what all of them may write before they look again leaves the database half of what it needs."""
    exchange = ExchangeSettings(blob_dir=tmp_path)
    serving = ServingSettings(
        issuer="https://mesh.example", jwks_file=tmp_path, revocations_file=tmp_path, socket_dir=tmp_path
    )
    unseen = serving.workers * serving.streams_max * (FREE_CHECK_BYTES + CONTENT_BYTES_MAX)
    assert unseen <= exchange.free_bytes_min // 2


def test_only_what_nobody_names_is_swept(
    database_dsn: str, tmp_path: Path, sweeping: Callable[[BlobDirectory, float], BlobSweep]
) -> None:
    """A document's content stays, however old; what nobody names goes when it is old enough."""
    with exchanging(database_dsn, tmp_path) as exchange:
        draft = exchange.draft()
        exchange.upload(f"{draft}/documents/kept", b"kept")
        exchange.upload(f"{draft}/documents/removed", b"removed")
        blobs = BlobDirectory(exchange.blobs, free_bytes_min=1)
        unnamed = put(blobs, b"unnamed")
        with exchange.client() as client:
            client.delete(f"/v1/{draft}/documents/removed")
        sweeping(blobs, 3600).run()
        assert len(exchange.stored()) == 3
        for digest in exchange.stored():
            os.utime(blobs.path_of(digest), (1, 1))
        sweeping(blobs, 3600).run()
        assert exchange.stored() == [digest_of(b"kept")]
        assert unnamed != digest_of(b"kept")
        assert exchange.download(f"{draft}/documents/kept") == b"kept"


def test_nothing_acknowledged_is_swept_while_it_comes(
    database_dsn: str, tmp_path: Path, sweeping: Callable[[BlobDirectory, float], BlobSweep]
) -> None:
    """One content is uploaded and removed again and again, while a sweep without patience runs all the time."""
    with exchanging(database_dsn, tmp_path) as exchange:
        draft = exchange.draft()
        sweep = sweeping(BlobDirectory(exchange.blobs, free_bytes_min=1), -3600.0)
        done = threading.Event()

        def always() -> None:
            while not done.is_set():
                sweep.run()

        thread = threading.Thread(target=always)
        thread.start()
        try:
            with exchange.client() as client:
                for number in range(40):
                    name = f"{draft}/documents/a{number}"
                    exchange.upload(name, CONTENT)
                    assert exchange.download(name) == CONTENT
                    assert client.delete(f"/v1/{name}").status_code == 200
        finally:
            done.set()
            thread.join()


def test_a_sweep_waits_for_who_places(
    database_dsn: str, tmp_path: Path, sweeping: Callable[[BlobDirectory, float], BlobSweep]
) -> None:
    """While an upload holds a content's lock, nothing decides about that content."""
    blobs = BlobDirectory(tmp_path / "blobs", free_bytes_min=1)
    blobs.prepare()
    digest = put(blobs, CONTENT)
    thread = threading.Thread(target=sweeping(blobs, -3600.0).run)
    with psycopg.connect(f"{database_dsn}&user=exchange_service") as connection:
        connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('exchange.content ' || %s, 0))", (digest,))
        thread.start()
        waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        end = time.monotonic() + 10
        while not (row := connection.execute(waiting).fetchone()) or not row[0]:
            assert time.monotonic() < end
            time.sleep(0.02)
        assert blobs.path_of(digest).exists()
    thread.join()
    assert not blobs.path_of(digest).exists()


def test_a_full_disk_is_not_the_callers_fault(database_dsn: str, tmp_path: Path) -> None:
    """RESOURCE_EXHAUSTED with when to try again, and the operator as who can mend it; over HTTP 429."""
    with exchanging(database_dsn, tmp_path, VERBUND_EXCHANGE_FREE_BYTES_MIN=str(1 << 60)) as exchange:
        name = f"{exchange.draft()}/documents/a"
        with pytest.raises(grpc.RpcError) as caught:
            exchange.upload(name, b"x", SENDER)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        with exchange.client() as client:
            answer = client.put(f"/v1/{name}", params={"fileName": "a"}, content=b"x")
        info = answer.json()["details"][0]
        assert (answer.status_code, info["reason"], info["metadata"]["fixer"]) == (429, "STORAGE_FULL", "operator")
