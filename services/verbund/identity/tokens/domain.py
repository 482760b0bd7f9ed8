"""Clients, the access tokens they get (RFC 9068), and what they are told when they get none."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from verbund.identity.providers.domain import ClaimMapping
from verbund.openid.requests import OAuthError
from verbund.resources.names import OrganisationName, PersonName, ProviderName, SystemName

# A system proves that it holds a key of its own, which its organisation's administrator registered.
ASSURANCE = "substantial"

Form = Mapping[str, str]


class ClientRefused(OAuthError):  # noqa: N818 - a refusal
    """The client did not prove who it is, or takes no part in the mesh."""

    def __init__(self) -> None:
        super().__init__("invalid_client", status=401)


class GrantRefused(OAuthError):  # noqa: N818 - a refusal
    """The subject token is good for nothing here. There is one such refusal, whatever was wrong."""

    def __init__(self) -> None:
        super().__init__("invalid_grant", "the subject token is not one that this mesh accepts")


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A system at the token endpoint, read before it has proven to be one."""

    name: SystemName
    organisation: OrganisationName
    roles: tuple[str, ...] = ()
    keys: dict[str, str]  # public keys, JSON by thumbprint
    active: bool = False
    # When it or its organisation last came back from a suspension: tokens issued up to then stay refused.
    resume_time: datetime | None = None
    signing_kid: str | None = None  # the mesh's key that signs at present


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """The active provider that a token names, and the person that it knows by the token's subject, if it does.

    It is read before the token has proven anything.
    """

    provider: ProviderName
    organisation: OrganisationName
    issuer: str
    audience: str
    mapping: ClaimMapping
    resume_time: datetime | None = None
    signing_kid: str | None = None
    person: PersonName | None = None
    display_name: str | None = None
    email: str | None = None


def issue_time(resume_time: datetime | None, now: float) -> int:
    """The second that a token is issued at, after those that a suspension ended."""
    resumed = int(resume_time.timestamp()) if resume_time else 0
    return max(int(now), resumed + 1)


@dataclass(frozen=True, slots=True)
class Terms:
    """What all tokens of the mesh say alike, and how long they live at most."""

    issuer: str
    audience: str
    life_seconds: int


@dataclass(frozen=True, slots=True)
class Issued:
    """A token, how long it lives, what it is where the grant says that, and what comes with it."""

    token: str
    life_seconds: int
    kind: str = ""
    more: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessToken:
    """A token before it is signed. Times are Unix seconds."""

    terms: Terms
    subject: SystemName | PersonName
    client_id: str
    organisation: OrganisationName
    roles: tuple[str, ...]
    assurance: str
    system: SystemName | None = None
    provider: ProviderName | None = None  # of a person
    session: str = ""  # of a person in a browser: what ends with it
    actor: SystemName | None = None  # the system that a person's token was given to
    token_id: str
    issued_at: int
    life_seconds: int
    signing_kid: str | None

    @classmethod
    def of_system(cls, client: Client, terms: Terms, *, token_id: str, now: float) -> "AccessToken":
        """A system's own token."""
        return cls(
            terms=terms,
            subject=client.name,
            client_id=client.name,
            organisation=client.organisation,
            roles=client.roles,
            assurance=ASSURANCE,
            system=client.name,
            token_id=token_id,
            issued_at=issue_time(client.resume_time, now),
            life_seconds=terms.life_seconds,
            signing_kid=client.signing_kid,
        )

    def claims(self) -> dict[str, Any]:
        """The claims, as RFC 9068 and the mesh have them. No name and no address of a person is among them."""
        claims = {
            "iss": self.terms.issuer,
            "aud": self.terms.audience,
            "sub": self.subject,
            "client_id": self.client_id,
            "org": self.organisation,
            "roles": list(self.roles),
            "acr": self.assurance,
            "jti": self.token_id,
            "iat": self.issued_at,
            "exp": self.issued_at + self.life_seconds,
        }
        if self.system:
            claims["sys"] = self.system
        if self.provider:
            claims["idp"] = self.provider
        if self.session:
            claims["sid"] = self.session
        if self.actor:
            claims["act"] = {"sub": self.actor}
        return claims
