"""MailboxService: load, decide, save, show."""

import hashlib
from collections.abc import Callable
from datetime import datetime
from typing import Any

from google.protobuf.descriptor import ServiceDescriptor

from verbund.clock import Clock
from verbund.database.database import Database
from verbund.database.rows import Transaction
from verbund.exchange.mailboxes.domain import Mailbox, State, checked, require_owner
from verbund.exchange.mailboxes.store import MailboxStore
from verbund.exchange.v1 import mailbox_service_pb2 as pb
from verbund.resources import masks
from verbund.resources.names import MailboxName, OrganisationName
from verbund.resources.pages import Page
from verbund.resources.times import timestamp
from verbund.serving.call import Call

STATES = {State.OPEN: pb.MAILBOX_STATE_OPEN, State.CLOSED: pb.MAILBOX_STATE_CLOSED}
CHANGEABLE = ("title", "senders", "media_types", "document_bytes_max", "claim_seconds", "pickup_days")


class MailboxServicer:
    """Where organisations receive documents."""

    service: ServiceDescriptor = pb.DESCRIPTOR.services_by_name["MailboxService"]

    def __init__(self, database: Database, mailboxes: MailboxStore, clock: Clock) -> None:
        self._database = database
        self._mailboxes = mailboxes
        self._clock = clock

    def CreateMailbox(self, request: pb.CreateMailboxRequest, call: Call) -> pb.Mailbox:
        """Makes a mailbox."""
        parent = OrganisationName(request.parent)
        require_owner(parent, call, resource=parent)
        name = MailboxName(f"{parent}/mailboxes/{request.mailbox_id}")
        with self._database.transaction(call) as tx:
            at = self._clock()
            made = Mailbox(name=name, organisation=parent, title="", revision=1, create_time=at, update_time=at)
            mailbox = checked(with_content(made, request.mailbox))
            self._mailboxes.insert(tx, mailbox)
            return answered(tx, call, "created", mailbox)

    def GetMailbox(self, request: pb.GetMailboxRequest, call: Call) -> pb.Mailbox:
        """Reads one mailbox."""
        with self._database.read(call) as rows:
            return to_proto(self._mailboxes.find(rows, MailboxName(request.name), call).told(call))

    def ListMailboxes(self, request: pb.ListMailboxesRequest, call: Call) -> pb.ListMailboxesResponse:
        """Lists an organisation's mailboxes that the caller may know: an unknown one looks as if it had none."""
        page = Page.asked(request, call.organisation)
        parent = OrganisationName(request.parent)
        with self._database.read(call) as rows:
            found, full = self._mailboxes.list(rows, parent, after=page.after, size=page.limit)
        shown = [to_proto(mailbox.told(call)) for mailbox in page.shown(found) if mailbox.known_to(call)]
        return pb.ListMailboxesResponse(mailboxes=shown, next_page_token=page.next_token(found, full=full))

    def UpdateMailbox(self, request: pb.UpdateMailboxRequest, call: Call) -> pb.Mailbox:
        """Changes what a mailbox accepts; an update that changes nothing is answered and told to nobody."""
        given = request.mailbox
        paths = masks.paths(request.update_mask, given, CHANGEABLE)

        def decide(mailbox: Mailbox, at: datetime) -> Mailbox:
            content = to_proto(mailbox)
            masks.apply(content, given, paths)
            return mailbox.updated(with_content(mailbox, content), at=at)

        return self._change(given, call, "updated", decide)

    def CloseMailbox(self, request: pb.CloseMailboxRequest, call: Call) -> pb.Mailbox:
        """Closes a mailbox."""
        return self._change(request, call, "closed", lambda mailbox, at: mailbox.closed(at=at))

    def OpenMailbox(self, request: pb.OpenMailboxRequest, call: Call) -> pb.Mailbox:
        """Opens a mailbox again."""
        return self._change(request, call, "opened", lambda mailbox, at: mailbox.opened(at=at))

    def _change(self, named: Any, call: Call, verb: str, decide: Callable[[Mailbox, datetime], Mailbox]) -> pb.Mailbox:
        """Load, decide, save, show; `named` has the name and the etag."""
        with self._database.transaction(call) as tx:
            present = self._mailboxes.lock(tx, MailboxName(named.name), call)
            require_owner(present.organisation, call, resource=present.name)
            present.check(named.etag)
            changed = decide(present, self._clock())
            if changed is present:
                return tx.answer(to_proto(present))
            self._mailboxes.save(tx, changed)
            return answered(tx, call, verb, changed)


def answered(tx: Transaction, call: Call, verb: str, mailbox: Mailbox) -> pb.Mailbox:
    """The answer to a change, with the leaf that the evidence log is owed."""
    answer = to_proto(mailbox)
    digest = hashlib.sha256(answer.SerializeToString(deterministic=True)).digest()
    parties = dict.fromkeys([call.organisation, mailbox.organisation])
    tx.intend(f"exchange.mailbox.{verb}", mailbox.name, digest, [*filter(None, parties)])
    return tx.answer(answer)


def with_content(mailbox: Mailbox, content: pb.Mailbox) -> Mailbox:
    """A mailbox with what a caller may state of it."""
    return mailbox.stated(
        title=content.title,
        senders=tuple(content.senders),
        media_types=tuple(content.media_types),
        document_bytes_max=content.document_bytes_max,
        claim_seconds=content.claim_seconds,
        pickup_days=content.pickup_days,
    )


def to_proto(mailbox: Mailbox) -> pb.Mailbox:
    """The mailbox as callers see it."""
    return pb.Mailbox(
        name=mailbox.name,
        title=mailbox.title,
        senders=mailbox.senders,
        media_types=mailbox.media_types,
        document_bytes_max=mailbox.document_bytes_max,
        claim_seconds=mailbox.claim_seconds,
        pickup_days=mailbox.pickup_days,
        state=STATES[mailbox.state],
        etag=mailbox.etag,
        create_time=timestamp(mailbox.create_time),
        update_time=timestamp(mailbox.update_time),
    )
