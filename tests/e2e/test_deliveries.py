"""A delivery over the gateway as JSON, from a mailbox to its acceptance, with its traces."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from verbund.embedded import home as homes
from verbund.traces.reader import Reader

from tests.support.home import Up
from tests.support.load import System, admitted, opened, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("mesh")]


@pytest.fixture(scope="module")
def systems(running: Up) -> Iterator[tuple[System, System, System]]:
    """Who sends, who receives, and who takes part in nothing."""
    with admitted(running, json_sender="system", json_receiver="admin", json_stranger="admin") as found:
        sender, receiver, stranger = found
        yield sender, receiver, stranger


def post(system: System, path: str, body: dict[str, Any], **where: str) -> httpx.Response:
    """A call that was answered."""
    return opened(system.http.post(f"/v1/{path}", params=where, json=body))


def test_a_delivery_goes_its_whole_way_in_json(systems: tuple[System, System, System]) -> None:
    """Mailbox, draft, upload, submission, watch, claim and acceptance; a stranger gets the 404 of what is not there."""
    sender, receiver, stranger = systems
    body = {"title": "Poststelle", "mediaTypes": ["text/plain"], "senders": [sender.organisation]}
    mailbox = post(receiver, f"{receiver.organisation}/mailboxes", body, mailboxId="post").json()["name"]
    body = {"mailbox": mailbox, "subject": "Projektauftrag"}
    begun = post(sender, f"{sender.organisation}/deliveries", body)
    name = begun.json()["name"]
    upload = sender.http.put(
        f"/v1/{name}/documents/a", params={"fileName": "a.txt"}, content=b"a", headers={"content-type": "text/plain"}
    )
    opened(upload)
    with receiver.http.stream("GET", f"/v1/{mailbox}/deliveries:watch") as watch:
        lines = watch.iter_lines()
        assert "started" in json.loads(next(lines))
        submitted = post(sender, f"{name}:submit", {}).json()
        step = json.loads(next(lines))["step"]
    assert (step["delivery"], step["entry"]["event"]) == (name, "TIMELINE_EVENT_SUBMITTED")
    post(receiver, f"{name}:claim", {})
    accepted = post(receiver, f"{name}:accept", {"manifestSha256": submitted["manifestSha256"]})
    assert accepted.json()["state"] == "DELIVERY_STATE_ACCEPTED"
    listed = opened(receiver.http.get(f"/v1/{mailbox}/deliveries", params={"states": "DELIVERY_STATE_ACCEPTED"})).json()
    assert [delivery["name"] for delivery in listed["deliveries"]] == [name]
    entries = opened(sender.http.get(f"/v1/{name}/timeline")).json()["timelineEntries"]
    events = [entry["event"].removeprefix("TIMELINE_EVENT_") for entry in entries]
    assert events == ["CREATED", "DOCUMENT_ADDED", "SUBMITTED", "CLAIMED", "ACCEPTED"]
    assert entries[0]["traceId"] == begun.headers["x-trace-id"] == accepted.json()["traceId"]
    assert entries[-1]["traceId"] == accepted.headers["x-trace-id"]
    for path in (name, f"{name}/timeline", mailbox, f"{mailbox}/deliveries", f"{sender.organisation}/deliveries"):
        assert stranger.http.get(f"/v1/{path}").status_code == httpx.codes.NOT_FOUND
    linked(sender, begun.headers["x-trace-id"], accepted.headers["x-trace-id"])


def linked(system: System, first: str, later: str) -> None:
    """The trace of the later step links to the first one, as soon as the store has it."""
    reader = Reader(homes.find(system.up.home).traces)
    wait_until(lambda: later in reader.linked(first), lambda: f"{reader.linked(first)} link to {first}, not {later}")
