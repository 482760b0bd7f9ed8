"""`verbund send`, `verbund inbox`, `verbund delivery`: documents between organisations, as a system that ready.json
lists.
"""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import click
from google.protobuf.timestamp_pb2 import Timestamp

from verbund.exchange.v1 import delivery_service_pb2 as pb
from verbund.failure import Failure
from verbund.options import Show, json_option
from verbund.resources.names import last
from verbund.sdk.client import Client
from verbund.sdk.connection import client_options
from verbund.sdk.deliveries import manifest_of
from verbund.sdk.transfer import Progress, safe_name, untold

MIB = 1024 * 1024
SHOWN_SECONDS = 0.1
STATE, EVENT, ACTION, REASON = "DELIVERY_STATE_", "TIMELINE_EVENT_", "NEXT_ACTION_", "REJECTION_REASON_"
REASONS = [name.removeprefix(REASON).lower() for name, number in pb.RejectionReason.items() if number]
STATES = [name.removeprefix(STATE).lower() for name, number in pb.DeliveryState.items() if number]


@click.command("send")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--to", required=True, metavar="MAILBOX", help="organisations/…/mailboxes/…")
@click.option("--subject", required=True, help="What it is about, in one line.")
@click.option("--message", default="", help="A message to the receiver.")
@click.option("--project", default="", help="The project of the registry that it concerns: projects/….")
@click.option("--reference", default="", help="Your own reference, a file number for example.")
@json_option
@client_options
def send(
    *,
    client: Client,
    files: tuple[Path, ...],
    to: str,
    subject: str,
    message: str,
    project: str,
    reference: str,
    show: Show,
) -> None:
    """Send FILES to a mailbox, as one delivery.

    The same command again goes on where it was interrupted, and sends nothing twice within 48 hours.
    """
    with bar("sent") as progress:
        sent = client.send(
            files, to=to, subject=subject, message=message, project=project, reference=reference, progress=progress
        )
    show(sent, lines_of(sent))


class Inbox(click.Group):
    """`verbund inbox MAILBOX` is `verbund inbox list MAILBOX`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Puts in the verb that was left out."""
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = ["list", *args]
        return super().parse_args(ctx, args)


@click.group("inbox", cls=Inbox, subcommand_metavar="MAILBOX | COMMAND [ARGS]...")
def inbox() -> None:
    """See what MAILBOX holds, organisations/…/mailboxes/…, and act on a delivery in it."""


@inbox.command("list", short_help="List the deliveries of a mailbox.")
@click.argument("mailbox")
@click.option("--watch", is_flag=True, help="Go on, and print each step of each delivery as it happens.")
@click.option("--state", "states", multiple=True, type=click.Choice(STATES), help="Only these states; repeatable.")
@click.option("--limit", default=50, type=click.IntRange(1, 10_000), show_default=True)
@json_option
@client_options
def list_(*, client: Client, mailbox: str, watch: bool, states: tuple[str, ...], limit: int, show: Show) -> None:
    """List the deliveries of MAILBOX, the newest first."""
    box = client.inbox(mailbox)
    if watch:
        for message in box.watch():
            show(message, f"{last(message.step.delivery):<28} {line_of(message.step.entry)}")
        return
    wanted = [pb.DeliveryState.Value(f"{STATE}{state.upper()}") for state in states]
    for each in islice(box.list(*wanted), limit):
        show(each, f"{each.name}  {word(pb.DeliveryState, STATE, each.state):<10} {each.subject}")


@inbox.command("claim", short_help="Claim a delivery, to be the only one who acts on it.")
@click.argument("name")
@click.option("--seconds", default=0, type=click.IntRange(0, 604_800), help="For how long; else as the mailbox says.")
@json_option
@client_options
def claim(*, client: Client, name: str, seconds: int, show: Show) -> None:
    """Claim the delivery NAME: nobody else can accept or reject it meanwhile."""
    found = client.deliveries.claim(name, lease_seconds=seconds)
    show(found, lines_of(found))


@inbox.command("release", short_help="Give the claim of a delivery back.")
@click.argument("name")
@json_option
@client_options
def release(*, client: Client, name: str, show: Show) -> None:
    """Give the claim of the delivery NAME back."""
    found = client.deliveries.release(name)
    show(found, lines_of(found))


@inbox.command("download", short_help="Download the documents of a delivery, verified.")
@click.argument("name")
@click.option(
    "--into",
    "folder",
    default=Path(),
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="The directory; else the present one.",
)
@json_option
@client_options
def download(*, client: Client, name: str, folder: Path, show: Show) -> None:
    """Download the documents of the delivery NAME, each verified by its SHA-256; the last line is the manifest's."""
    documents = client.deliveries.get(name).documents
    for document, place in zip(documents, places(documents, folder), strict=True):
        if place.exists():
            remedy = "move it away, or name another directory with --into."
            raise Failure(f"{place} is there already, and is not overwritten.", who="You", remedy=remedy)
        with bar(place.name) as progress:
            client.download(document, place, progress=progress)
        kept = {"document": document.name, "path": str(place), "sha256": document.sha256}
        show(kept, f"{document.sha256}  {place}")
    manifest = manifest_of(documents)
    show({"manifestSha256": manifest}, f"{manifest}  manifest of {name}")


