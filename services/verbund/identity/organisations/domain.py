"""Organisations: what they are, what may become of them, and what is refused."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from verbund.resources import etags
from verbund.resources.names import OrganisationName
from verbund.serving.call import Call
from verbund.serving.refusals import Forbidden, StateForbids


class State(StrEnum):
    """Whether an organisation or a system takes part at present."""

    ACTIVE = "active"
    SUSPENDED = "suspended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Organisation:
    """A member of the mesh."""

    name: OrganisationName
    title: str
    state: State = State.ACTIVE
    revision: int = 1
    create_time: datetime
    update_time: datetime
    suspend_time: datetime | None = None
    resume_time: datetime | None = None

    @classmethod
    def admitted(cls, name: OrganisationName, title: str, *, at: datetime) -> "Organisation":
        """A new member."""
        return cls(name=name, title=title, create_time=at, update_time=at)

    @property
    def etag(self) -> str:
        """The etag of this revision."""
        return etags.etag_of(self.revision, self.name)

    def check(self, etag: str) -> None:
        """Raises Stale where the caller read another revision."""
        etags.check(etag, self.etag, self.name)

    def refuse_stranger(self, call: Call) -> None:
        """Raises Forbidden where the caller is neither of the organisation nor an operator."""
        if call.organisation != self.name and not call.principal.is_operator:
            raise Forbidden("NOT_OWNER", rule=call.rule.name, resource=self.name)

    def retitled(self, title: str, *, at: datetime) -> "Organisation":
        """With another title."""
        return self if title == self.title else replace(self, title=title, revision=self.revision + 1, update_time=at)

    def suspended(self, *, call: Call, at: datetime) -> "Organisation":
        """Suspended; unchanged where it is already, so that an emergency's repetition is no error."""
        if call.organisation == self.name:
            raise StateForbids(self.name, type="OWN_ORGANISATION", description="An operator cannot shut itself out.")
        if self.state is State.SUSPENDED:
            return self
        return replace(self, state=State.SUSPENDED, suspend_time=at, revision=self.revision + 1, update_time=at)

    def resumed(self, *, at: datetime) -> "Organisation":
        """Active again; unchanged where it is already."""
        if self.state is State.ACTIVE:
            return self
        return replace(self, state=State.ACTIVE, resume_time=at, revision=self.revision + 1, update_time=at)
