"""The room of each organisation: what it stores is counted, held to the quota, and given back once."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import psycopg
import pytest
from google.api.httpbody_pb2 import HttpBody
from google.rpc import error_details_pb2 as details
from verbund.database import migrate as migrations
from verbund.database.database import Database
from verbund.exchange.blobs.directory import BlobDirectory
from verbund.exchange.blobs.sweeping import RemovedSweep
from verbund.exchange.documents.store import DocumentStore
from verbund.exchange.v1 import upload_service_pb2 as pb
from verbund.sdk.refusals import Refused

from tests.integration.exchange.files import Exchange, digest_of, exchanging
from tests.integration.exchange.mesh import settings
from tests.support.load import wait_until
from tests.support.members import refused, worker_process
from tests.support.postgres import Cluster
from tests.support.serving import bearer

ROOM = 1000
DISTRICT = "organisations/ba-charlottenburg-wilmersdorf"
LIMITED: dict[str, Any] = {"VERBUND_EXCHANGE_STORED_BYTES_MAX": str(ROOM)}
COUNTED = """
    SELECT (SELECT bytes FROM exchange.storage WHERE organisation = %(organisation)s),
        (SELECT coalesce(sum(size_bytes), 0) FROM exchange.documents WHERE starts_with(name, %(organisation)s || '/')),
        (SELECT coalesce(sum(size_bytes), 0) FROM exchange.removed_documents WHERE organisation = %(organisation)s)
"""


@pytest.fixture
def exchange(database_dsn: str, tmp_path: Path) -> Iterator[Exchange]:
    """An exchange with little room, whose jobs run at its start only."""
    with exchanging(database_dsn, tmp_path, **LIMITED) as found:
        yield found


@pytest.fixture
def sweep(exchange: Exchange) -> Iterator[RemovedSweep]:
    """The job that looks after what was removed."""
    database = Database(exchange.mesh.dsn, role="exchange_jobs", schema="exchange", pool_size=4)
    yield RemovedSweep(database, DocumentStore(), BlobDirectory(exchange.blobs, free_bytes_min=1))
    database.close()


def counted(exchange: Exchange, organisation: str = DISTRICT) -> tuple[int, int, int]:
    """The bytes on an organisation's account, of its documents, and of those that were removed."""
    with psycopg.connect(f"{exchange.mesh.dsn}&user=postgres") as connection:
        row = connection.execute(COUNTED, {"organisation": organisation}).fetchone()
    assert row is not None
    return (int(row[0] or 0), int(row[1]), int(row[2]))


def test_an_organisation_stores_what_it_may_and_no_more(exchange: Exchange) -> None:
    """To the last byte, whether the size is said before or not; the refusal says how much, and who can mend it."""
    draft = exchange.draft()
    exchange.upload(f"{draft}/documents/a", b"a" * 600)
    ways: tuple[dict[str, Any], ...] = ({"size_bytes": 401}, {})
    for said in ways:
        with refused("STORAGE_QUOTA_REACHED") as found:
            exchange.upload(f"{draft}/documents/b", b"b" * 401, **said)
        refusal = found[0]
        assert refusal.code is grpc.StatusCode.RESOURCE_EXHAUSTED
        told = {key: refusal.metadata[key] for key in ("fixer", "retry", "storedBytes", "storedBytesMax")}
        assert told == {"fixer": "operator", "retry": "false", "storedBytes": "600", "storedBytesMax": "1000"}
        assert not [detail for detail in refusal.details if isinstance(detail, details.RetryInfo)]
    with exchange.client() as client:
        answer = client.put(f"/v1/{draft}/documents/b", params={"fileName": "b"}, content=b"b" * 401)
    assert (answer.status_code, answer.json()["details"][0]["reason"]) == (429, "STORAGE_QUOTA_REACHED")
    assert "retry-after" not in answer.headers
    assert exchange.stored() == [digest_of(b"a" * 600)]
    exchange.upload(f"{draft}/documents/b", b"b" * 400)
    assert counted(exchange) == (ROOM, ROOM, 0)


def test_what_is_there_already_takes_no_room(exchange: Exchange) -> None:
    """Who did not hear the answer gets it again, also where there is no room for more."""
    draft = exchange.draft()
    first = exchange.upload(f"{draft}/documents/a", b"a" * ROOM)
    assert exchange.upload(f"{draft}/documents/a", b"a" * ROOM) == first
    assert counted(exchange) == (ROOM, ROOM, 0)


def test_each_organisation_has_a_room_of_its_own(exchange: Exchange) -> None:
    """One that has none left is in nobody's way; the same content counts for each that sends it."""
    mailbox = exchange.mesh.citylab.open_mailbox("offen")
    exchange.upload(f"{exchange.draft()}/documents/a", b"a" * ROOM)
    other = exchange.mesh.stranger.begin(mailbox).name
    exchange.upload(f"{other}/documents/a", b"a" * ROOM, "stranger")
    assert counted(exchange) == counted(exchange, "organisations/stranger") == (ROOM, ROOM, 0)
    assert exchange.stored() == [digest_of(b"a" * ROOM)]
    exchange.mesh.district.submit(exchange.mesh.district.page().deliveries[0].name)
    assert counted(exchange, exchange.mesh.citylab.organisation) == (0, 0, 0)  # who receives pays nothing