def places(documents: Sequence[pb.Document], folder: Path) -> list[Path]:
    """Where each document goes: two of the same name are told apart by their ids."""
    names = [safe_name(document) for document in documents]
    return [
        folder / (name if names.count(name) == 1 else f"{last(document.name)}-{name}")
        for name, document in zip(names, documents, strict=True)
    ]


@inbox.command("accept", short_help="Accept a claimed delivery.")
@click.argument("name")
@click.option("--manifest", default="", metavar="SHA256", help="What `download` printed: it must be the delivery's.")
@json_option
@client_options
def accept(*, client: Client, name: str, manifest: str, show: Show) -> None:
    """Accept the claimed delivery NAME: your organisation answers for it from here on."""
    found = client.deliveries.accept(name, manifest_sha256=manifest)
    show(found, lines_of(found))


@inbox.command("reject", short_help="Reject a claimed delivery, with a reason.")
@click.argument("name")
@click.option("--reason", required=True, type=click.Choice(REASONS))
@click.option("--explanation", required=True, help="What is wrong, and what the sender can do.")
@json_option
@client_options
def reject(*, client: Client, name: str, reason: str, explanation: str, show: Show) -> None:
    """Reject the claimed delivery NAME, with a reason that the sender can act on."""
    number = pb.RejectionReason.Value(f"{REASON}{reason.upper()}")
    found = client.deliveries.reject(name, number, explanation)
    show(found, lines_of(found))


@click.command("delivery")
@click.argument("name")
@click.option("--withdraw", is_flag=True, help="Take it back first: as its sender, before it is accepted or rejected.")
@json_option
@client_options
def delivery(*, client: Client, name: str, withdraw: bool, show: Show) -> None:
    """Show the delivery NAME, organisations/…/deliveries/…: what happened to it, who is next, and until when."""
    found = client.withdraw(name) if withdraw else client.deliveries.get(name)
    entries = client.timeline(name)
    told = [*lines_of(found), *(f"  {line_of(entry)}" for entry in entries)]
    show({"delivery": found, "timeline": list(entries)}, told)


def lines_of(found: pb.Delivery) -> Iterator[str]:
    """A delivery: its name and state, its documents, who is next."""
    yield f"{found.name}  {word(pb.DeliveryState, STATE, found.state)}  {found.subject}"
    for document in found.documents:
        yield f"  {document.sha256}  {document.size_bytes:>12,} bytes  {document.file_name}"
    if found.HasField("rejection"):
        explanation = " ".join(found.rejection.explanation.split())
        yield f"  rejected: {word(pb.RejectionReason, REASON, found.rejection.reason)}, {explanation}"
    if found.HasField("next"):
        yield f"  next: {next_of(found.next)}"


def line_of(entry: pb.TimelineEntry) -> str:
    """An entry of the timeline in one line."""
    who = f" by {entry.organisation}" if entry.organisation else ""
    what = f" ({last(entry.document)})" if entry.document else ""
    then = f"; next: {next_of(entry.next)}" if entry.HasField("next") else ""
    return f"{moment(entry.time)}  {word(pb.TimelineEvent, EVENT, entry.event)}{what}{who}{then}"


def next_of(step: pb.NextStep) -> str:
    """Who is next, what they do, until when."""
    until = f" until {moment(step.due_time)}" if step.HasField("due_time") else ""
    return f"{step.organisation}, {word(pb.NextAction, ACTION, step.action)}{until}"


def moment(time_: Timestamp) -> str:
    """A time as a person reads it."""
    return f"{time_.ToDatetime():%Y-%m-%d %H:%M:%S} UTC"


def word(kind: Any, prefix: str, number: int) -> str:
    """An enum's value in words; one of a later version by its number."""
    names: dict[int, str] = {value: name for name, value in kind.items()}
    return names.get(number, str(number)).removeprefix(prefix).lower().replace("_", " ")


@contextmanager
def bar(what: str) -> Iterator[Progress]:
    """A progress bar for whoever watches a terminal; nothing for a log."""
    if not sys.stderr.isatty():
        yield untold
        return
    shown = 0.0

    def progress(done: int, size: int) -> None:
        nonlocal shown
        now = time.monotonic()
        if now - shown >= SHOWN_SECONDS or done == size:
            shown = now
            share = done * 100 // max(size, 1)
            line = f"\r{share:3} % of {size / MIB:,.1f} MiB {what} [{'#' * (share // 4):<25}]"
            click.echo(line, err=True, nl=False)

    yield progress
    if shown:
        click.echo(err=True)
