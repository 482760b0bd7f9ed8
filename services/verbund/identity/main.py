"""Composes identity: settings -> database -> stores -> servicers, HTTP routes and jobs."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from verbund import settings as loader
from verbund.clock import wall_clock
from verbund.database.database import Database
from verbund.database.settings import DatabaseSettings
from verbund.database.sweeping import Sweep, old_answers
from verbund.identity import http
from verbund.identity.access.servicer import AccessServicer
from verbund.identity.composition import OAuth
from verbund.identity.invitations.servicer import InvitationServicer
from verbund.identity.invitations.store import InvitationStore
from verbund.identity.keys.domain import MARGIN
from verbund.identity.keys.publication import JWKS, Publisher
from verbund.identity.keys.rotation import Rotation
from verbund.identity.keys.sealing import Seal
from verbund.identity.keys.store import KeyStore
from verbund.identity.organisations.servicer import OrganisationServicer
from verbund.identity.organisations.store import OrganisationStore
from verbund.identity.people.servicer import PersonServicer
from verbund.identity.people.store import PersonStore
from verbund.identity.providers.hometoken import HomeTokens
from verbund.identity.providers.keyrings import Keyrings
from verbund.identity.providers.outbound import Fetcher
from verbund.identity.providers.servicer import ProviderServicer
from verbund.identity.providers.store import ProviderStore
from verbund.identity.settings import IdentitySettings
from verbund.identity.systems.servicer import SystemServicer
from verbund.identity.systems.store import SystemStore
from verbund.serving.area import Area, Job
from verbund.serving.http import observed
from verbund.serving.rpc import Servicer
from verbund.serving.settings import ServingSettings
from verbund.serving.tokens import TokenVerifier

ROTATE_SECONDS = 1.0
TURNS_MAX = 3  # a new mesh makes its first key, publishes it, and signs with it, in one go
SWEEP_SECONDS = 30.0
JOB_CONNECTIONS = 4
# Of one worker, for the OAuth routes: as with calls, more of them only fight for the interpreter.
HTTP_THREADS = 6
# Used assertions, revoked tokens, invitations that ended long ago, and the answers to requests that were made 48 hours
# ago.
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
    DELETE FROM identity.invitations WHERE name IN (
        SELECT name FROM identity.invitations
        WHERE greatest(expire_time, update_time) < now() - interval '90 days' LIMIT %(limit)s)
    """,
    """
    DELETE FROM identity.revoked_subjects WHERE subject IN (
        SELECT subject FROM identity.revoked_subjects WHERE expire_time < now() LIMIT %(limit)s)
    """,
    """
    DELETE FROM identity.sign_ons WHERE key_digest IN (
        SELECT key_digest FROM identity.sign_ons WHERE expire_time < now() LIMIT %(limit)s)
    """,
    """
    DELETE FROM identity.sessions WHERE session IN (
        SELECT session FROM identity.sessions WHERE expire_time < now() - interval '1 day' LIMIT %(limit)s)
    """,
    old_answers("identity"),
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
    fetcher = Fetcher(ca_file=settings.provider_ca_file, private_addresses=settings.provider_private_addresses)
    keyrings, tried = Keyrings(fetcher.get), Keyrings(fetcher.get)
    home_tokens = HomeTokens(key_of=keyrings.key_of, clock=wall_clock)
    # Apart, since what a member tries may name any issuer: it takes no place among those that people sign in with.
    tried_tokens = HomeTokens(key_of=tried.key_of, clock=wall_clock)
    oauth = OAuth(
        settings=settings,
        serving=serving,
        database=database,
        seal=seal,
        publisher=publisher,
        fetcher=fetcher,
        home_tokens=home_tokens,
        clock=wall_clock,
    )
    threads = ThreadPoolExecutor(HTTP_THREADS, thread_name_prefix="oauth")
    application = http.application(
        oauth.endpoint,
        oauth.sign_on_handlers(threads),
        issuer=serving.issuer,
        jwks_file=settings.publish_dir / JWKS,
        threads=threads,
    )

    def close() -> None:
        threads.shutdown()
        keyrings.close()
        tried.close()
        database.close()
        jobs.close()

    return Area(
        name="identity",
        servicers=(
            *members_of(database, organisations, publisher),
            *people_of(settings, serving, database, organisations, publisher, tried_tokens),
            InvitationServicer(
                database=database,
                invitations=InvitationStore(),
                organisations=organisations,
                systems=SystemStore(),
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


def members_of(database: Database, organisations: OrganisationStore, publisher: Publisher) -> tuple[Servicer, ...]:
    """Organisations and their systems."""
    return (
        OrganisationServicer(database=database, organisations=organisations, publisher=publisher, clock=wall_clock),
        SystemServicer(
            database=database,
            organisations=organisations,
            systems=SystemStore(),
            publisher=publisher,
            clock=wall_clock,
        ),
    )


def people_of(
    settings: IdentitySettings,
    serving: ServingSettings,
    database: Database,
    organisations: OrganisationStore,
    publisher: Publisher,
    home_tokens: HomeTokens,
) -> tuple[Servicer, ...]:
    """People, where they sign in, and what they may do."""
    return (
        ProviderServicer(
            database=database,
            organisations=organisations,
            providers=ProviderStore(),
            home_tokens=home_tokens,
            publisher=publisher,
            issuer=serving.issuer,
            clock=wall_clock,
        ),
        PersonServicer(
            database=database,
            organisations=organisations,
            people=PersonStore(),
            publisher=publisher,
            tokens_end=settings.schedule.token_life + MARGIN,
            clock=wall_clock,
        ),
        AccessServicer(),
    )


def turn_keys(rotation: Rotation, publisher: Publisher) -> None:
    """Does what is due with the signing keys; what one turn publishes may make the next one due."""
    for _ in range(TURNS_MAX):
        if not rotation.run():
            return
        publisher.publish_soon()
