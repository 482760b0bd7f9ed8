"""The two doors, on a schema that exists for these tests only."""

import json
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from google.protobuf.wrappers_pb2 import StringValue
from verbund.database.database import Database
from verbund.evidence.leaf import salted
from verbund.policy.table import Rule
from verbund.policy.v1 import policy_pb2
from verbund.resources.names import OrganisationName
from verbund.serving.call import Call, Principal
from verbund.serving.refusals import Answered, Down, Invalid, Late, Refusal, Stale

from tests.support.postgres import Cluster, cluster

SCHEMA = """
    CREATE ROLE desk_service LOGIN;
    CREATE SCHEMA desk;
    GRANT USAGE ON SCHEMA desk, evidence TO desk_service;
    GRANT EXECUTE ON FUNCTION evidence.intend(bytea, bytea, text) TO desk_service;
    CREATE TABLE desk.idempotency (organisation text NOT NULL, caller text NOT NULL, method text NOT NULL,
        request_id uuid NOT NULL, request_digest bytea NOT NULL, answer bytea,
        create_time timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (organisation, caller, method, request_id));
    CREATE TABLE desk.notes (organisation text NOT NULL, text text NOT NULL);
    ALTER TABLE desk.notes ENABLE ROW LEVEL SECURITY;
    ALTER TABLE desk.notes FORCE ROW LEVEL SECURITY;
    CREATE POLICY own ON desk.notes USING (organisation = current_setting('verbund.organisation', true));
    GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA desk TO desk_service;
"""
INSERT = "INSERT INTO desk.notes (organisation, text) VALUES (%(organisation)s, %(text)s)"
SELECT = "SELECT text FROM desk.notes ORDER BY text"


def call_of(organisation: str, *, seconds: float = 60, request_id: str = "", digest: bytes = b"1") -> Call:
    """A call of an organisation's system."""
    rule = Rule(
        name="test",
        permission="",
        audience=policy_pb2.AUDIENCE_SIGNED_IN,
        least_assurance=policy_pb2.ASSURANCE_LOW,
        rate=policy_pb2.RATE_WRITE,
    )
    return Call(
        principal=Principal(subject=f"{organisation}/systems/test", organisation=OrganisationName(organisation)),
        rule=rule,
        method="/desk/Write",
        deadline=time.monotonic() + seconds,
        request_id=request_id,
        request_digest=digest,
        trace_id="ab" * 16,
    )


@pytest.fixture(scope="module")
def own_cluster() -> Iterator[Cluster]:
    with cluster() as found:
        yield found


@pytest.fixture
def database(database_dsn: str, postgres: Cluster) -> Iterator[Database]:
    with psycopg.connect(f"{database_dsn}&user=postgres", autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS desk_service")
        connection.execute(SCHEMA.encode())
    opened = Database(database_dsn, role="desk_service", schema="desk", pool_size=8)
    yield opened
    opened.close()
    with psycopg.connect(f"{database_dsn}&user=postgres", autocommit=True) as connection:
        connection.execute("DROP OWNED BY desk_service; DROP ROLE desk_service")
    assert postgres


def write(database: Database, call: Call, text: str) -> StringValue:
    """Writes a note and answers with it."""
    with database.transaction(call) as tx:
        tx.execute(INSERT, organisation=call.organisation, text=text)
        return tx.answer(StringValue(value=text))


def notes(database: Database, organisation: str) -> list[str]:
    """What an organisation sees."""
    with database.read(call_of(organisation)) as rows:
        return [row["text"] for row in rows.all(SELECT)]


def test_each_organisation_sees_its_own_rows_whatever_the_statement_says(database: Database) -> None:
    """Row-level security holds through a shared pool, in parallel, and after a failure."""
    write(database, call_of("organisations/a"), "of a")
    write(database, call_of("organisations/b"), "of b")

    def look(number: int) -> bool:
        organisation = "ab"[number % 2]
        if number % 7 == 0:
            with (
                pytest.raises(psycopg.errors.InsufficientPrivilege),
                database.transaction(call_of("organisations/x")) as tx,
            ):
                tx.execute(INSERT, organisation="organisations/a", text="smuggled")
        return notes(database, f"organisations/{organisation}") == [f"of {organisation}"]

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(look, range(200)))
    assert notes(database, "") == []


def test_what_is_not_committed_is_not_there(database: Database) -> None:
    """An exception undoes everything, and the connection is good for the next call."""
    with pytest.raises(ZeroDivisionError), database.transaction(call_of("organisations/a")) as tx:
        tx.execute(INSERT, organisation="organisations/a", text="lost")
        raise ZeroDivisionError
    assert notes(database, "organisations/a") == []


def test_the_same_request_a_hundred_times_in_parallel_has_one_effect(database: Database) -> None:
    """One row, and a hundred times the same answer."""
    call = call_of("organisations/a", request_id=str(uuid.uuid4()))

    def once(number: int) -> bytes:
        try:
            return write(database, call, f"note {number}").SerializeToString(deterministic=True)
        except Answered as answered:
            return answered.answer

    with ThreadPoolExecutor(24) as pool:
        answers = set(pool.map(once, range(100)))
    assert len(answers) == 1
    assert notes(database, "organisations/a") == [StringValue.FromString(answers.pop()).value]


