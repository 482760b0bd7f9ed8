"""The process that takes spans in and shows them. `verbund up` runs it beside the services, and none waits for it."""

import os
import signal
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path

import structlog

from verbund import settings as loader
from verbund.serving import logs
from verbund.serving.http import ASGIApp, telling_health
from verbund.serving.settings import ServingSettings
from verbund.serving.worker import PREFIX as SERVING
from verbund.serving.worker import HttpServer, verifier_of
from verbund.traces import http
from verbund.traces.receiver import Receiver, listen
from verbund.traces.settings import MIB, TraceSettings
from verbund.traces.store import Store

PREFIX = "VERBUND_TRACES_"
DRAIN_SECONDS = 2.0
DAY_SECONDS = 86_400
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
log = structlog.get_logger(__name__)


def run(environment: Mapping[str, str], ready_fd: int | None = None) -> int:
    """Takes spans in until SIGTERM or SIGINT; writes one byte to `ready_fd` when the sockets are open."""
    # Blocked, they wait for the loop below; the server's threads inherit this and are not interrupted.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    logs.configure(area="traces")
    settings = loader.load(TraceSettings, environment, prefix=PREFIX)
    store = Store(
        settings.database,
        bytes_max=settings.size_mib_max * MIB,
        age_seconds_max=settings.retention_days * DAY_SECONDS,
    )
    pages = serve_queries(settings, environment)
    server = listen(
        Receiver(store),
        socket=settings.socket,
        threads=settings.threads,
        request_bytes_max=settings.request_mib_max * MIB,
    )
    log.info("ready", area="traces")
    if ready_fd is not None:
        os.write(ready_fd, b"1")
        os.close(ready_fd)
    sweep_until_stopped(store, settings.sweep_seconds)
    for page in pages:
        page.stop()
    server.stop(DRAIN_SECONDS).wait()
    store.close()
    for socket in filter(None, (settings.socket, settings.query_socket)):
        socket.unlink(missing_ok=True)
    log.info("stopped", area="traces")
    return 0


def serve_queries(settings: TraceSettings, environment: Mapping[str, str]) -> Sequence[HttpServer]:
    """Starts to answer queries where the settings say so; raises SettingError, and has then started nothing."""
    queries = http.Queries(settings.database)
    applications: dict[Path | int, ASGIApp] = {}
    if settings.query_port:  # first: it alone can be somebody else's
        applications[settings.query_port] = http.local_application(queries)
    if settings.query_socket is not None:
        verifier = verifier_of(loader.load(ServingSettings, environment, prefix=SERVING))
        applications[settings.query_socket] = telling_health(http.application(queries, verifier), verifier.ready)
    try:
        return [HttpServer(application, place) for place, application in applications.items()]
    except OSError as error:
        raise loader.SettingError(f"{PREFIX}QUERY_PORT: port {settings.query_port}: {error.strerror}") from error


def sweep_until_stopped(store: Store, every_seconds: float) -> None:
    """Deletes old spans from time to time; returns at the first signal to stop."""
    while signal.sigtimedwait(STOP_SIGNALS, every_seconds) is None:
        try:
            store.sweep()
        except sqlite3.Error:  # a full disk passes; the next round tries again
            log.exception("sweep failed")
