"""Providers: what they are, who may change them, what their tokens give a person, and what is refused."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from verbund.policy.v1 import policy_pb2
from verbund.resources import etags
from verbund.resources.names import OrganisationName, ProviderName
from verbund.serving.call import Call
from verbund.serving.refusals import Forbidden, StateForbids

# The roles that a sign-in can give, in the order in which tokens name them. It makes nobody an operator or a system.
ROLES = ("admin", "approver", "caseworker", "viewer", "auditor", "dpo")
PROVIDERS_MAX = 20  # of one organisation


class State(StrEnum):
    """Whether people can sign in by a provider at present."""

    DRAFT = "draft"
    ACTIVE = "active"
    SUSPENDED = "suspended"


class Fault(StrEnum):
    """What is wrong with a token of a provider: the proto's `TokenFault`, without its prefix."""

    MALFORMED = "MALFORMED"
    ALGORITHM = "ALGORITHM"
    ISSUER = "ISSUER"
    AUDIENCE = "AUDIENCE"
    PROVIDER = "PROVIDER"
    KEY = "KEY"
    SIGNATURE = "SIGNATURE"
    EXPIRED = "EXPIRED"
    TIMES = "TIMES"
    SUBJECT = "SUBJECT"
    REQUIRED_CLAIM = "REQUIRED_CLAIM"
    CLAIM = "CLAIM"
    ROLES = "ROLES"


class TokenRefused(Exception):  # noqa: N818 - a refusal
    """A token of a provider is good for nothing. `description` is for administrators, and quotes no claim's value."""

    def __init__(self, fault: Fault, description: str) -> None:
        super().__init__(fault.value)
        self.fault = fault
        self.description = description


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimMapping:
    """What becomes of the claims of a provider's tokens, and which they must have."""

    name_claim: str = "name"
    email_claim: str = "email"
    roles_claim: str = "roles"
    roles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # by the role at home
    default_roles: tuple[str, ...] = ()
    assurances: Mapping[str, int] = field(default_factory=dict)  # by `acr`
    required_claims: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """What a good token of a provider says of a person, in the mesh's terms. Times are Unix seconds."""

    home_subject: str
    display_name: str
    email: str
    roles: tuple[str, ...]
    assurance: int = policy_pb2.ASSURANCE_LOW
    expires_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """An OpenID provider that an organisation trusts with the sign-in of its people."""

    name: ProviderName
    organisation: OrganisationName
    title: str
    issuer: str
    audience: str
    mapping: ClaimMapping
    email_domains: tuple[str, ...] = ()
    state: State = State.DRAFT
    revision: int = 1
    create_time: datetime
    update_time: datetime
    suspend_time: datetime | None = None
    resume_time: datetime | None = None

    @property
    def etag(self) -> str:
        """The etag of this revision."""
        return etags.etag_of(self.revision, self.name)

    def check(self, etag: str) -> None:
        """Raises Stale where the caller read another revision."""
        etags.check(etag, self.etag, self.name)

    def updated(
        self,
        *,
        title: str,
        issuer: str,
        audience: str,
        mapping: ClaimMapping,
        email_domains: tuple[str, ...],
        at: datetime,
    ) -> "Provider":
        """With another content; raises StateForbids where that would make its people those of another provider."""
        changed = replace(
            self, title=title, issuer=issuer, audience=audience, mapping=mapping, email_domains=email_domains
        )
        if changed == self:
            return self
        if (issuer, audience) != (self.issuer, self.audience) and self.state is not State.DRAFT:
            raise StateForbids(
                self.name,
                type="NOT_A_DRAFT",
                description="Issuer and audience say whose people these are: register another provider instead.",
            )
        return replace(changed, revision=self.revision + 1, update_time=at)

    def activated(self, *, at: datetime) -> "Provider":
        """Active; tokens issued before the end of a suspension stay refused. Unchanged where it is active already."""
        if self.state is State.ACTIVE:
            return self
        resumed = at if self.state is State.SUSPENDED else None
        return replace(self, state=State.ACTIVE, resume_time=resumed, revision=self.revision + 1, update_time=at)

    def suspended(self, *, at: datetime) -> "Provider":
        """Suspended; unchanged where it is already. A draft has nothing to suspend."""
        if self.state is State.SUSPENDED:
            return self
        if self.state is State.DRAFT:
            raise StateForbids(self.name, type="DRAFT", description="Nobody can sign in by a draft.")
        return replace(self, state=State.SUSPENDED, suspend_time=at, revision=self.revision + 1, update_time=at)


def refuse_stranger(organisation: OrganisationName, call: Call) -> None:
    """Raises Forbidden where the caller is neither of the organisation nor an operator."""
    if call.organisation != organisation and not call.principal.is_operator:
        raise Forbidden("NOT_OWNER", rule=call.rule.name, resource=organisation)


def refused(provider: ProviderName, refusal: TokenRefused) -> StateForbids:
    """The refusal of an activation whose token was tried in vain."""
    return StateForbids(provider, type=f"TOKEN_{refusal.fault}", description=refusal.description)


def taken(provider: ProviderName) -> StateForbids:
    """The refusal of a second active provider with one issuer and audience: a token leads to one organisation."""
    return StateForbids(
        provider, type="ISSUER_TAKEN", description="An active provider has this issuer and audience already."
    )


def domain_taken(provider: ProviderName) -> StateForbids:
    """The refusal of a second organisation with an e-mail domain; whose it is already is not told."""
    return StateForbids(
        provider,
        type="EMAIL_DOMAIN_TAKEN",
        description="An active provider of another organisation has one of the e-mail domains already. "
        "Where it is yours, tell whoever runs the mesh.",
    )


def refuse_too_many(count: int, organisation: OrganisationName) -> None:
    """Raises StateForbids where an organisation has as many providers as it may have."""
    if count >= PROVIDERS_MAX:
        raise StateForbids(
            organisation,
            type="PROVIDERS_MAX",
            description=f"An organisation has {PROVIDERS_MAX} providers at most: change a draft.",
        )
