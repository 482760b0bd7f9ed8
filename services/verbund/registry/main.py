"""The registry put together: settings, database, stores, servicers."""

from collections.abc import Mapping

from verbund import settings as loader
from verbund.clock import wall_clock
from verbund.database.database import Database
from verbund.database.settings import DatabaseSettings
from verbund.database.sweeping import Sweep, old_answers
from verbund.registry.changes.feed import ChangeFeed, PublishedChange
from verbund.registry.changes.servicer import ChangeServicer, last_message
from verbund.registry.changes.store import CHANNEL, ChangeStore
from verbund.registry.projects.servicer import ProjectServicer
from verbund.registry.projects.store import ProjectStore
from verbund.registry.settings import RegistrySettings
from verbund.registry.strategies.servicer import StrategyServicer
from verbund.registry.strategies.store import MeasureStore, StrategyStore
from verbund.serving.area import Area, Job
from verbund.serving.settings import ServingSettings
from verbund.serving.tokens import TokenVerifier
from verbund.serving.watches import Watches

JOBS_POOL_SIZE = 2
EXPIRED = (old_answers("registry"),)


def build(environment: Mapping[str, str], verifier: TokenVerifier) -> Area:
    """The registry, ready to be served. Raises SettingError."""
    settings = loader.load(RegistrySettings, environment, prefix="VERBUND_REGISTRY_")
    serving = loader.load(ServingSettings, environment, prefix="VERBUND_SERVING_")
    dsn = loader.load(DatabaseSettings, environment, prefix="VERBUND_DATABASE_").dsn
    service = Database(dsn, role="registry_service", schema="registry", pool_size=settings.pool_size)
    jobs = Database(dsn, role="registry_jobs", schema="registry", pool_size=JOBS_POOL_SIZE)
    changes = ChangeStore()
    feed = ChangeFeed(jobs, service, changes, PublishedChange, channel=CHANNEL, look_seconds=settings.feed_look_seconds)
    watches = Watches(
        end=last_message,
        accepts=verifier.accepts,
        total_max=serving.watches_max,
        per_organisation_max=serving.watches_per_organisation_max,
        seconds_max=serving.watch_seconds_max,
    )
    feed.start()

    def close() -> None:
        feed.close()
        jobs.close()
        service.close()

    return Area(
        name="registry",
        servicers=(
            StrategyServicer(service, StrategyStore(), MeasureStore(), changes, wall_clock),
            ProjectServicer(service, ProjectStore(), changes, wall_clock),
            ChangeServicer(service, changes, feed, watches),
        ),
        jobs=(Job("registry.sweep", settings.sweep_seconds, Sweep(jobs, "registry.sweep", EXPIRED).run),),
        ready=lambda: service.ready() and feed.ready(),
        drain=lambda: watches.drain(serving.drain_seconds),
        close=close,
    )
