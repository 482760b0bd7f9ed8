"""Each process of the mesh is killed while deliveries are sent and taken over: nothing acknowledged is lost, nothing
half shown.
"""

import hashlib
import json
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
import pytest
from google.protobuf import json_format
from verbund.embedded import home as homes
from verbund.embedded import postgres
from verbund.exchange.v1 import delivery_service_pb2 as pb
from verbund.exchange.v1 import delivery_service_pb2_grpc, mailbox_service_pb2_grpc
from verbund.exchange.v1 import mailbox_service_pb2 as mailboxes

from tests.support.home import Up, mesh_up
from tests.support.load import CALL_SECONDS_MAX, UNLIMITED, Load, System, admitted, kill, opened

pytestmark = [pytest.mark.e2e, pytest.mark.faults, pytest.mark.xdist_group("faults-deliveries")]

CONTENT = b"Projektauftrag, als Beispiel gekennzeichnet"
BROKEN = {"", "UNAVAILABLE", "ConnectError", "ReadError", "RemoteProtocolError", "WriteError"}


@pytest.fixture(scope="module")
def up() -> Iterator[Up]:
    """A mesh whose parts these tests kill."""
    with mesh_up(**UNLIMITED | {"VERBUND_GATEWAY_RATE_BULK": "1000000"}) as up:
        yield up


@pytest.fixture(scope="module")
def systems(up: Up) -> Iterator[tuple[System, System]]:
    """Who sends, and who receives."""
    with admitted(up, sender="system", receiver="admin") as (sender, receiver):
        yield sender, receiver


@pytest.fixture(scope="module")
def mailbox(systems: tuple[System, System]) -> str:
    """The receiver's mailbox."""
    _, receiver = systems
    request = mailboxes.CreateMailboxRequest(
        parent=receiver.organisation, mailbox_id="post", mailbox=mailboxes.Mailbox(title="Poststelle")
    )
    stub = mailbox_service_pb2_grpc.MailboxServiceStub(receiver.channel)
    return stub.CreateMailbox(request, timeout=CALL_SECONDS_MAX).name


class Sender:
    """Sends one delivery after the other, in JSON and by PUT; what was refused is sent again, unchanged."""

    def __init__(self, system: System, mailbox: str) -> None:
        self.acknowledged: list[str] = []
        self._system = system
        self._mailbox = mailbox
        self._begin()

    def __call__(self) -> None:
        """One attempt at what is left of a delivery."""
        http, name = self._system.http, self.name
        if "begun" not in self._done:
            content = {"mailbox": self._mailbox, "subject": "Projektauftrag"}
            where = {"deliveryId": name.rsplit("/", 1)[-1], "requestId": self._ids[0]}
            opened(http.post(f"/v1/{self._system.organisation}/deliveries", params=where, json=content))
            self._done.add("begun")
        if "uploaded" not in self._done:
            where = {"fileName": "auftrag.pdf", "sha256": hashlib.sha256(CONTENT).hexdigest()}
            headers = {"content-type": "application/pdf"}
            opened(http.put(f"/v1/{name}/documents/auftrag", params=where, content=CONTENT, headers=headers))
            self._done.add("uploaded")
        answer = opened(http.post(f"/v1/{name}:submit", json={"requestId": self._ids[1]}))
        delivery = json_format.ParseDict(answer.json(), pb.Delivery())
        assert (delivery.name, delivery.state) == (name, pb.DELIVERY_STATE_AVAILABLE)
        self.acknowledged.append(name)
        self._begin()

    def _begin(self) -> None:
        self._ids = [str(uuid.uuid4()) for _ in range(2)]
        self.name = f"{self._system.organisation}/deliveries/d-{self._ids[0]}"
        self._done: set[str] = set()


