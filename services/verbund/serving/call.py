"""One call: who makes it, under which rule, until when.

It is made once, by the authentication interceptor, and handed down explicitly.
"""

import dataclasses
import time
from dataclasses import dataclass, field

from verbund.policy.table import Rule
from verbund.policy.v1 import policy_pb2
from verbund.resources.names import NOBODY, OrganisationName, PersonName, ProviderName, SystemName


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who calls, as the token says. Times are Unix seconds."""

    subject: str
    organisation: OrganisationName
    system: SystemName | None = None
    provider: ProviderName | None = None  # by which a person signed in at home
    actor: SystemName | None = None  # that the person's token was given to
    roles: frozenset[str] = frozenset()
    assurance: int = policy_pb2.ASSURANCE_LOW
    token_id: str = ""
    session: str = ""  # of a person in a browser: what ends with it
    issued_at: int = 0
    expires_at: int = 0

    @property
    def person(self) -> PersonName | None:
        """The person who calls, where it is one."""
        return PersonName(self.subject) if self.provider else None

    @property
    def is_operator(self) -> bool:
        """Whether the caller runs the mesh."""
        return "operator" in self.roles


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call.

    `deadline` is in seconds of `time.monotonic()`; `request_digest` is the SHA-256 of the request without its
    `request_id`.
    """

    principal: Principal
    rule: Rule
    method: str
    deadline: float
    request_id: str = ""
    request_digest: bytes = field(default=b"", repr=False)
    trace_id: str = ""

    @property
    def organisation(self) -> OrganisationName:
        """The caller's organisation."""
        return self.principal.organisation

    def remaining_seconds(self) -> float:
        """How long the call may still take; negative when it is over."""
        return self.deadline - time.monotonic()

    def within(self, seconds: float) -> "Call":
        """The same call with less time, for one step of it."""
        return dataclasses.replace(self, deadline=min(self.deadline, time.monotonic() + seconds))

    @classmethod
    def internal(cls, name: str, *, organisation: OrganisationName = NOBODY, deadline_seconds: float = 30.0) -> "Call":
        """A call that the service makes itself: a job, a command, an HTTP route acting for an organisation.

        `name` says which.
        """
        rule = Rule(
            name=name,
            permission="",
            audience=policy_pb2.AUDIENCE_SIGNED_IN,
            least_assurance=policy_pb2.ASSURANCE_LOW,
            rate=policy_pb2.RATE_WRITE,
        )
        principal = Principal(subject=name, organisation=organisation)
        return cls(principal=principal, rule=rule, method=name, deadline=time.monotonic() + deadline_seconds)
