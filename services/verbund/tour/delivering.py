"""A document from one organisation to another: sent, claimed, verified, accepted, and seen by both sides alike."""

import tempfile
import uuid
from collections.abc import Sequence
from pathlib import Path

import grpc

from verbund.exchange.v1 import delivery_service_pb2 as deliveries
from verbund.exchange.v1 import mailbox_service_pb2 as mailboxes
from verbund.exchange.v1.mailbox_service_pb2_grpc import MailboxServiceStub
from verbund.sdk.client import Client
from verbund.sdk.deliveries import manifest_of
from verbund.sdk.refusals import Refused
from verbund.sdk.transfer import File
from verbund.tour.creation import created
from verbund.tour.mesh import Mesh
from verbund.tour.sample import Member, Sending
from verbund.tour.steps import StepFailed, Told

TIMEOUT_SECONDS = 15.0


def open_mailbox(mesh: Mesh, sending: Sending, owner: Member) -> Told[None]:
    """The receiver has a mailbox, that says what it takes."""
    verb = "opens" if opened(mesh.client(owner.system), sending) else "has"
    line = f"{owner.title} {verb} the mailbox “{sending.mailbox.title}” for every member of the mesh."
    return Told(line, None, {"mailbox": sending.mailbox_name})


def opened(client: Client, sending: Sending) -> bool:
    """Whether the mailbox is new; an earlier tour may have opened it."""
    request = mailboxes.CreateMailboxRequest(
        parent=f"organisations/{sending.owner}",
        mailbox_id=sending.mailbox_id,
        mailbox=sending.mailbox,
        request_id=str(uuid.uuid4()),
    )
    return created(lambda: MailboxServiceStub(client.channel).CreateMailbox(request, timeout=TIMEOUT_SECONDS))


def sent_by(client: Client, sending: Sending, document: File, project: str) -> deliveries.Delivery:
    """A document in its mailbox, through the gateway; it is acknowledged when it is on the disk."""
    return client.send(
        document,
        to=sending.mailbox_name,
        subject=sending.subject,
        message=sending.message,
        project=project,
        request_id=str(uuid.uuid4()),  # each tour sends it anew
    )


def send(client: Client, who: str, sending: Sending, document: File, project: str) -> Told[deliveries.Delivery]:
    """A document goes to the mailbox that was opened."""
    sent = sent_by(client, sending, document, project)
    file = sent.documents[0]
    line = f"{who} sends {file.file_name} ({size_of(file.size_bytes)}) to that mailbox."
    below = [sent.name, f"sha256 {file.sha256}", waiting(sent.next)]
    return Told(line, sent, {"delivery": sent.name, "sha256": file.sha256, "trace": sent.trace_id}, below)


def receive(client: Client, receiver: Member, sent: deliveries.Delivery) -> Told[deliveries.Delivery]:
    """The receiver's system claims it, downloads the document, verifies its SHA-256, and accepts what it has."""
    inbox = client.inbox(sent.mailbox)
    claimed = inbox.claim(sent.name)
    with tempfile.TemporaryDirectory() as folder:
        for number, document in enumerate(claimed.documents):
            client.download(document, Path(folder) / str(number))  # raises where the SHA-256 is another one
    manifest = manifest_of(claimed.documents)
    accepted = inbox.accept(claimed, manifest_sha256=manifest)
    if accepted.state != deliveries.DELIVERY_STATE_ACCEPTED:
        raise StepFailed("The delivery is not accepted.", f"look at it with `verbund delivery {sent.name}`")
    line = f"{receiver.title}'s system claims it, verifies its SHA-256, and accepts it."
    return Told(line, accepted, {"delivery": sent.name, "manifest": manifest})


def follow(client: Client, sender: Member, sent: deliveries.Delivery) -> Told[None]:
    """The sender sees the same timeline as the receiver."""
    entries = client.timeline(sent.name)
    if not entries or entries[-1].event != deliveries.TIMELINE_EVENT_ACCEPTED:
        raise StepFailed("The timeline does not end with the acceptance.", f"see `verbund delivery {sent.name}`")
    line = f"{sender.title} sees the timeline: {len(entries)} steps, the last by {entries[-1].organisation}."
    names = [deliveries.TimelineEvent.Name(entry.event).removeprefix("TIMELINE_EVENT_").lower() for entry in entries]
    return Told(
        line, None, {"timeline": names}, [told(entry, name) for entry, name in zip(entries, names, strict=True)]
    )


def hide(client: Client, stranger: Member, sent: deliveries.Delivery) -> Told[None]:
    """Somebody who is neither sender nor receiver learns not even that the delivery exists."""
    try:
        client.deliveries.get(sent.name)
    except Refused as error:
        refused = error
    else:
        raise StepFailed("A stranger sees the delivery.", "stop the mesh: its rules are not enforced")
    if refused.code is not grpc.StatusCode.NOT_FOUND:
        raise refused
    line = f"{stranger.title} asks for it: {refused.reason}, as for one that never was."
    return Told(line, None, {"reason": refused.reason, **refused.metadata})


def answer(mesh: Mesh, sending: Sending, sender: Member, owner: Member, project: str) -> Told[deliveries.Delivery]:
    """The other side sends the document back, and nobody takes it: a person is to decide on it."""
    opened(mesh.client(owner.system), sending)
    document = File(sending.document, sending.document_name)
    sent = sent_by(mesh.client(sender.system), sending, document, project)
    line = f"{sender.title} sends it back to be confirmed: it waits for a person of {owner.title}."
    return Told(line, sent, {"delivery": sent.name, "trace": sent.trace_id}, [sent.name, waiting(sent.next)])


def told(entry: deliveries.TimelineEntry, name: str) -> str:
    """An entry of the timeline in one line."""
    time = entry.time.ToDatetime().strftime("%H:%M:%S")
    parts = [f"{time} UTC  {name:<14}  {entry.organisation}", waiting(entry.next)]
    return " · ".join(part for part in parts if part)


def waiting(step: deliveries.NextStep) -> str:
    """Who is next, and until when."""
    if not step.organisation:
        return ""
    action = deliveries.NextAction.Name(step.action).removeprefix("NEXT_ACTION_").lower().replace("_", " ")
    due = f" until {step.due_time.ToDatetime():%Y-%m-%d %H:%M} UTC" if step.HasField("due_time") else ""
    return f"next: {step.organisation} to {action}{due}"


def size_of(count: int) -> str:
    """A number of bytes as people read it."""
    units: Sequence[tuple[int, str]] = ((1024**3, "GiB"), (1024**2, "MiB"), (1024, "KiB"))
    for size, unit in units:
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"
