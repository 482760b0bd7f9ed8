"""The exchange as members of the mesh see it: real server, real PostgreSQL, one set of stubs for each organisation."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import grpc
import psycopg
from verbund.clock import wall_clock
from verbund.database.database import Database
from verbund.exchange.deliveries.domain import Document, Event, Step
from verbund.exchange.deliveries.steps import Steps
from verbund.exchange.deliveries.store import DeliveryStore
from verbund.exchange.main import build
from verbund.exchange.timeline.store import TimelineStore
from verbund.exchange.v1 import delivery_service_pb2 as pb
from verbund.exchange.v1 import delivery_service_pb2_grpc, mailbox_service_pb2_grpc
from verbund.exchange.v1 import mailbox_service_pb2 as mailboxes
from verbund.resources.names import DeliveryName, DocumentName, OrganisationName
from verbund.serving.call import Call

from tests.support.members import TIMEOUT_SECONDS, Bearer, environment
from tests.support.serving import served
from tests.support.tokens import Issuer

PDF = "application/pdf"
INSERT_DOCUMENT = """
    INSERT INTO exchange.documents (name, delivery, id, file_name, media_type, size_bytes, sha256, create_time)
    VALUES (%(name)s, %(delivery)s, %(id)s, %(file_name)s, %(media_type)s, %(size_bytes)s, %(sha256)s, %(create_time)s)
"""
LET_PASS = """
    UPDATE exchange.deliveries SET claim_expire_time = claim_expire_time - make_interval(days => %(days)s),
        due_time = due_time - make_interval(days => %(days)s),
        update_time = update_time - make_interval(days => %(days)s)
    WHERE name = %(name)s
"""

FILL = """
    INSERT INTO exchange.deliveries (name, sender, receiver, mailbox, parties, subject, message, project, reference,
        state, manifest_sha256, due_time, trace_id, span_id, revision, create_time, submit_time, update_time)
    SELECT %(sender)s || '/deliveries/fill-' || number, %(sender)s, %(receiver)s, %(mailbox)s,
        ARRAY[%(sender)s, %(receiver)s], 'Füllung', '',
        (%(projects)s::text[])[number %% cardinality(%(projects)s::text[]) + 1], '',
        'available', repeat('0', 64), now() + interval '1 day', '', '', 1, now(), now(), now()
    FROM generate_series(1, %(count)s) AS number
