"""Keycloak's parts of the mesh: its database, the server, and what is to stand in it."""

import os
import signal
from collections.abc import Sequence
from functools import partial

import structlog

from verbund.embedded import postgres
from verbund.embedded.home import Home
from verbund.embedded.keycloak import realms, server
from verbund.embedded.keycloak.choice import Choice
from verbund.embedded.keycloak.credentials import Secrets
from verbund.embedded.keycloak.settings import HOST, KeycloakSettings
from verbund.embedded.keycloak.setup import Setup, connect
from verbund.embedded.part import Layer, Part
from verbund.provider import accounts, sample
from verbund.serving import logs

START_SECONDS_MAX = 600.0  # the first start makes ninety tables, on a machine that starts everything else too
DATABASE_PART, SERVER_PART, SETUP_PART = "keycloak-database", "keycloak", "keycloak-setup"


def parts(home: Home, choice: Choice, gateway: str) -> Sequence[Part]:
    """The parts; `gateway` is the URL that browsers are sent back to."""
    settings = choice.settings
    secrets = Secrets.ensure(home)
    return (
        Part(
            name=DATABASE_PART,
            layer=Layer.SIGHT,
            run=lambda _ready: postgres.make_database(home, server.DATABASE, secrets.database),
            after=("postgres",),
            once=True,
        ),
        Part(
            name=SERVER_PART,
            layer=Layer.SIGHT,
            run=lambda _ready: server.run(home, choice.program, settings, secrets),
            probe=partial(server.answers, home, settings),
            after=(DATABASE_PART,),
            parting_signal=signal.SIGKILL,  # without its supervisor there is no database to say farewell to
            start_seconds_max=START_SECONDS_MAX,
            stop_seconds_max=20.0,
        ),
        Part(
            name=SETUP_PART,
            layer=Layer.SIGHT,
            run=lambda _ready: set_up(home, settings, secrets, gateway),
            after=(SERVER_PART,),
            once=True,
            start_seconds_max=START_SECONDS_MAX,
        ),
    )


def set_up(home: Home, settings: KeycloakSettings, secrets: Secrets, gateway: str) -> None:
    """Brings every realm into step."""
    logs.configure(area=SETUP_PART)
    os.environ["NO_PROXY"] = HOST  # what asks Keycloak would ask a proxy for this machine
    log = structlog.get_logger(__name__)
    setup = Setup(connect(settings.url, home.tls / "ca.pem", secrets.administrator))
    known = {organisation.provider_id: organisation for organisation in sample.read()}
    for realm in realms.wanted(sample.read(), settings, gateway=gateway, secret=secrets.broker):
        organisation = known[realm.name.removesuffix(realms.UPSTREAM_SUFFIX)]
        found = accounts.ensure(home.provider, organisation)
        written = accounts.file_of(home.provider, organisation).stat().st_mtime
        setup.bring(realm, found, accounts_written=written)
    log.info("in step", changes=len(setup.changes))


def people(home: Home, settings: KeycloakSettings) -> list[dict[str, str]]:
    """Who can sign in: what `ready.json` says of people. Everybody does so at the realm that the mesh trusts."""
    return accounts.people(home.provider, sample.read(), settings.issuer)
