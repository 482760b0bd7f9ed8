"""Invitations: what they are, what may become of them, and what is refused."""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from verbund.identity.systems.domain import Key
from verbund.identity.systems.jwk import Jwk
from verbund.resources import etags, ids
from verbund.resources.names import InvitationName, OrganisationName, SystemName
from verbund.serving.call import Call
from verbund.serving.refusals import Forbidden, Invalid, StateForbids

CODE_BYTES = 32
MISSES_MAX = 10
LIFE = timedelta(days=14)
LIFE_MAX = timedelta(days=90)
# Who accepted on the last day still finds an operator in time.
ADMISSION = timedelta(days=30)
NO_DIGEST = bytes(32)  # of no code


class State(StrEnum):
    """What has become of an invitation; EXPIRED is never stored."""

    INVITED = "invited"
    ACCEPTED = "accepted"
    ADMITTED = "admitted"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """An offer to one organisation to join the mesh with one system. Of its code only the SHA-256 is known."""

    name: InvitationName
    organisation: OrganisationName
    organisation_title: str
    system: SystemName
    system_title: str
    roles: tuple[str, ...]
    code_digest: bytes
    misses: int = 0
    state: State = State.INVITED
    confirmed_title: str = ""
    key: Key | None = None
    creator: str
    revision: int = 1
    expire_time: datetime
    create_time: datetime
    update_time: datetime

    @classmethod
    def made(
        cls,
        organisation: OrganisationName,
        organisation_title: str,
        *,
        system: SystemName,
        system_title: str,
        roles: Sequence[str],
        code: str,
        creator: str,
        expire_time: datetime,
        at: datetime,
    ) -> "Invitation":
        """A new invitation."""
        return cls(
            name=new_name(),
            organisation=organisation,
            organisation_title=organisation_title,
            system=system,
            system_title=system_title,
            roles=tuple(roles),
            code_digest=digest_of(code),
            creator=creator,
            expire_time=expire_time,
            create_time=at,
            update_time=at,
        )

    @property
    def etag(self) -> str:
        """The etag of this revision."""
        return etags.etag_of(self.revision, self.name)

    def check(self, etag: str) -> None:
        """Raises Stale where the caller read another revision."""
        etags.check(etag, self.etag, self.name)

    def state_at(self, now: datetime) -> State:
        """What has become of it by then: nothing more happens to one whose time passed before it was admitted."""
        waiting = self.state in (State.INVITED, State.ACCEPTED)
        return State.EXPIRED if waiting and self.expire_time <= now else self.state

    def accepted(self, key: Jwk, title: str, *, call: Call, at: datetime) -> "Invitation":
        """Accepted by whoever proved the code; unchanged where it was with the same key and title, so that a repetition
        has the same answer. Raises Forbidden, which does not say why.
        """
        state = self.state_at(at)
        if state in (State.ACCEPTED, State.ADMITTED) and self.was_accepted_with(key, title):
            return self
        if state is not State.INVITED:
            raise refused(call)
        expire_time = max(self.expire_time, at + ADMISSION)
        accepted = replace(self, confirmed_title=title, key=Key(key, at), expire_time=expire_time)
        return accepted.became(State.ACCEPTED, at=at)

    def was_accepted_with(self, key: Jwk, title: str) -> bool:
        """Whether it was accepted by the same call."""
        return self.key is not None and self.key.jwk.kid == key.kid and self.confirmed_title == title

    def withdrawn(self, *, at: datetime) -> "Invitation":
        """Worth nothing any more; unchanged where it is already. Raises StateForbids."""
        if self.state is State.WITHDRAWN:
            return self
        if self.state is State.ADMITTED:
            raise self.forbids(at, "Who was admitted is a member: suspend the organisation instead.")
        return self.became(State.WITHDRAWN, at=at)

    def admitted(self, *, call: Call, at: datetime) -> "Invitation":
        """Admitted, with the key and the title that were sent. Raises StateForbids."""
        if self.state_at(at) is not State.ACCEPTED:
            raise self.forbids(at, "Only an invitation that was accepted, and has not expired, can be admitted.")
        person = call.principal.system is None
        if person and call.principal.subject == self.creator:
            raise StateForbids(
                self.name, type="SECOND_PERSON", description="Another person must admit than the one who invited."
            )
        return self.became(State.ADMITTED, at=at)

    def became(self, state: State, *, at: datetime) -> "Invitation":
        """In another state."""
        return replace(self, state=state, revision=self.revision + 1, update_time=at)

    def forbids(self, at: datetime, description: str) -> StateForbids:
        """The refusal of what its state does not allow."""
        return StateForbids(self.name, type=f"INVITATION_{self.state_at(at).name}", description=description)


def proven(invitation: Invitation | None, code: str) -> Invitation | None:
    """The invitation, where the code is its own and was not guessed at too often.

    One that does not exist takes as long as a wrong code.
    """
    digest = NO_DIGEST if invitation is None else invitation.code_digest
    right = hmac.compare_digest(digest_of(code), digest)
    return invitation if invitation is not None and right and invitation.misses < MISSES_MAX else None


def refused(call: Call) -> Forbidden:
    """The one refusal of whoever cannot accept."""
    return Forbidden("INVITATION_INVALID", rule=call.rule.name)


def expiry(asked_seconds: int | None, *, at: datetime) -> datetime:
    """Until when an invitation is open; `asked_seconds` of Unix time, or None for the usual time. Raises Invalid."""
    if asked_seconds is None:
        return at + LIFE
    if not at.timestamp() < asked_seconds <= (at + LIFE_MAX).timestamp():
        raise Invalid("invitation.expire_time", "must be in the next 90 days")
    return datetime.fromtimestamp(asked_seconds, UTC)


def new_code() -> str:
    """A secret of 256 bits, base64url."""
    return secrets.token_urlsafe(CODE_BYTES)


def digest_of(code: str) -> bytes:
    """What is kept of a code. It has too many bits to be found again from that, so no salt and no slow hash."""
    return hashlib.sha256(code.encode()).digest()


def new_name() -> InvitationName:
    """A name that nobody guesses."""
    return InvitationName(f"invitations/{ids.opaque()}")