"""


class Member:
    """A system of one organisation, with the exchange's services."""

    def __init__(self, channel: grpc.Channel, token: str, organisation: str, dsn: str) -> None:
        self.organisation = OrganisationName(f"organisations/{organisation}")
        self._dsn = dsn
        signed = grpc.intercept_channel(channel, Bearer(token))
        self.mailboxes = mailbox_service_pb2_grpc.MailboxServiceStub(signed)
        self.deliveries = delivery_service_pb2_grpc.DeliveryServiceStub(signed)

    def open_mailbox(self, mailbox_id: str = "post", *, title: str = "Poststelle", **fields: Any) -> str:
        """A mailbox that everybody may send to, unless `fields` say otherwise; its name."""
        made = self.mailboxes.CreateMailbox(
            mailboxes.CreateMailboxRequest(
                parent=self.organisation, mailbox_id=mailbox_id, mailbox=mailboxes.Mailbox(title=title, **fields)
            ),
            timeout=TIMEOUT_SECONDS,
        )
        return made.name

    def begin(
        self,
        mailbox: str,
        delivery_id: str = "",
        *,
        request_id: str = "",
        **fields: Any,
    ) -> pb.Delivery:
        """A draft without documents."""
        fields.setdefault("subject", "Projektauftrag")
        return self.deliveries.CreateDelivery(
            pb.CreateDeliveryRequest(
                parent=self.organisation,
                delivery_id=delivery_id,
                delivery=pb.Delivery(mailbox=mailbox, **fields),
                request_id=request_id,
            ),
            timeout=TIMEOUT_SECONDS,
        )

    def add_document(
        self,
        delivery: str,
        document_id: str = "order",
        *,
        content: bytes = b"order",
        media_type: str = "application/pdf",
    ) -> Document:
        """A document as an upload leaves it in the database; its content is nowhere."""
        database = Database(self._dsn, role="exchange_service", schema="exchange", pool_size=1)
        call = Call.internal("test", organisation=self.organisation)
        try:
            with database.transaction(call) as tx:
                return add_document(tx, call, delivery, document_id, content, media_type)
        finally:
            database.close()

    def send(self, mailbox: str, delivery_id: str = "", **fields: Any) -> pb.Delivery:
        """A delivery of one document, submitted."""
        draft = self.begin(mailbox, delivery_id, **fields)
        self.add_document(draft.name)
        return self.submit(draft.name)

    def submit(self, name: str, **fields: Any) -> pb.Delivery:
        """Hands a draft over."""
        return self.deliveries.SubmitDelivery(pb.SubmitDeliveryRequest(name=name, **fields), timeout=TIMEOUT_SECONDS)

    def withdraw(self, name: str, **fields: Any) -> pb.Delivery:
        """Takes a delivery back."""
        request = pb.WithdrawDeliveryRequest(name=name, **fields)
        return self.deliveries.WithdrawDelivery(request, timeout=TIMEOUT_SECONDS)

    def claim(self, name: str, **fields: Any) -> pb.Delivery:
        """Claims a delivery."""
        return self.deliveries.ClaimDelivery(pb.ClaimDeliveryRequest(name=name, **fields), timeout=TIMEOUT_SECONDS)

    def release(self, name: str, **fields: Any) -> pb.Delivery:
        """Gives a claim back."""
        return self.deliveries.ReleaseDelivery(pb.ReleaseDeliveryRequest(name=name, **fields), timeout=TIMEOUT_SECONDS)

    def accept(self, name: str, **fields: Any) -> pb.Delivery:
        """Accepts a delivery."""
        return self.deliveries.AcceptDelivery(pb.AcceptDeliveryRequest(name=name, **fields), timeout=TIMEOUT_SECONDS)

    def reject(self, name: str, explanation: str = "Anlage 2 fehlt.", **fields: Any) -> pb.Delivery:
        """Rejects a delivery as incomplete."""
        rejection = pb.Rejection(reason=pb.REJECTION_REASON_INCOMPLETE, explanation=explanation)
        request = pb.RejectDeliveryRequest(name=name, rejection=rejection, **fields)
        return self.deliveries.RejectDelivery(request, timeout=TIMEOUT_SECONDS)

    def get(self, name: str) -> pb.Delivery:
        """Reads a delivery."""
        return self.deliveries.GetDelivery(pb.GetDeliveryRequest(name=name), timeout=TIMEOUT_SECONDS)

    def delete(self, name: str, **fields: Any) -> None:
        """Deletes a draft."""
        self.deliveries.DeleteDelivery(pb.DeleteDeliveryRequest(name=name, **fields), timeout=TIMEOUT_SECONDS)

    def page(self, parent: str = "", **fields: Any) -> pb.ListDeliveriesResponse:
        """A page of what the organisation sends, or of what a mailbox received."""
        request = pb.ListDeliveriesRequest(parent=parent or self.organisation, **fields)
        return self.deliveries.ListDeliveries(request, timeout=TIMEOUT_SECONDS)

    def timeline(self, name: str, **fields: Any) -> pb.ListTimelineEntriesResponse:
        """A page of a delivery's timeline."""
        request = pb.ListTimelineEntriesRequest(parent=name, **fields)
        return self.deliveries.ListTimelineEntries(request, timeout=TIMEOUT_SECONDS)

    def events(self, name: str) -> list[str]:
        """What happened to a delivery, by the events' names."""
        return [event_name(entry.event) for entry in self.timeline(name).timeline_entries]

    @contextmanager
    def watching(self, token: str = "", parent: str = "") -> Iterator[Any]:
        """A watch that stands, of the organisation or one mailbox; ended afterwards."""
        request = pb.WatchDeliveriesRequest(parent=parent or self.organisation, resume_token=token)
        stream = self.deliveries.WatchDeliveries(request, timeout=60)
        assert next(stream).HasField("started")
        try:
            yield stream
        finally:
            stream.cancel()


def add_document(tx: Any, call: Call, delivery: str, document_id: str, content: bytes, media_type: str) -> Document:
    """The database's part of an upload."""
    deliveries = DeliveryStore()
    locked = deliveries.lock(tx, DeliveryName(delivery), call.organisation)
    at = wall_clock()
    document = Document(
        name=DocumentName(f"{delivery}/documents/{document_id}"),
        file_name=f"{document_id}.pdf",
        media_type=media_type,
        size_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        create_time=at,
    )
    changed = locked.with_document(document, documents_max=100, at=at)
    row = {
        field: getattr(document, field) for field in ("name", "id", "file_name", "media_type", "size_bytes", "sha256")
    }
    tx.execute(INSERT_DOCUMENT, delivery=delivery, create_time=at, **row)
    Steps(deliveries, TimelineStore()).write(tx, [Step(Event.DOCUMENT_ADDED, changed, at, document.name)], call)
    return document


