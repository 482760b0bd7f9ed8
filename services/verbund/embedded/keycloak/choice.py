"""What `verbund up --idp keycloak` looks at before it starts anything."""

from collections.abc import Mapping
from dataclasses import dataclass

from verbund.embedded import ports, postgres
from verbund.embedded.home import Home
from verbund.embedded.keycloak import program, server
from verbund.embedded.keycloak.program import Program
from verbund.embedded.keycloak.settings import COMMAND, DATABASE_PORT_SETTING, HOST, PORT_SETTING, KeycloakSettings
from verbund.embedded.progress import Progress
from verbund.provider import stage


@dataclass(frozen=True, slots=True)
class Choice:
    """A Keycloak that can be started."""

    program: Program
    settings: KeycloakSettings

    @property
    def guest(self) -> postgres.Guest:
        """What PostgreSQL lets in for it."""
        return postgres.Guest(server.DATABASE, self.settings.database_port)


def check(environment: Mapping[str, str]) -> KeycloakSettings:
    """The settings; raises SettingError and Failure before anything is made."""
    stage.check(environment, "The sample's Keycloak")
    return KeycloakSettings.of(environment)


def obtain(settings: KeycloakSettings, home: Home, environment: Mapping[str, str], progress: Progress) -> Choice:
    """Keycloak, fetched where this machine has none yet; raises EnvironmentFailure."""
    ports.check(HOST, settings.port, PORT_SETTING, COMMAND)
    ports.check(HOST, settings.database_port, DATABASE_PORT_SETTING, COMMAND)
    found = program.obtain(home.user, environment, progress.note)
    if not (home.path / "keycloak").exists():
        progress.note("Keycloak's first start in a home takes a minute or two …")
    return Choice(found, settings)
