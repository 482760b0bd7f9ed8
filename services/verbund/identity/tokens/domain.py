"""Clients, the access tokens they get (RFC 9068), and what they are told when they get none."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from verbund.resources.names import OrganisationName, SystemName

# A system proves that it holds a key of its own, which its organisation's administrator registered.
ASSURANCE = "substantial"


class OAuthError(Exception):
    """An error of RFC 6749, section 5.2. `invalid_client` has no description: what was wrong is nobody's business."""

    def __init__(self, code: str, description: str = "", *, status: int = 400) -> None:
        super().__init__(code)
        self.code = code
        self.description = description
        self.status = status


class ClientRefused(OAuthError):  # noqa: N818 - a refusal
    """The client did not prove who it is, or takes no part in the mesh."""

    def __init__(self) -> None:
        super().__init__("invalid_client", status=401)


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

    def issue_time(self, now: float) -> int:
        """The second that a token is issued at, after those that a suspension ended."""
        resumed = int(self.resume_time.timestamp()) if self.resume_time else 0
        return max(int(now), resumed + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessToken:
    """A token before it is signed. Times are Unix seconds."""

    issuer: str
    audience: str
    client: Client
    token_id: str
    issued_at: int
    life_seconds: int

    def claims(self) -> dict[str, Any]:
        """The claims, as RFC 9068 and the mesh have them."""
        return {
            "iss": self.issuer,
            "aud": self.audience,
            "sub": self.client.name,
            "client_id": self.client.name,
            "org": self.client.organisation,
            "sys": self.client.name,
            "roles": list(self.client.roles),
            "acr": ASSURANCE,
            "jti": self.token_id,
            "iat": self.issued_at,
            "exp": self.issued_at + self.life_seconds,
        }
