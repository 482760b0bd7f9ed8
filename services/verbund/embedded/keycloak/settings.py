"""The settings of Keycloak in the embedded mode, VERBUND_KEYCLOAK_*."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from verbund.embedded.settings import address
from verbund.settings import SettingError, load

PREFIX = "VERBUND_KEYCLOAK_"
HOST = "127.0.0.1"
PORT_MAX = 65535
COMMAND = "verbund up --idp keycloak"
PORT_SETTING, DATABASE_PORT_SETTING = f"{PREFIX}PORT", f"{PREFIX}DATABASE_PORT"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeycloakSettings:
    """Read by `verbund up --idp keycloak` only."""

    # Where people sign in, on 127.0.0.1.
    port: int = 8445
    # Where PostgreSQL listens for Keycloak alone, on 127.0.0.1: Java's driver knows no Unix sockets.
    database_port: int = 8446
    # How much memory its objects may take; the process takes about as much again.
    heap_mib_max: int = 384

    def __post_init__(self) -> None:
        """Refuses ports that do not exist, and bounds that Keycloak cannot start in."""
        if not all(0 < port <= PORT_MAX for port in (self.port, self.database_port)):
            raise ValueError(f"PORT and DATABASE_PORT must be from 1 to {PORT_MAX}")
        if self.heap_mib_max < 192:  # noqa: PLR2004 - measured: below it the first start fails
            raise ValueError("HEAP_MIB_MAX must be at least 192")

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Self:
        """The settings; raises SettingError, also where two of the mesh's ports are the same."""
        found = load(cls, environment, prefix=PREFIX)
        ports = (address(environment).port, found.port, found.database_port)
        if len(set(ports)) != len(ports):
            raise SettingError(
                f"VERBUND_GATEWAY_PORT, {PORT_SETTING} and {DATABASE_PORT_SETTING} are {', '.join(map(str, ports))}: "
                "each needs one of its own"
            )
        return found

    @property
    def url(self) -> str:
        """Where Keycloak answers."""
        return f"https://{HOST}:{self.port}"

    def issuer(self, realm: str) -> str:
        """The issuer of a realm."""
        return f"{self.url}/realms/{realm}"