def test_uploads_at_once_do_not_pass_the_limit_together(exchange: Exchange) -> None:
    """All of them come in while there is room for each, into a draft each; there is room for one, and one is kept."""
    drafts, released = [exchange.draft() for _ in range(4)], threading.Event()

    def held(number: int) -> Iterator[pb.UploadDocumentRequest]:
        content = bytes([number])
        first = pb.UploadDocumentRequest(name=f"{drafts[number]}/documents/a", file_name="a", media_type="text/plain")
        first.content.data = content * 300
        yield first
        assert released.wait(60)
        yield pb.UploadDocumentRequest(content=HttpBody(data=content * 300))

    def tried(number: int) -> str:
        try:
            exchange.stub().UploadDocument(held(number), metadata=bearer(exchange.token()), timeout=60)
        except grpc.RpcError as error:
            return Refused.from_rpc(error).reason
        return ""

    with ThreadPoolExecutor(4) as pool:
        trying = [pool.submit(tried, number) for number in range(4)]
        wait_until(lambda: [path.stat().st_size for path in exchange.half_written()] == [300] * 4, "not all begin")
        released.set()
        found = sorted(each.result() for each in trying)
    assert found == ["", *["STORAGE_QUOTA_REACHED"] * 3]
    assert counted(exchange) == (600, 600, 0)
    assert len(exchange.stored()) == 1
    wait_until(lambda: exchange.half_written() == [], "something half written is left")


@pytest.mark.parametrize("way", ["document", "draft", "old drafts"])
def test_what_is_removed_gives_its_room_back(exchange: Exchange, sweep: RemovedSweep, way: str) -> None:
    """However it is removed: when its content is off the disk, and not before."""
    draft = exchange.draft()
    exchange.upload(f"{draft}/documents/a", b"a" * ROOM)
    remove(exchange, draft, way)
    assert counted(exchange) == (ROOM, 0, ROOM)
    with refused("STORAGE_QUOTA_REACHED"):
        exchange.upload(f"{exchange.draft()}/documents/a", b"b" * ROOM)
    sweep.run()
    assert (counted(exchange), exchange.stored()) == ((0, 0, 0), [])
    exchange.upload(f"{exchange.draft()}/documents/a", b"b" * ROOM)


def remove(exchange: Exchange, draft: str, way: str) -> None:
    """Removes a draft's document in one of the ways there are."""
    if way == "document":
        with exchange.client() as client:
            assert client.delete(f"/v1/{draft}/documents/a").status_code == 200
    elif way == "draft":
        exchange.mesh.district.delete(draft)
    else:
        with psycopg.connect(f"{exchange.mesh.dsn}&user=exchange_jobs") as connection:
            connection.execute("DELETE FROM exchange.deliveries WHERE name = %s", (draft,))


def test_a_content_that_others_have_stays(exchange: Exchange, sweep: RemovedSweep) -> None:
    """Its room is given back all the same: another document has it now."""
    kept, removed = exchange.draft(), exchange.draft()
    for draft in (kept, removed):
        exchange.upload(f"{draft}/documents/a", b"a" * 500)
    exchange.mesh.district.delete(removed)
    sweep.run()
    assert counted(exchange) == (500, 500, 0)
    assert exchange.download(f"{kept}/documents/a") == b"a" * 500


def test_room_is_given_back_once(exchange: Exchange, sweep: RemovedSweep) -> None:
    """However many do it at once, and also after one died when the content was gone and the account not yet mended."""
    kept, removed = exchange.draft(), exchange.draft()
    exchange.upload(f"{kept}/documents/kept", b"k" * 100)
    for number in range(9):
        exchange.upload(f"{removed}/documents/a{number}", bytes([number]) * 100)
    exchange.mesh.district.delete(removed)
    BlobDirectory(exchange.blobs, free_bytes_min=1).path_of(digest_of(bytes([0]) * 100)).unlink()
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(sweep.run) for _ in range(4)]:
            done.result()
    assert counted(exchange) == (100, 100, 0)
    assert exchange.stored() == [digest_of(b"k" * 100)]


