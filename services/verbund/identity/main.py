"""Composes identity: settings -> database -> stores -> servicers, HTTP routes and jobs."""

from collections.abc import Mapping

from verbund import settings as loader
from verbund.clock import wall_clock
from verbund.database.database import Database
from verbund.database.settings import DatabaseSettings
from verbund.database.sweeping import Sweep
from verbund.identity import http
from verbund.identity.keys.publication import JWKS, Publisher
from verbund.identity.keys.rotation import Rotation
from verbund.identity.keys.sealing import Seal
from verbund.identity.keys.store import KeyStore
from verbund.identity.organisations.servicer import OrganisationServicer
from verbund.identity.organisations.store import OrganisationStore
from verbund.identity.settings import IdentitySettings
from verbund.identity.systems.servicer import SystemServicer
from verbund.identity.systems.store import SystemStore
from verbund.identity.tokens.allowance import Allowance
from verbund.identity.tokens.endpoint import TokenEndpoint
from verbund.identity.tokens.signing import Signer
from verbund.identity.tokens.store import TokenStore
from verbund.serving.area import Area, Job
from verbund.serving.http import observed
from verbund.serving.settings import ServingSettings
from verbund.serving.tokens import TokenVerifier

ROTATE_SECONDS = 1.0
TURNS_MAX = 3  # a new mesh makes its first key, publishes it, and signs with it, in one go
SWEEP_SECONDS = 30.0
JOB_CONNECTIONS = 4
# Used assertions, revoked tokens, and the answers to requests that were made 48 hours ago.
EXPIRED = (
    """
    DELETE FROM identity.used_assertions WHERE (system, jti_digest) IN (
        SELECT system, jti_digest FROM identity.used_assertions WHERE expire_time < now() LIMIT %(limit)s)
    """,
    """
    DELETE FROM identity.revoked_tokens WHERE token_id IN (
        SELECT token_id FROM identity.revoked_tokens WHERE expire_time < now() LIMIT %(limit)s)
    """,
    """
    DELETE FROM identity.idempotency WHERE (organisation, caller, method, request_id) IN (
        SELECT organisation, caller, method, request_id FROM identity.idempotency
        WHERE create_time < now() - interval '48 hours' LIMIT %(limit)s)
    """,
)


def build(environment: Mapping[str, str], verifier: TokenVerifier) -> Area:  # noqa: ARG001 - its HTTP routes are public
    """Identity, ready to be served; raises SettingError or SealError."""
    settings = loader.load(IdentitySettings, environment, prefix="VERBUND_IDENTITY_")
    serving = loader.load(ServingSettings, environment, prefix="VERBUND_SERVING_")
    dsn = loader.load(DatabaseSettings, environment, prefix="VERBUND_DATABASE_").dsn
    seal = Seal.read(settings.key_encryption_file)
    database = Database(dsn, role="identity_service", schema="identity", pool_size=settings.pool_size)
    jobs = Database(dsn, role="identity_jobs", schema="identity", pool_size=JOB_CONNECTIONS)
    organisations, keys = OrganisationStore(), KeyStore()
    publisher = Publisher(
        database=jobs,
        keys=keys,
        directory=settings.publish_dir,
        token_life=settings.schedule.token_life,
        clock=wall_clock,
    )
    rotation = Rotation(database=jobs, keys=keys, seal=seal, schedule=settings.schedule, clock=wall_clock)
    endpoint = endpoint_of(settings, serving, database, Signer(database=database, keys=keys, seal=seal), publisher)
    application = http.application(endpoint, issuer=serving.issuer, jwks_file=settings.publish_dir / JWKS)

    def close() -> None:
        database.close()
        jobs.close()

    return Area(
        name="identity",
        servicers=(
            OrganisationServicer(database=database, organisations=organisations, publisher=publisher, clock=wall_clock),
            SystemServicer(
                database=database,
                organisations=organisations,
                systems=SystemStore(),
                publisher=publisher,
                clock=wall_clock,
            ),
        ),
        ready=lambda: publisher.ready() and database.ready(),
        jobs=(
            Job("identity.rotate", ROTATE_SECONDS, lambda: turn_keys(rotation, publisher)),
            Job("identity.publish", settings.publish_every_seconds, publisher.keep),
            Job("identity.sweep", SWEEP_SECONDS, Sweep(jobs, "identity.sweep", EXPIRED).run),
        ),
        http=observed(application, "identity"),
        close=close,
    )


def endpoint_of(
    settings: IdentitySettings, serving: ServingSettings, database: Database, signer: Signer, publisher: Publisher
) -> TokenEndpoint:
    """The token endpoint."""
    return TokenEndpoint(
        database=database,
        tokens=TokenStore(),
        signer=signer,
        publisher=publisher,
        allowance=Allowance(settings.tokens_per_minute_max),
        issuer=serving.issuer,
        audience=serving.audience,
        life_seconds=settings.token_seconds,
        clock=wall_clock,
    )


def turn_keys(rotation: Rotation, publisher: Publisher) -> None:
    """Does what is due with the signing keys; what one turn publishes may make the next one due."""
    for _ in range(TURNS_MAX):
        if not rotation.run():
            return
        publisher.publish_soon()
