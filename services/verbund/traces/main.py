"""The process that takes spans in: `verbund up` runs it beside the services, which do not wait for it."""

import os
import signal
import sqlite3
from collections.abc import Mapping

import structlog

from verbund import settings as loader
from verbund.serving import logs
from verbund.traces.receiver import Receiver, listen
from verbund.traces.settings import MIB, TraceSettings
from verbund.traces.store import Store

PREFIX = "VERBUND_TRACES_"
DRAIN_SECONDS = 2.0
DAY_SECONDS = 86_400
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
log = structlog.get_logger(__name__)


def run(environment: Mapping[str, str], ready_fd: int | None = None) -> int:
    """Takes spans in until SIGTERM or SIGINT; writes one byte to `ready_fd` when the socket is open."""
    # Blocked, they wait for the loop below; the server's threads inherit this and are not interrupted.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    logs.configure(area="traces")
    settings = loader.load(TraceSettings, environment, prefix=PREFIX)
    store = Store(
        settings.database,
        bytes_max=settings.size_mib_max * MIB,
        age_seconds_max=settings.retention_days * DAY_SECONDS,
    )
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
    server.stop(DRAIN_SECONDS).wait()
    store.close()
    settings.socket.unlink(missing_ok=True)
    log.info("stopped", area="traces")
    return 0


def sweep_until_stopped(store: Store, every_seconds: float) -> None:
    """Deletes old spans from time to time; returns at the first signal to stop."""
    while signal.sigtimedwait(STOP_SIGNALS, every_seconds) is None:
        try:
            store.sweep()
        except sqlite3.Error:  # a full disk passes; the next round tries again
            log.exception("sweep failed")