def event_name(event: "pb.TimelineEvent.ValueType") -> str:
    """An event without its prefix."""
    return pb.TimelineEvent.Name(event).removeprefix("TIMELINE_EVENT_")


def state_name(delivery: pb.Delivery) -> str:
    """A delivery's state without its prefix."""
    return pb.DeliveryState.Name(delivery.state).removeprefix("DELIVERY_STATE_")


@dataclass(frozen=True)
class Mesh:
    """An exchange worker and its members."""

    channel: grpc.Channel
    issuer: Issuer
    dsn: str

    def member(self, organisation: str, *, system: str = "test", roles: tuple[str, ...] = ("admin",)) -> Member:
        """A system of an organisation."""
        name = f"organisations/{organisation}/systems/{system}"
        token = self.issuer.token(organisation, roles=roles, sub=name, client_id=name, sys=name)
        return Member(self.channel, token, organisation, self.dsn)

    @cached_property
    def district(self) -> Member:
        """Who sends."""
        return self.member("ba-charlottenburg-wilmersdorf")

    @cached_property
    def citylab(self) -> Member:
        """Who receives."""
        return self.member("citylab")

    @cached_property
    def colleague(self) -> Member:
        """Another system of the receiver."""
        return self.member("citylab", system="other")

    @cached_property
    def stranger(self) -> Member:
        """One that takes part in nothing."""
        return self.member("stranger")

    @cached_property
    def operator(self) -> Member:
        """Who runs the mesh."""
        return self.member("betrieb", roles=("operator",))

    @cached_property
    def mailbox(self) -> str:
        """CityLAB's mailbox, which the district alone may send to."""
        return self.citylab.open_mailbox("auftraege", senders=[self.district.organisation])

    def fill(self, count: int, *, projects: Sequence[str] = ("",)) -> None:
        """Puts so many deliveries of the district into the mailbox, the projects taken in turn; without documents."""
        parties = {"sender": self.district.organisation, "receiver": self.citylab.organisation}
        with psycopg.connect(f"{self.dsn}&user=postgres", autocommit=True) as connection:
            stated = {"mailbox": self.mailbox, "projects": list(projects), "count": count}
            connection.execute(FILL, stated | parties)
            connection.execute("ANALYZE exchange.deliveries")

    def let_pass(self, name: str, days: int) -> None:
        """Moves what is to end of a delivery into the past."""
        with psycopg.connect(f"{self.dsn}&user=postgres") as connection:
            connection.execute(LET_PASS, {"name": name, "days": days})


def intended(dsn: str, subject: str) -> list[str]:
    """The kinds of leaves of a subject, which only those find who know its name and the salts."""
    with psycopg.connect(f"{dsn}&user=postgres") as connection:
        rows = connection.execute("SELECT leaf, salt FROM evidence.intents ORDER BY position").fetchall()
    leaves = [(json.loads(bytes(leaf)), bytes(salt)) for leaf, salt in rows]
    return [
        leaf["type"]
        for leaf, salt in leaves
        if leaf["subject"] == f"sha256:{hashlib.sha256(salt + subject.encode()).hexdigest()}"
    ]


@contextmanager
def running(dsn: str, directory: Path, *, number: int = 0, **more: str) -> Iterator[Mesh]:
    """An exchange worker on a database, stopped afterwards."""
    issuer = Issuer(directory)
    stated = settings(dsn, issuer, directory) | more
    with served(lambda verifier: build(stated, verifier), issuer, number=number) as channel:
        yield Mesh(channel, issuer, dsn)


def settings(dsn: str, issuer: Issuer, directory: Path) -> dict[str, str]:
    """A worker's settings: its jobs do nothing by themselves while a test lasts, after their first round."""
    return environment(dsn, issuer, directory) | {
        "VERBUND_EXCHANGE_BLOB_DIR": str(directory / "blobs"),
        "VERBUND_EXCHANGE_FEED_LOOK_SECONDS": "1",
        "VERBUND_EXCHANGE_DUE_SECONDS": "3600",
    }