def test_a_request_id_with_another_body_is_refused(database: Database) -> None:
    """REQUEST_ID_REUSED, and nothing is written."""
    request_id = str(uuid.uuid4())
    write(database, call_of("organisations/a", request_id=request_id), "first")
    with pytest.raises(Invalid) as caught:
        write(database, call_of("organisations/a", request_id=request_id, digest=b"2"), "second")
    assert caught.value.reason == "REQUEST_ID_REUSED"
    assert notes(database, "organisations/a") == ["first"]


def test_a_failed_request_may_be_repeated_under_its_id(database: Database) -> None:
    """A refusal claims nothing: the repetition is carried out."""
    call = call_of("organisations/a", request_id=str(uuid.uuid4()))
    with pytest.raises(Stale), database.transaction(call):
        raise Stale
    assert write(database, call, "second try").value == "second try"


def test_an_intent_commits_with_its_change_and_names_nobody(database: Database, database_dsn: str) -> None:
    """The leaf is canonical JSON with salted hashes; a change that fails owes none."""
    call = call_of("organisations/a")
    with database.transaction(call) as tx:
        tx.intend("desk.note.written", "notes/1", b"\x01" * 32, ["organisations/a"])
    with pytest.raises(ZeroDivisionError), database.transaction(call) as tx:
        tx.intend("desk.note.written", "notes/2", b"\x02" * 32, ["organisations/a"])
        raise ZeroDivisionError
    with psycopg.connect(f"{database_dsn}&user=postgres") as connection:
        ((leaf, salt, trace_id),) = connection.execute("SELECT leaf, salt, trace_id FROM evidence.intents").fetchall()
    stated = json.loads(leaf)
    assert leaf == json.dumps(stated, sort_keys=True, separators=(",", ":")).encode()
    assert stated["subject"] == salted(salt, "notes/1")
    assert stated["parties"] == [salted(salt, "organisations/a")]
    assert stated["digest"] == "sha256:" + "01" * 32
    assert trace_id == "ab" * 16
    assert b"organisations" not in leaf


def test_a_service_can_neither_read_nor_change_intents(database: Database) -> None:
    """The only crossing into the evidence schema is its function."""
    for statement in ("SELECT leaf FROM evidence.intents", "DELETE FROM evidence.intents"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege), database.read(call_of("organisations/a")) as rows:
            rows.all(statement)


def test_a_statement_ends_with_the_calls_deadline(database: Database) -> None:
    """DEADLINE_EXCEEDED from the database itself, in reads and in transactions; the pool goes on."""
    with pytest.raises(Late), database.read(call_of("organisations/a", seconds=0.2)) as rows:
        rows.one("SELECT pg_sleep(30)")
    with pytest.raises(Late), database.transaction(call_of("organisations/a", seconds=0.2)) as tx:
        tx.execute("SELECT pg_sleep(30)")
    with pytest.raises(Late), database.read(call_of("organisations/a", seconds=-1)):
        pass
    assert notes(database, "organisations/a") == []


def test_what_is_sent_in_pieces_is_answered_at_once(database: Database) -> None:
    """A statement larger than a socket's buffer is answered while it is sent, and nobody waits for more after that."""
    started = time.monotonic()
    for size in range(200_000, 1_200_000, 5_000):
        with database.read(call_of("organisations/a", seconds=30)) as rows:
            assert rows.one("SELECT length(%(text)s) AS length", text="x" * size) == {"length": size}
    assert time.monotonic() - started < 60


def test_conflicting_transactions_are_told_so(database: Database) -> None:
    """A deadlock becomes ABORTED for one of the two, and never an internal error."""
    for name in ("1", "2"):
        write(database, call_of("organisations/a"), name)
    barrier = threading.Barrier(2)
    lock = "SELECT text FROM desk.notes WHERE text = %(text)s FOR UPDATE"

    def cross(first: str, second: str) -> str:
        try:
            with database.transaction(call_of("organisations/a")) as tx:
                tx.one(lock, text=first)
                barrier.wait(30)
                tx.one(lock, text=second)
        except Refusal as refusal:
            return refusal.reason
        return "done"

    with ThreadPoolExecutor(2) as pool:
        results = pool.map(cross, ("1", "2"), ("2", "1"))
        assert sorted(results) == ["STALE", "done"]


def test_listening_misses_nothing(database: Database) -> None:
    """The first yield says that listening stands, and each commit that notifies brings one."""
    wakes = database.listen("desk_changes", wait_seconds=60)
    next(wakes)
    with database.transaction(call_of("organisations/a")) as tx:
        tx.notify("desk_changes")
    started = time.monotonic()
    next(wakes)
    assert time.monotonic() - started < 50
    wakes.close()


def test_a_database_that_is_down_is_said_so_and_comes_back(own_cluster: Cluster) -> None:
    """UNAVAILABLE with a time to try again, and no restart of the service afterwards."""
    database = Database(own_cluster.dsn("postgres"), role="postgres", schema="public", pool_size=4)
    try:
        with database.read(call_of("organisations/a")) as rows:
            assert rows.one("SELECT 1 AS one") == {"one": 1}
        own_cluster.stop()
        with pytest.raises(Down), database.read(call_of("organisations/a", seconds=20)) as rows:
            rows.one("SELECT 1 AS one")
        assert not database.ready()
        own_cluster.start()
        end = time.monotonic() + 60
        while not database.ready():
            assert time.monotonic() < end
        with database.read(call_of("organisations/a")) as rows:
            assert rows.one("SELECT 1 AS one") == {"one": 1}
    finally:
        database.close()
