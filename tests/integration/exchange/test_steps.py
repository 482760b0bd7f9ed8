"""A step's state, timeline entry, evidence intent and answer commit together; time's steps once; traces are linked."""

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import psycopg
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from verbund.clock import wall_clock
from verbund.database.database import Database
from verbund.exchange.deliveries.domain import Event, Step
from verbund.exchange.deliveries.passing import Passing
from verbund.exchange.deliveries.steps import Steps
from verbund.exchange.deliveries.store import DeliveryStore
from verbund.exchange.timeline.store import TimelineStore
from verbund.exchange.timeline.tracing import link_to, origin_of_span
from verbund.resources.names import DeliveryName
from verbund.serving.call import Call

from tests.integration.exchange.mesh import Mesh, add_document, intended, state_name
from tests.support.members import new_id, refused


@pytest.fixture
def jobs(mesh: Mesh) -> Iterator[Database]:
    """The database as jobs see it."""
    database = Database(mesh.dsn, role="exchange_jobs", schema="exchange", pool_size=4)
    yield database
    database.close()


def passing(database: Database, *, draft_days: int = 30) -> Passing:
    """The jobs of time."""
    deliveries = DeliveryStore()
    steps = Steps(deliveries, TimelineStore())
    return Passing(database, deliveries, steps, wall_clock, draft_life=timedelta(days=draft_days))


def superuser(mesh: Mesh, *statements: str) -> None:
    """Runs statements that no service may."""
    with psycopg.connect(f"{mesh.dsn}&user=postgres", autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


WAITING = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
BREAKS = {
    "timeline": "ALTER TABLE exchange.timeline ADD CONSTRAINT broken CHECK (event <> 'submitted') NOT VALID",
    "evidence": "ALTER TABLE evidence.intents ADD CONSTRAINT broken CHECK (octet_length(leaf) < 1) NOT VALID",
    "state": "ALTER TABLE exchange.deliveries ADD CONSTRAINT broken CHECK (state = 'draft') NOT VALID",
    "answer": "ALTER TABLE exchange.idempotency ADD CONSTRAINT broken CHECK (answer IS NULL) NOT VALID",
}
MENDS = {
    "timeline": "ALTER TABLE exchange.timeline DROP CONSTRAINT broken",
    "evidence": "ALTER TABLE evidence.intents DROP CONSTRAINT broken",
    "state": "ALTER TABLE exchange.deliveries DROP CONSTRAINT broken",
    "answer": "ALTER TABLE exchange.idempotency DROP CONSTRAINT broken",
}


@pytest.mark.parametrize("part", sorted(BREAKS))
def test_where_one_part_cannot_be_written_none_is(mesh: Mesh, part: str) -> None:
    """Whichever of the four fails, nothing of the step is there; mended, the same request takes it once."""
    draft = mesh.district.begin(mesh.mailbox)
    mesh.district.add_document(draft.name)
    request_id = new_id()
    superuser(mesh, BREAKS[part])
    with refused("INTERNAL"):
        mesh.district.submit(draft.name, request_id=request_id)
    assert state_name(mesh.district.get(draft.name)) == "DRAFT"
    assert mesh.district.events(draft.name) == ["CREATED", "DOCUMENT_ADDED"]
    assert intended(mesh.dsn, draft.name) == []
    with refused("NOT_FOUND"):
        mesh.citylab.get(draft.name)
    superuser(mesh, MENDS[part])
    answer = mesh.district.submit(draft.name, request_id=request_id)
    assert mesh.district.submit(draft.name, request_id=request_id) == answer
    assert mesh.citylab.events(draft.name) == ["SUBMITTED"]
    assert intended(mesh.dsn, draft.name) == ["exchange.delivery.submitted"]


def test_what_raises_after_the_writing_leaves_nothing(mesh: Mesh) -> None:
    """A step that is written and not committed was not taken."""
    sent = mesh.district.send(mesh.mailbox)
    database = Database(mesh.dsn, role="exchange_service", schema="exchange", pool_size=1)
    call = Call.internal("test", organisation=mesh.citylab.organisation)
    deliveries = DeliveryStore()

    def claim_and_break_off() -> None:
        with database.transaction(call) as tx:
            delivery = deliveries.lock(tx, DeliveryName(sent.name), call.organisation)
            at = wall_clock()
            changed = delivery.claimed("x", lease=timedelta(hours=1), at=at)
            Steps(deliveries, TimelineStore()).write(tx, [Step(Event.CLAIMED, changed, at)], call)
            raise ArithmeticError

    with pytest.raises(ArithmeticError):
        claim_and_break_off()
    database.close()
    assert mesh.citylab.get(sent.name).etag == sent.etag
    assert mesh.citylab.events(sent.name) == ["SUBMITTED"]
    assert intended(mesh.dsn, sent.name) == ["exchange.delivery.submitted"]


def test_time_ends_claims_and_deliveries_once(mesh: Mesh, jobs: Database) -> None:
    """However many workers do it at once, each end is one entry and one leaf, and nobody acted."""
    names = [mesh.district.send(mesh.mailbox).name for _ in range(60)]
    for name in names[:30]:
        mesh.citylab.claim(name)
    for name in names:
        mesh.let_pass(name, days=20)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: passing(jobs).write_due(), range(4)))
    for name in names[:30]:
        assert mesh.citylab.events(name) == ["SUBMITTED", "CLAIMED", "CLAIM_EXPIRED"]
        assert intended(mesh.dsn, name)[2:] == ["exchange.delivery.claim_expired"]
    entry = mesh.district.timeline(names[0]).timeline_entries[-1]
    assert (entry.organisation, entry.actor, entry.next.organisation) == ("", "", mesh.citylab.organisation)
    for name in names[30:]:
        assert mesh.district.events(name)[-1] == "EXPIRED"
        assert state_name(mesh.district.get(name)) == "EXPIRED"
        assert intended(mesh.dsn, name) == ["exchange.delivery.submitted", "exchange.delivery.expired"]


