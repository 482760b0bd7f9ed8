"""Deliveries: their way from a draft to a decision, who may take which step, and what is refused.

Every step is a function from a delivery to the next; `GRAPH` says which there are. What time has decided holds before
anything else, whether a job has written it down yet or not (`as_of`).
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from verbund.exchange.mailboxes.domain import Mailbox
from verbund.exchange.texts import check_text
from verbund.resources import etags, ids
from verbund.resources.names import DeliveryName, DocumentName, MailboxName, OrganisationName, organisation_of
from verbund.serving.call import Call
from verbund.serving.refusals import Absent, Exhausted, Forbidden, Invalid, StateForbids, Violation

# Whoever comes after a claim that ended has this long, however late it is.
REOPENED = timedelta(days=1)
ID_LENGTH = 26  # more than 120 bits of chance


class State(StrEnum):
    """Where a delivery is on its way."""

    DRAFT = "draft"
    AVAILABLE = "available"
    CLAIMED = "claimed"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


class Event(StrEnum):
    """What can happen to it."""

    CREATED = "created"
    DOCUMENT_ADDED = "document_added"
    DOCUMENT_REMOVED = "document_removed"
    SUBMITTED = "submitted"
    CLAIMED = "claimed"
    RELEASED = "released"
    CLAIM_EXPIRED = "claim_expired"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


class Action(StrEnum):
    """What somebody is to do next."""

    SUBMIT = "submit"
    CLAIM = "claim"
    DECIDE = "decide"
    SEND_ANEW = "send_anew"


# From which states an event leads to which; nothing else happens.
GRAPH: Mapping[Event, tuple[frozenset[State], State]] = {
    Event.DOCUMENT_ADDED: (frozenset({State.DRAFT}), State.DRAFT),
    Event.DOCUMENT_REMOVED: (frozenset({State.DRAFT}), State.DRAFT),
    Event.SUBMITTED: (frozenset({State.DRAFT}), State.AVAILABLE),
    Event.CLAIMED: (frozenset({State.AVAILABLE, State.CLAIMED}), State.CLAIMED),
    Event.RELEASED: (frozenset({State.CLAIMED}), State.AVAILABLE),
    Event.CLAIM_EXPIRED: (frozenset({State.CLAIMED}), State.AVAILABLE),
    Event.ACCEPTED: (frozenset({State.CLAIMED}), State.ACCEPTED),
    Event.REJECTED: (frozenset({State.CLAIMED}), State.REJECTED),
    Event.WITHDRAWN: (frozenset({State.AVAILABLE, State.CLAIMED}), State.WITHDRAWN),
    Event.EXPIRED: (frozenset({State.AVAILABLE}), State.EXPIRED),
}
# What happens to a draft; its sender alone is told of it, then and later.
OF_DRAFTS = frozenset({Event.CREATED, Event.DOCUMENT_ADDED, Event.DOCUMENT_REMOVED})
# What time does, and nobody.
OF_TIME = frozenset({Event.CLAIM_EXPIRED, Event.EXPIRED})
# What a delivery that has ended says to whoever wants a step more.
ENDED: Mapping[State, tuple[str, str]] = {
    State.ACCEPTED: ("ALREADY_DECIDED", "The delivery was accepted."),
    State.REJECTED: ("ALREADY_DECIDED", "The delivery was rejected."),
    State.WITHDRAWN: ("WITHDRAWN", "The sender has withdrawn the delivery."),
    State.EXPIRED: ("EXPIRED", "Nobody claimed the delivery in time."),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A document whose content is whole and on the disk."""

    name: DocumentName
    file_name: str
    media_type: str
    size_bytes: int
    sha256: str
    create_time: datetime

    @property
    def id(self) -> str:
        """The last part of its name."""
        return self.name.rsplit("/", 1)[-1]


@dataclass(frozen=True, slots=True)
class Origin:
    """The span in which a delivery began, in hexadecimal digits; empty where it was not traced."""

    trace_id: str = ""
    span_id: str = ""


UNTRACED = Origin()


