"""The exchange put together: settings, database, stores, servicers, and the jobs of time."""

from collections.abc import Mapping
from datetime import timedelta

from verbund import settings as loader
from verbund.clock import wall_clock
from verbund.database.database import Database
from verbund.database.settings import DatabaseSettings
from verbund.database.sweeping import Sweep, old_answers
from verbund.exchange.blobs.directory import BlobDirectory
from verbund.exchange.blobs.sweeping import BlobSweep, RemovedSweep
from verbund.exchange.deliveries.passing import Passing
from verbund.exchange.deliveries.servicer import DeliveryServicer, last_message
from verbund.exchange.deliveries.steps import Steps
from verbund.exchange.deliveries.store import DeliveryStore
from verbund.exchange.documents.servicer import UploadServicer
from verbund.exchange.documents.store import DocumentStore
from verbund.exchange.http import Downloads
from verbund.exchange.mailboxes.servicer import MailboxServicer
from verbund.exchange.mailboxes.store import MailboxStore
from verbund.exchange.settings import ExchangeSettings
from verbund.exchange.timeline.feed import PublishedStep, StepFeed
from verbund.exchange.timeline.store import CHANNEL, TimelineStore
from verbund.serving.area import Area, Job
from verbund.serving.settings import ServingSettings
from verbund.serving.streams import Places, pace_of
from verbund.serving.tokens import TokenVerifier
from verbund.serving.watches import Watches

JOBS_POOL_SIZE = 3
EXPIRED = (old_answers("exchange"),)


def build(environment: Mapping[str, str], verifier: TokenVerifier) -> Area:
    """The exchange, ready to be served. Raises SettingError."""
    settings = loader.load(ExchangeSettings, environment, prefix="VERBUND_EXCHANGE_")
    serving = loader.load(ServingSettings, environment, prefix="VERBUND_SERVING_")
    dsn = loader.load(DatabaseSettings, environment, prefix="VERBUND_DATABASE_").dsn
    service = Database(dsn, role="exchange_service", schema="exchange", pool_size=settings.pool_size)
    jobs = Database(dsn, role="exchange_jobs", schema="exchange", pool_size=JOBS_POOL_SIZE)
    mailboxes, deliveries, timeline = MailboxStore(), DeliveryStore(), TimelineStore()
    steps = Steps(deliveries, timeline)
    feed = StepFeed(jobs, service, timeline, PublishedStep, channel=CHANNEL, look_seconds=settings.feed_look_seconds)
    watches = Watches(
        end=last_message,
        accepts=verifier.accepts,
        total_max=serving.watches_max,
        per_organisation_max=serving.watches_per_organisation_max,
        seconds_max=serving.watch_seconds_max,
    )
    feed.start()
    documents = DocumentStore()
    blobs = BlobDirectory(settings.blob_dir, free_bytes_min=settings.free_bytes_min)
    blobs.prepare()
    uploads = UploadServicer(
        database=service,
        documents=documents,
        deliveries=deliveries,
        steps=steps,
        blobs=blobs,
        bytes_max=settings.document_bytes_max,
        documents_max=settings.documents_max,
        stored_bytes_max=settings.stored_bytes_max,
        clock=wall_clock,
    )
    downloads = Downloads(
        uploads.find,
        blobs,
        places=Places(settings.downloads_max),
        pace=lambda: pace_of(serving),
        revoked=verifier.revoked,
    )

    def close() -> None:
        feed.close()
        jobs.close()
        service.close()

    return Area(
        name="exchange",
        servicers=(
            MailboxServicer(service, mailboxes, wall_clock),
            DeliveryServicer(
                database=service,
                mailboxes=mailboxes,
                deliveries=deliveries,
                timeline=timeline,
                steps=steps,
                feed=feed,
                watches=watches,
                clock=wall_clock,
                drafts_max=settings.drafts_max,
                waiting_max=settings.waiting_deliveries_max,
            ),
            uploads,
        ),
        jobs=(*jobs_of(settings, jobs, deliveries, steps), *sweeps_of(settings, jobs, documents, blobs)),
        http=downloads.application(verifier),
        ready=lambda: service.ready() and feed.ready(),
        drain=lambda: watches.drain(serving.drain_seconds),
        close=close,
    )


def jobs_of(settings: ExchangeSettings, jobs: Database, deliveries: DeliveryStore, steps: Steps) -> tuple[Job, ...]:
    """What every worker does by itself."""
    passing = Passing(jobs, deliveries, steps, wall_clock, draft_life=timedelta(days=settings.draft_days))
    return (
        Job("exchange.due", settings.due_seconds, passing.write_due),
        Job("exchange.drafts", settings.sweep_seconds, passing.delete_drafts),
        Job("exchange.sweep", settings.sweep_seconds, Sweep(jobs, "exchange.sweep", EXPIRED).run),
    )


def sweeps_of(
    settings: ExchangeSettings, jobs: Database, documents: DocumentStore, blobs: BlobDirectory
) -> tuple[Job, ...]:
    """What every worker takes off the disk by itself."""
    unnamed = BlobSweep(jobs, documents, blobs, settings.content_keep_seconds)
    removed = RemovedSweep(jobs, documents, blobs)
    return (
        Job("exchange.blobs", settings.sweep_seconds, unnamed.run),
        Job("exchange.removed", settings.due_seconds, removed.run),
    )
