"""How much one sender may have waiting in a mailbox that is not its own."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from verbund.sdk.refusals import Refused

from tests.integration.exchange.mesh import Mesh, running, state_name
from tests.support.members import new_id, refused


@pytest.fixture
def mesh(database_dsn: str, tmp_path: Path) -> Iterator[Mesh]:
    """A worker that lets two deliveries of a sender wait."""
    with running(database_dsn, tmp_path, VERBUND_EXCHANGE_WAITING_DELIVERIES_MAX="2") as found:
        yield found


def ready(mesh: Mesh, mailbox: str) -> str:
    """A draft that can be submitted."""
    draft = mesh.district.begin(mailbox)
    mesh.district.add_document(draft.name)
    return draft.name


def test_a_full_mailbox_takes_no_more_of_its_sender(mesh: Mesh) -> None:
    """What waits counts, claimed or not; the draft stays, and goes when one is withdrawn, accepted or rejected."""
    first, second, third, fourth, fifth = (ready(mesh, mesh.mailbox) for _ in range(5))
    mesh.district.submit(first)
    mesh.district.submit(second)
    mesh.citylab.claim(second)
    request_id = new_id()
    with refused("MAILBOX_FULL") as found:
        mesh.district.submit(third, request_id=request_id)
    told = {key: found[0].metadata[key] for key in ("fixer", "retry", "resource", "waitingDeliveriesMax")}
    assert told == {"fixer": "provider", "retry": "false", "resource": mesh.mailbox, "waitingDeliveriesMax": "2"}
    assert found[0].code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert state_name(mesh.district.get(third)) == "DRAFT"
    mesh.district.withdraw(first)
    assert state_name(mesh.district.submit(third, request_id=request_id)) == "AVAILABLE"
    with refused("MAILBOX_FULL"):
        mesh.district.submit(fourth)
    mesh.citylab.accept(second)
    mesh.district.submit(fourth)
    mesh.citylab.claim(fourth)
    mesh.citylab.reject(fourth)
    mesh.district.submit(fifth)


def test_nobody_else_and_nothing_else_is_bounded_by_it(mesh: Mesh) -> None:
    """Another mailbox, another sender, and one's own mailbox, where one only stands in one's own way."""
    shared, own = mesh.citylab.open_mailbox("offen"), mesh.district.open_mailbox("eigene")
    for mailbox in (mesh.mailbox, mesh.mailbox, shared, shared, *[own] * 4):
        mesh.district.submit(ready(mesh, mailbox))
    for mailbox in (mesh.mailbox, shared):
        with refused("MAILBOX_FULL"):
            mesh.district.submit(ready(mesh, mailbox))
    mesh.stranger.send(shared)
    mesh.citylab.send(shared)


def test_submissions_at_once_do_not_pass_the_bound_together(mesh: Mesh) -> None:
    """As many as there is room for are taken, and the others are told; none is lost."""
    drafts = [ready(mesh, mesh.mailbox) for _ in range(8)]

    def tried(name: str) -> str:
        try:
            mesh.district.submit(name)
        except grpc.RpcError as error:
            return Refused.from_rpc(error).reason
        return ""

    with ThreadPoolExecutor(8) as pool:
        found = sorted(pool.map(tried, drafts))
    assert found == ["", "", *["MAILBOX_FULL"] * 6]
    assert len(mesh.citylab.page(mesh.mailbox).deliveries) == 2