def test_a_worker_that_is_killed_takes_no_room_and_loses_none(exchange: Exchange) -> None:
    """What was on its way is on nobody's account; what was removed before is looked after by the next worker."""
    draft, stalled = exchange.draft(), threading.Event()
    exchange.upload(f"{draft}/documents/a", b"a" * 600)

    def stalling() -> Iterator[pb.UploadDocumentRequest]:
        first = pb.UploadDocumentRequest(name=f"{draft}/documents/b", file_name="b", media_type="text/plain")
        first.content.data = b"b" * 300
        yield first
        stalled.wait(60)

    upload = exchange.stub().UploadDocument.future(stalling(), metadata=bearer(exchange.token()), timeout=60)
    wait_until(lambda: len(exchange.half_written()) == 1, "it does not begin")
    remove(exchange, draft, "document")
    exchange.process.kill()
    exchange.process.wait()
    stalled.set()
    assert upload.code() is grpc.StatusCode.UNAVAILABLE
    assert counted(exchange) == (600, 0, 600)
    directory = Path(exchange.blobs).parent / "run"
    stated = settings(exchange.mesh.dsn, exchange.mesh.issuer, directory) | LIMITED
    with worker_process("exchange", directory, 1, stated | {"VERBUND_EXCHANGE_BLOB_DIR": str(exchange.blobs)}) as found:
        wait_until(lambda: counted(exchange) == (0, 0, 0), "the room is not given back")
        stub = exchange.stub(found[1])
        request = pb.UploadDocumentRequest(name=f"{draft}/documents/b", file_name="b", media_type="text/plain")
        request.content.data = b"b" * ROOM
        stub.UploadDocument(iter([request]), metadata=bearer(exchange.token()), timeout=60)
    assert counted(exchange) == (ROOM, ROOM, 0)


def test_whose_time_ends_before_the_commit_places_nothing(exchange: Exchange) -> None:
    """Nobody fills the disk with contents that are on no account, by ending their calls at the right moment."""
    draft = exchange.draft()
    request = pb.UploadDocumentRequest(name=f"{draft}/documents/a", file_name="a", media_type="text/plain")
    request.content.data = b"a"
    with pytest.raises(grpc.RpcError) as caught:
        exchange.stub().UploadDocument(iter([request]), metadata=bearer(exchange.token()), timeout=0.9)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert exchange.stored() == []


def test_nobody_keeps_their_own_account(exchange: Exchange) -> None:
    """The third wall: a service reads the account of its caller's organisation, and writes to none."""
    exchange.upload(f"{exchange.draft()}/documents/a", b"a")
    with psycopg.connect(f"{exchange.mesh.dsn}&user=exchange_service", autocommit=True) as connection:
        for organisation, seen in ((DISTRICT, [(1,)]), ("organisations/stranger", []), ("", [])):
            connection.execute("SELECT set_config('verbund.organisation', %s, false)", (organisation,))
            assert connection.execute("SELECT bytes FROM exchange.storage").fetchall() == seen
        for statement in (
            "UPDATE exchange.storage SET bytes = 0",
            "DELETE FROM exchange.storage",
            "INSERT INTO exchange.storage VALUES ('organisations/x', 1)",
            "SELECT position FROM exchange.removed_documents",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement.encode())


def test_what_was_stored_before_the_quota_counts(postgres: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """The migration finds every document, although row-level security holds for its owner too."""
    name, known = postgres.create(template="template0"), migrations.migrations_of
    dsn = f"postgresql:///{name}?host={postgres.directory}"
    with monkeypatch.context() as patched:
        patched.setattr(migrations, "migrations_of", lambda area: known(area)[: 2 if area == "exchange" else None])
        migrations.migrate(postgres.dsn(name))
    with psycopg.connect(f"{dsn}&user=postgres") as connection:
        for statement in BEFORE:
            connection.execute(statement.encode())
    migrations.migrate(postgres.dsn(name))
    with psycopg.connect(f"{dsn}&user=postgres") as connection:
        found = connection.execute("SELECT organisation, bytes FROM exchange.storage ORDER BY 1").fetchall()
    postgres.drop(name)
    assert found == [("organisations/a", 30), ("organisations/b", 5)]


BEFORE = (
    """INSERT INTO exchange.mailboxes VALUES ('organisations/a/mailboxes/m', 'organisations/a', 'x', '{}', '{}', 0, 0,
        0, 'open', 1, now(), now())""",
    """INSERT INTO exchange.deliveries (name, sender, receiver, mailbox, parties, subject, message, project, reference,
        state, manifest_sha256, trace_id, span_id, revision, create_time, update_time)
    SELECT sender || '/deliveries/d', sender, 'organisations/a', 'organisations/a/mailboxes/m', ARRAY[sender], 'x', '',
        '', '', 'draft', '', '', '', 1, now(), now()
    FROM unnest(ARRAY['organisations/a', 'organisations/b']) AS sender""",
    """INSERT INTO exchange.documents (name, delivery, id, file_name, media_type, size_bytes, sha256, create_time)
    SELECT delivery || '/documents/' || id, delivery, id, 'x', 'text/plain', size, repeat('0', 64), now()
    FROM (VALUES ('organisations/a/deliveries/d', '1', 10), ('organisations/a/deliveries/d', '2', 20),
        ('organisations/b/deliveries/d', '1', 5)) AS given (delivery, id, size)""",
)