class Receiver:
    """Claims and accepts what lies in the mailbox, one after the other; what was refused is tried again, unchanged."""

    def __init__(self, system: System, mailbox: str) -> None:
        self.acknowledged: list[str] = []
        self._deliveries = delivery_service_pb2_grpc.DeliveryServiceStub(system.channel)
        self._mailbox = mailbox
        self._taken: pb.Delivery | None = None
        self._ids: list[str] = []

    def __call__(self) -> None:
        """One attempt."""
        if self._taken is None:
            request = pb.ListDeliveriesRequest(
                parent=self._mailbox, page_size=1, states=[pb.DELIVERY_STATE_AVAILABLE, pb.DELIVERY_STATE_CLAIMED]
            )
            found = self._deliveries.ListDeliveries(request, timeout=CALL_SECONDS_MAX).deliveries
            if not found:
                return
            self._taken, self._ids = found[0], [str(uuid.uuid4()) for _ in range(2)]
        whole(self._taken)
        name, manifest = self._taken.name, self._taken.manifest_sha256
        claim = pb.ClaimDeliveryRequest(name=name, request_id=self._ids[0])
        self._deliveries.ClaimDelivery(claim, timeout=CALL_SECONDS_MAX)
        accept = pb.AcceptDeliveryRequest(name=name, manifest_sha256=manifest, request_id=self._ids[1])
        self._deliveries.AcceptDelivery(accept, timeout=CALL_SECONDS_MAX)
        self.acknowledged.append(name)
        self._taken = None


def whole(delivery: pb.Delivery) -> None:
    """What a receiver sees has its document and its manifest."""
    digest = hashlib.sha256(CONTENT).hexdigest()
    assert [document.sha256 for document in delivery.documents] == [digest]
    assert delivery.manifest_sha256 == hashlib.sha256(f"{digest}  auftrag\n".encode()).hexdigest()


@dataclass(frozen=True)
class Written:
    """What the database has of all deliveries' steps."""

    steps: Counter[tuple[str, str]]  # by delivery and event
    states: dict[str, str]
    leaves: Counter[str]

    @classmethod
    def read(cls, up: Up) -> "Written":
        """Past every wall, as PostgreSQL's own administrator."""
        with psycopg.connect(postgres.dsn(homes.find(up.home), user=postgres.ADMINISTRATOR)) as connection:
            entries = connection.execute("SELECT delivery, event FROM exchange.timeline").fetchall()
            states = connection.execute("SELECT name, state FROM exchange.deliveries").fetchall()
            leaves = connection.execute("SELECT leaf FROM evidence.intents").fetchall()
        kinds = [json.loads(bytes(leaf))["type"] for (leaf,) in leaves]
        prefix = "exchange.delivery."
        return cls(
            Counter((delivery, event) for delivery, event in entries),
            {str(name): str(state) for name, state in states},
            Counter(kind.removeprefix(prefix) for kind in kinds if kind.startswith(prefix)),
        )


@pytest.mark.parametrize("name", ["exchange-0", "exchange-1", "gateway", "postgres"])
def test_a_killed_part_loses_no_delivery_and_shows_none_by_half(
    up: Up, systems: tuple[System, System], mailbox: str, name: str
) -> None:
    """What was acknowledged was done, once; state, timeline and evidence agree for every delivery there is."""
    sender, receiver = systems
    sending, receiving = (Sender(sender, mailbox), Sender(sender, mailbox)), Receiver(receiver, mailbox)
    with Load(*sending, receiving) as load:
        load.go_on(10)
        kill(up, name)
        load.go_on(10)
    assert load.reasons <= BROKEN
    written = Written.read(up)
    submitted = [delivery for each in sending for delivery in each.acknowledged]
    assert len(submitted) == len(set(submitted))
    for delivery in submitted:
        assert written.steps[delivery, "submitted"] == 1
        assert written.states[delivery] in {"available", "claimed", "accepted"}
    for delivery in receiving.acknowledged:
        assert (written.states[delivery], written.steps[delivery, "accepted"]) == ("accepted", 1)
    assert max(count for (_, event), count in written.steps.items() if event != "claimed") == 1
    for event in ("submitted", "claimed", "accepted"):
        assert written.leaves[event] == sum(n for (_, told), n in written.steps.items() if told == event)
    shown = delivery_service_pb2_grpc.DeliveryServiceStub(receiver.channel).ListDeliveries(
        pb.ListDeliveriesRequest(parent=mailbox, page_size=1000), timeout=CALL_SECONDS_MAX
    )
    for found in shown.deliveries:
        whole(found)
        assert written.states[found.name] != "draft"