def test_what_is_not_due_stays(mesh: Mesh, jobs: Database) -> None:
    """A claim and a delivery that have time left are not touched."""
    sent = mesh.district.send(mesh.mailbox)
    mesh.citylab.claim(sent.name)
    passing(jobs).write_due()
    assert mesh.citylab.events(sent.name) == ["SUBMITTED", "CLAIMED"]


def test_an_expired_delivery_can_no_longer_be_claimed(mesh: Mesh) -> None:
    """Whether a job has written it down or not; the sender is told whose turn it is once one has."""
    sent = mesh.district.send(mesh.mailbox)
    mesh.let_pass(sent.name, days=14)
    with refused("STATE_FORBIDS") as found:
        mesh.citylab.claim(sent.name)
    assert found[0].metadata["type"] == "EXPIRED"


def test_old_drafts_go_and_others_stay(mesh: Mesh, jobs: Database) -> None:
    """Only drafts, and only those that nobody changed for long."""
    old, new = mesh.district.begin(mesh.mailbox), mesh.district.begin(mesh.mailbox)
    sent = mesh.district.send(mesh.mailbox)
    for name in (old.name, sent.name):
        mesh.district.events(name)
        mesh.let_pass(name, days=8)
    passing(jobs, draft_days=7).delete_drafts()
    with refused("NOT_FOUND"):
        mesh.district.get(old.name)
    assert state_name(mesh.district.get(new.name)) == "DRAFT"
    assert state_name(mesh.district.get(sent.name)) == "AVAILABLE"


def test_a_later_step_is_linked_to_the_trace_it_began_in() -> None:
    """A span of another trace gets the link, one of the same trace none, and where nothing was traced there is none."""
    tracer = TracerProvider().get_tracer("test")
    with tracer.start_as_current_span("begin") as first:
        origin = origin_of_span()
        link_to(origin)
        assert not first.links  # type: ignore[attr-defined] # the SDK's spans have them
    with trace.use_span(tracer.start_span("later"), end_on_exit=True) as later:
        link_to(origin)
        (link,) = later.links  # type: ignore[attr-defined] # the same
    assert (f"{link.context.trace_id:032x}", f"{link.context.span_id:016x}") == (origin.trace_id, origin.span_id)
    link_to(origin_of_span())


def test_a_service_sees_nothing_by_its_own_role(mesh: Mesh) -> None:
    """The third wall: whatever a statement says, rows of others are not there, and cannot be written."""
    sent = mesh.district.send(mesh.mailbox)
    draft = mesh.district.begin(mesh.mailbox)
    with psycopg.connect(f"{mesh.dsn}&user=exchange_service", autocommit=True) as connection:
        for organisation, seen in (
            ("organisations/stranger", 0),
            ("", 0),
            (mesh.citylab.organisation, 1),
            (mesh.district.organisation, 2),
        ):
            connection.execute("SELECT set_config('verbund.organisation', %s, false)", (organisation,))
            found = connection.execute("SELECT count(*) FROM exchange.deliveries").fetchone()
            documents = connection.execute("SELECT count(*) FROM exchange.documents").fetchone()
            entries = connection.execute("SELECT DISTINCT delivery FROM exchange.timeline ORDER BY 1").fetchall()
            assert (found, documents) == ((seen,), (min(seen, 1),))
            assert len(entries) == seen
            touched = connection.execute("UPDATE exchange.deliveries SET subject = subject").rowcount
            assert touched == seen
        connection.execute("SELECT set_config('verbund.organisation', %s, false)", (mesh.citylab.organisation,))
        assert connection.execute("DELETE FROM exchange.deliveries").rowcount == 0
        assert connection.execute("DELETE FROM exchange.documents").rowcount == 0
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("UPDATE exchange.deliveries SET parties = '{organisations/x}'")
    assert state_name(mesh.district.get(draft.name)) == "DRAFT"
    assert state_name(mesh.district.get(sent.name)) == "AVAILABLE"


def test_a_submission_that_waits_for_an_upload_has_its_document(mesh: Mesh) -> None:
    """Whichever of the two comes first, what was handed over is what the manifest names."""
    draft = mesh.district.begin(mesh.mailbox)
    mesh.district.add_document(draft.name, "a")
    database = Database(mesh.dsn, role="exchange_service", schema="exchange", pool_size=1)
    call = Call.internal("test", organisation=mesh.district.organisation)
    with ThreadPoolExecutor(1) as pool:
        with database.transaction(call) as tx:
            add_document(tx, call, draft.name, "b", b"late", "application/pdf")
            submitting = pool.submit(mesh.district.submit, draft.name)
            with psycopg.connect(f"{mesh.dsn}&user=postgres", autocommit=True) as connection:
                while not connection.execute(WAITING).fetchone():
                    assert not submitting.done()
        submitted = submitting.result()
    database.close()
    assert [document.name.rsplit("/", 1)[-1] for document in submitted.documents] == ["a", "b"]
    lines = "".join(f"{document.sha256}  {document.name.rsplit('/', 1)[-1]}\n" for document in submitted.documents)
    assert submitted.manifest_sha256 == hashlib.sha256(lines.encode()).hexdigest()