@dataclass(frozen=True, slots=True)
class Claim:
    """Who decides on it, and until when."""

    claimant: str
    expire_time: datetime


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why it was rejected: a number of `RejectionReason`, and words."""

    reason: int
    explanation: str


@dataclass(frozen=True, slots=True)
class NextStep:
    """Whose turn it is."""

    organisation: OrganisationName
    action: Action
    due_time: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A delivery as it stands."""

    name: DeliveryName
    sender: OrganisationName
    receiver: OrganisationName
    mailbox: MailboxName
    subject: str
    message: str = ""
    project: str = ""
    reference: str = ""
    state: State = State.DRAFT
    documents: tuple[Document, ...] = ()  # by name
    manifest_sha256: str = ""
    claim: Claim | None = None
    due_time: datetime | None = None
    rejection: Rejection | None = None
    origin: Origin = UNTRACED
    revision: int
    create_time: datetime
    submit_time: datetime | None = None
    update_time: datetime

    @property
    def parties(self) -> tuple[OrganisationName, ...]:
        """The organisations that know of it."""
        if self.state is State.DRAFT or self.sender == self.receiver:
            return (self.sender,)
        return (self.sender, self.receiver)

    @property
    def etag(self) -> str:
        """The etag of this revision."""
        return etags.etag_of(self.revision, self.name)

    @property
    def next(self) -> NextStep | None:
        """Who is to act, how, and until when."""
        match self.state:
            case State.DRAFT:
                return NextStep(self.sender, Action.SUBMIT)
            case State.AVAILABLE:
                return NextStep(self.receiver, Action.CLAIM, self.due_time)
            case State.CLAIMED:
                return NextStep(self.receiver, Action.DECIDE, self.claim.expire_time if self.claim else None)
            case State.REJECTED | State.EXPIRED:
                return NextStep(self.sender, Action.SEND_ANEW)
        return None

    def documents_for(self, organisation: str) -> tuple[Document, ...]:
        """The documents that an organisation sees: what was withdrawn, its receiver sees no more."""
        return () if self.state is State.WITHDRAWN and organisation != self.sender else self.documents

    def check(self, etag: str) -> None:
        """Raises Stale where the caller read another revision."""
        etags.check(etag, self.etag, self.name)

    def as_of(self, at: datetime) -> "tuple[Step, ...]":
        """The steps that time has taken and nobody has written down yet, in order."""
        steps: list[Step] = []
        delivery = self
        if delivery.claim is not None and delivery.claim.expire_time <= at:
            delivery = delivery.reopened(Event.CLAIM_EXPIRED, at=at)
            steps.append(Step(Event.CLAIM_EXPIRED, delivery, at))
        if delivery.state is State.AVAILABLE and delivery.due_time is not None and delivery.due_time <= at:
            delivery = delivery.expired(at=at)
            steps.append(Step(Event.EXPIRED, delivery, at))
        return tuple(steps)

    def with_document(self, document: Document, *, documents_max: int, at: datetime) -> "Delivery":
        """A draft with a document more; raises StateForbids."""
        self.require_place(documents_max=documents_max)
        documents = tuple(sorted((*self.documents, document), key=lambda each: each.name))
        return self._moved(Event.DOCUMENT_ADDED, at, documents=documents)

    def without_document(self, name: DocumentName, *, at: datetime) -> "Delivery":
        """A draft with a document less; raises Absent and StateForbids."""
        self.require_draft()
        documents = tuple(each for each in self.documents if each.name != name)
        if len(documents) == len(self.documents):
            raise Absent(name)
        return self._moved(Event.DOCUMENT_REMOVED, at, documents=documents)

    def submitted(self, mailbox: Mailbox, *, at: datetime) -> "Delivery":
        """Handed over to its mailbox; raises Absent and StateForbids."""
        self.require_draft()
        if not self.documents:
            raise StateForbids(self.name, type="NO_DOCUMENTS", description="A delivery has at least one document.")
        mailbox.require_open()
        for document in self.documents:
            mailbox.require_accepted(document.name, document.media_type, document.size_bytes)
        return self._moved(
            Event.SUBMITTED,
            at,
            manifest_sha256=manifest_of(self.documents),
            due_time=at + mailbox.pickup,
            submit_time=at,
        )

    def claimed(self, by: str, *, lease: timedelta, at: datetime) -> "Delivery":
        """Claimed, or claimed for longer by who has claimed it; raises StateForbids."""
        self._require_open()
        end = at + lease
        if self.claim is not None:
            self._require_claimant(by)
            end = max(end, self.claim.expire_time)
        return self._moved(Event.CLAIMED, at, claim=Claim(by, end))

    def released(self, by: str, *, at: datetime) -> "Delivery":
        """Given back; raises StateForbids."""
        self._require_claimant(by)
        return self.reopened(Event.RELEASED, at=at)

    def accepted(self, by: str, *, manifest_sha256: str = "", at: datetime) -> "Delivery":
        """Taken over by who has claimed it; raises StateForbids, and Invalid where it is not what they computed."""
        self._require_claimant(by)
        if manifest_sha256 and manifest_sha256 != self.manifest_sha256:
            wrong = Violation("manifest_sha256", "is not the delivery's")
            raise Invalid(wrong, reason="DIGEST_MISMATCH")
        return self._moved(Event.ACCEPTED, at, claim=None)

    def rejected(self, by: str, rejection: Rejection, *, at: datetime) -> "Delivery":
        """Not taken over by who has claimed it; raises Invalid and StateForbids."""
        check_text("rejection.explanation", rejection.explanation, lines=True)
        self._require_claimant(by)
        return self._moved(Event.REJECTED, at, claim=None, rejection=rejection)

    def withdrawn(self, *, at: datetime) -> "Delivery":
        """Taken back by its sender; raises StateForbids."""
        self._require_open()
        return self._moved(Event.WITHDRAWN, at, claim=None)

    def reopened(self, event: Event, *, at: datetime) -> "Delivery":
        """Back in the mailbox, for whoever comes next."""
        due = at + REOPENED if self.due_time is None else max(self.due_time, at + REOPENED)
        return self._moved(event, at, claim=None, due_time=due)

    def expired(self, *, at: datetime) -> "Delivery":
        """Claimed by nobody in time."""
        return self._moved(Event.EXPIRED, at)

    def require_sender(self, call: Call) -> None:
        """Raises Forbidden where the caller, who knows the delivery, is not of its sender."""
        if call.organisation != self.sender:
            raise Forbidden("NOT_OWNER", rule=call.rule.name, resource=self.name)

    def require_receiver(self, call: Call) -> None:
        """Raises Forbidden where the caller, who knows the delivery, is not of its receiver."""
        if call.organisation != self.receiver:
            raise Forbidden("NOT_OWNER", rule=call.rule.name, resource=self.name)

    def require_draft(self) -> None:
        """Raises StateForbids where it was submitted."""
        if self.state is not State.DRAFT:
            raise StateForbids(self.name, type="NOT_DRAFT", description="The delivery was submitted.")

    def require_place(self, *, documents_max: int) -> None:
        """Raises StateForbids where it takes no document more."""
        self.require_draft()
        if len(self.documents) >= documents_max:
            raise StateForbids(
                self.name, type="DOCUMENTS_MAX", description=f"A delivery has {documents_max} documents at most."
            )

    def _require_open(self) -> None:
        """Raises StateForbids where it was not submitted, or has ended."""
        if self.state in ENDED:
            kind, description = ENDED[self.state]
            raise StateForbids(self.name, type=kind, description=description)
        if self.state is State.DRAFT:
            raise StateForbids(self.name, type="NOT_SUBMITTED", description="The delivery was not submitted.")

    def _require_claimant(self, by: str) -> None:
        """Raises StateForbids where the caller has not claimed it, or not any more."""
        self._require_open()
        if self.claim is None:
            raise StateForbids(
                self.name,
                type="NOT_CLAIMED",
                description="The caller has not claimed the delivery, or the claim ended.",
            )
        if self.claim.claimant != by:
            raise StateForbids(
                self.name, type="CLAIMED_BY_ANOTHER", description="Somebody else has claimed the delivery."
            )

    def _moved(self, event: Event, at: datetime, **changes: object) -> "Delivery":
        """After an event; where the graph has no such step, it is a fault of ours."""
        origins, target = GRAPH[event]
        if self.state not in origins:
            raise ValueError(f"{event} does not happen to a delivery that is {self.state}")
        revision = revision_after(self.revision, at)
        return replace(self, state=target, revision=revision, update_time=at, **changes)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Step:
    """What happened, and the delivery after it; `document` is the name of the one it was about."""

    event: Event
    delivery: Delivery
    time: datetime
    document: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What a sender states of a new delivery."""

    mailbox: MailboxName
    subject: str
    message: str
    project: str
    reference: str


def begun(parent: OrganisationName, delivery_id: str, given: Draft, *, origin: Origin, at: datetime) -> Delivery:
    """A new draft; raises Invalid."""
    for field in ("subject", "project", "reference"):
        check_text(f"delivery.{field}", getattr(given, field))
    check_text("delivery.message", given.message, lines=True)
    return Delivery(
        name=DeliveryName(f"{parent}/deliveries/{delivery_id or ids.readable(ID_LENGTH)}"),
        sender=parent,
        receiver=organisation_of(given.mailbox),
        mailbox=given.mailbox,
        subject=given.subject,
        message=given.message,
        project=given.project,
        reference=given.reference,
        origin=origin,
        revision=revision_after(0, at),
        create_time=at,
        update_time=at,
    )


def require_own(parent: str, call: Call) -> None:
    """Raises Absent where the parent of a list or a draft is not the caller's organisation, or below it."""
    if organisation_of(parent) != call.organisation:
        raise Absent(parent)


def require_room(drafts: int, *, drafts_max: int) -> None:
    """Raises Exhausted where an organisation has as many drafts as it may have."""
    if drafts >= drafts_max:
        raise Exhausted(limit="drafts")


def manifest_of(documents: Sequence[Document]) -> str:
    """The SHA-256 over what `sha256sum` prints for the documents as files named by their ids, by name."""
    lines = "".join(f"{each.sha256}  {each.id}\n" for each in sorted(documents, key=lambda each: each.name))
    return hashlib.sha256(lines.encode()).hexdigest()


def revision_after(revision: int, at: datetime) -> int:
    """Counts microseconds, so that a delivery deleted and begun again does not repeat an etag."""
    return max(revision + 1, int(at.timestamp() * 1_000_000))
