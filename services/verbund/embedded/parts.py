"""The table of parts: what runs in the embedded mode, in which order it starts and stops."""

import json
import time
from collections.abc import Mapping, Sequence
from functools import partial

import structlog
from joserfc.jwk import ECKey

from verbund.database.database import Database
from verbund.database.migrate import migrate
from verbund.embedded import browsers, gateway, postgres
from verbund.embedded.home import Home
from verbund.embedded.part import Layer, Part
from verbund.embedded.programs import Programs
from verbund.embedded.settings import EmbeddedSettings, address, drain_seconds, provider_port, workers
from verbund.files import replace
from verbund.identity.bootstrap import bootstrap
from verbund.identity.keys.sealing import create_key_encryption_file
from verbund.policy import catalogue
from verbund.provider import accounts, main, sample
from verbund.sdk.client import Client
from verbund.serving import logs, worker
from verbund.traces import main as traces

CHECK_PAUSE_SECONDS = 0.02
MIGRATE_SECONDS_MAX = 3600.0  # a large table takes its time; each statement has a time-out of its own
STOP_MARGIN_SECONDS = 5.0  # after calls in progress have had theirs
log = structlog.get_logger(__name__)


def parts(
    home: Home,
    programs: Programs,
    settings: EmbeddedSettings,
    environment: Mapping[str, str],
    *,
    provider: bool,
) -> Sequence[Part]:
    """All but PostgreSQL, which starts before this module is imported; `provider` adds the built-in provider."""
    browsers.ensure(home)
    services = [service_part(area, number, settings, environment) for area, number in served(environment)]
    return (
        Part(
            name="migrate",
            layer=Layer.SERVICE,
            run=lambda _ready: migrate(postgres.dsn(home, user=postgres.ADMINISTRATOR)),
            after=("postgres",),
            once=True,
            start_seconds_max=MIGRATE_SECONDS_MAX,
        ),
        Part(
            name="bootstrap",
            layer=Layer.SERVICE,
            run=lambda _ready: admit_operator(home, settings),
            after=("migrate",),
            once=True,
        ),
        Part(
            name="traces",
            layer=Layer.SIGHT,
            run=lambda ready: traces.run(environment, ready_fd=ready),
        ),
        Part(
            name="configuration",
            layer=Layer.GATEWAY,
            run=lambda _ready: gateway.configure(home, environment, programs.envoy),
            once=True,
        ),
        Part(
            name="gateway",
            layer=Layer.GATEWAY,
            run=lambda _ready: gateway.run(home, environment, programs.envoy),
            after=("configuration",),
            probe=lambda: gateway.answers(environment),
            start_seconds_max=settings.start_seconds_max,
        ),
        *((provider_part(environment),) if provider else ()),
        *services,
        # Behind a proxy the mesh has a URL that may not lead here yet.
        *(
            (check_part(home, settings, environment, [service.name for service in services]),)
            if address(environment).is_local
            else ()
        ),
    )


def provider_part(environment: Mapping[str, str]) -> Part:
    """The built-in provider, which needs nothing of the mesh."""

    def run(ready_fd: int) -> None:
        raise SystemExit(main.run(environment, ready_fd=ready_fd))

    return Part(name="provider", layer=Layer.SIGHT, run=run)


def people(home: Home, environment: Mapping[str, str]) -> list[dict[str, str]]:
    """Who can sign in at the built-in provider, once it is ready."""
    issuer_of = partial(accounts.issuer_url, provider_port(environment))
    return accounts.people(home.provider, sample.read(), issuer_of)


def served(environment: Mapping[str, str]) -> list[tuple[str, int]]:
    """The workers of each area by number; what only shows pages has one."""
    return [
        (area, number)
        for area in catalogue.AREAS
        for number in range(1 if area in catalogue.SINGLE else workers(environment))
    ]


def service_part(area: str, number: int, settings: EmbeddedSettings, environment: Mapping[str, str]) -> Part:
    """One worker of an area."""

    def run(ready_fd: int) -> None:
        raise SystemExit(worker.run(area, number, environment, ready_fd=ready_fd, reflected=catalogue.SERVICES))

    return Part(
        name=f"{area}-{number}",
        layer=Layer.SERVICE,
        run=run,
        after=("bootstrap",),
        start_seconds_max=settings.start_seconds_max,
        stop_seconds_max=drain_seconds(environment) + STOP_MARGIN_SECONDS,
    )


def check_part(home: Home, settings: EmbeddedSettings, environment: Mapping[str, str], services: Sequence[str]) -> Part:
    """The last part of the start: a call through everything."""
    return Part(
        name="check",
        layer=Layer.CLIENT,
        run=lambda _ready: check(home, settings, environment),
        after=("gateway", "traces", *services),
        once=True,
        start_seconds_max=settings.start_seconds_max,
    )


def admit_operator(home: Home, settings: EmbeddedSettings) -> None:
    """Makes the keys that identity needs and the operator's own, and enters the operator in the database."""
    create_key_encryption_file(home.keys / "key-encryption.json")
    file = home.key_file(settings.operator)
    if not file.exists():
        key = ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256"}, auto_kid=True)
        replace(file, json.dumps(key.as_dict(private=True)).encode())
    key = ECKey.import_key(json.loads(file.read_bytes()))
    database = Database(postgres.dsn(home), role="identity_jobs", schema="identity", pool_size=1)
    try:
        bootstrap(
            database,
            organisation=settings.operator_organisation,
            title=settings.operator_title,
            system=settings.operator_system,
            public_key=json.dumps(key.as_dict(private=False)),
        )
    finally:
        database.close()


def check(home: Home, settings: EmbeddedSettings, environment: Mapping[str, str]) -> None:
    """Ready is what a client finds ready: the operator's system gets a token, and reads through the gateway."""
    logs.configure(area="check")
    client = partial(
        Client,
        address(environment).url,
        ca=home.tls / "ca.pem",
        client_id=settings.operator,
        key=home.key_file(settings.operator),
    )
    while True:
        try:
            with client() as connection:
                answer = connection.http.get(f"/v1/organisations/{settings.operator_organisation}")
        except Exception as error:  # noqa: BLE001 - whatever it is, it may pass; the supervisor ends the attempts
            log.info("not yet", error=f"{type(error).__name__}: {error}")
        else:
            if answer.is_success:
                return
            log.info("not yet", status=answer.status_code, body=answer.text)
        time.sleep(CHECK_PAUSE_SECONDS)
