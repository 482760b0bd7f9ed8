"""Mailboxes: what they accept, who may send to them, who may change them, and what is refused."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from verbund.exchange.texts import check_text
from verbund.resources import etags
from verbund.resources.names import MailboxName, OrganisationName
from verbund.serving.call import Call
from verbund.serving.refusals import Absent, Exhausted, Forbidden, Invalid, StateForbids

CLAIM = timedelta(hours=1)
PICKUP = timedelta(days=14)


class State(StrEnum):
    """Whether it takes deliveries."""

    OPEN = "open"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mailbox:
    """A mailbox of an organisation. 0 and empty lists mean what the proto says."""

    name: MailboxName
    organisation: OrganisationName
    title: str
    senders: tuple[str, ...] = ()
    media_types: tuple[str, ...] = ()
    document_bytes_max: int = 0
    claim_seconds: int = 0
    pickup_days: int = 0
    state: State = State.OPEN
    revision: int
    create_time: datetime
    update_time: datetime

    @property
    def etag(self) -> str:
        """The etag of this revision."""
        return etags.etag_of(self.revision, self.name)

    @property
    def lease(self) -> timedelta:
        """For how long a claim lasts."""
        return timedelta(seconds=self.claim_seconds) or CLAIM

    @property
    def pickup(self) -> timedelta:
        """Within which time a delivery is to be claimed."""
        return timedelta(days=self.pickup_days) or PICKUP

    def known_to(self, call: Call) -> bool:
        """Whether the caller may know of it."""
        return call.principal.is_operator or call.organisation == self.organisation or self.admits(call.organisation)

    def admits(self, sender: str) -> bool:
        """Whether an organisation may send to it."""
        return bool(sender) and (not self.senders or sender in self.senders)

    def told(self, call: Call) -> "Mailbox":
        """As a caller who knows it reads it: a sender learns of no other one."""
        if not self.senders or call.principal.is_operator or call.organisation == self.organisation:
            return self
        return replace(self, senders=(call.organisation,))

    def check(self, etag: str) -> None:
        """Raises Stale where the caller read another revision."""
        etags.check(etag, self.etag, self.name)

    def require_admitted(self, call: Call) -> None:
        """Raises StateForbids where the caller knows the mailbox, and may not send to it."""
        if not self.admits(call.organisation):
            raise StateForbids(
                self.name, type="SENDER_NOT_ADMITTED", description="The mailbox does not name the sender."
            )

    def require_open(self) -> None:
        """Raises StateForbids where it takes no deliveries."""
        if self.state is not State.OPEN:
            raise StateForbids(self.name, type="MAILBOX_CLOSED", description="The mailbox is closed.")

    def require_place(self, waiting: int, *, waiting_max: int, call: Call) -> None:
        """Raises Exhausted where as many of the caller's deliveries wait in it as may; in one's own, all may."""
        if call.organisation != self.organisation and waiting >= waiting_max:
            raise Exhausted(
                limit="waiting deliveries",
                retry_seconds=None,
                reason="MAILBOX_FULL",
                resource=self.name,
                waitingDeliveriesMax=str(waiting_max),
            )

    def require_accepted(self, document: str, media_type: str, size_bytes: int) -> None:
        """Raises StateForbids where it does not take such a document."""
        if not takes_type(self.media_types, media_type):
            raise StateForbids(
                document,
                type="MEDIA_TYPE_NOT_ACCEPTED",
                description=f"The mailbox takes {', '.join(self.media_types)[:200]}.",
            )
        if self.document_bytes_max and size_bytes > self.document_bytes_max:
            raise StateForbids(
                document,
                type="DOCUMENT_TOO_LARGE",
                description=f"The mailbox takes documents of up to {self.document_bytes_max} bytes.",
            )

    def stated(
        self,
        *,
        title: str,
        senders: tuple[str, ...],
        media_types: tuple[str, ...],
        document_bytes_max: int,
        claim_seconds: int,
        pickup_days: int,
    ) -> "Mailbox":
        """With what a caller may state of it."""
        return replace(
            self,
            title=title,
            senders=senders,
            media_types=media_types,
            document_bytes_max=document_bytes_max,
            claim_seconds=claim_seconds,
            pickup_days=pickup_days,
        )

    def updated(self, stated: "Mailbox", *, at: datetime) -> "Mailbox":
        """As stated, a revision later; itself where nothing changes. Raises Invalid."""
        return self if stated == self else checked(replace(stated, revision=self.revision + 1, update_time=at))

    def closed(self, *, at: datetime) -> "Mailbox":
        """Closed; unchanged where it is already."""
        return self._in(State.CLOSED, at)

    def opened(self, *, at: datetime) -> "Mailbox":
        """Open; unchanged where it is already."""
        return self._in(State.OPEN, at)

    def _in(self, state: State, at: datetime) -> "Mailbox":
        if self.state is state:
            return self
        return replace(self, state=state, revision=self.revision + 1, update_time=at)


def require_owner(organisation: str, call: Call, *, resource: str) -> None:
    """Raises Forbidden where the caller is neither of the mailbox's organisation nor runs the mesh."""
    if call.organisation != organisation and not call.principal.is_operator:
        raise Forbidden("NOT_OWNER", rule=call.rule.name, resource=resource)


def require_known(mailbox: Mailbox | None, name: str, call: Call) -> Mailbox:
    """The mailbox; raises Absent where there is none, or none that the caller may know."""
    if mailbox is None or not mailbox.known_to(call):
        raise Absent(name)
    return mailbox


def checked(mailbox: Mailbox) -> Mailbox:
    """The mailbox; raises Invalid where its title is none, or no text."""
    check_text("mailbox.title", mailbox.title)
    if not mailbox.title:
        raise Invalid("mailbox.title", "is required")
    return mailbox


def takes_type(accepted: Sequence[str], media_type: str) -> bool:
    """Whether a media type is one of those that are accepted; parameters are not looked at, nor upper case."""
    if not accepted:
        return True
    essence = media_type.partition(";")[0].strip().lower()
    kind, slash, _ = essence.partition("/")
    return essence in accepted or (bool(slash) and f"{kind}/*" in accepted)
