"""Where the data lie: PostgreSQL and its schema, the blobs, the traces."""

import os
import shutil
import time
from collections.abc import Iterator

from verbund.database import migrate
from verbund.doctor.findings import Finding, ok, problem, skipped, warning
from verbund.doctor.gateway import TRACE_NOTE
from verbund.doctor.subject import Subject
from verbund.embedded import postgres
from verbund.exchange.settings import FREE_BYTES_MIN
from verbund.traces.reader import NoTraces, Reader

MIB = 1024 * 1024
ARRIVAL_SECONDS_MAX = 6.0  # services hand their spans on every few seconds
LOOK_SECONDS = 0.1
OPERATOR = "The operator of this machine"


def database(subject: Subject) -> Iterator[Finding]:
    """Whether PostgreSQL answers, and has the schema of this version."""
    home = subject.home
    if home is None or subject.ready is None or not subject.mine:
        return
    if not postgres.answers(home):
        remedy = f"see {home.log / 'postgres.log'}; the supervisor starts it again."
        yield problem("database", "PostgreSQL does not answer", who=OPERATOR, remedy=remedy)
        return
    yield ok("database", "PostgreSQL answers")
    try:
        left = migrate.outstanding(postgres.dsn(home, user=postgres.ADMINISTRATOR))
    except migrate.MigrationError as error:
        remedy = "install the version of Verbund that the database was made with, or a later one."
        yield problem("migrations", str(error), who=OPERATOR, remedy=remedy)
        return
    if left:
        names = ", ".join(f"{migration.area}/{migration.number:04}" for migration in left)
        remedy = "start the mesh again: `verbund up` runs them (elsewhere `verbund migrate`)."
        yield problem("migrations", f"not run yet: {names}", who=OPERATOR, remedy=remedy)
    else:
        yield ok("migrations", "every one has run")


def blobs(subject: Subject) -> Iterator[Finding]:
    """Whether documents can be kept."""
    home = subject.home
    if home is None or not subject.mine or not home.blobs.is_dir():
        return
    folder = home.blobs
    free_bytes = shutil.disk_usage(folder).free
    with home.user.acting():
        writable = os.access(folder, os.W_OK | os.X_OK, effective_ids=True)
    if not writable:
        remedy = f"chown -R {home.user.name} {folder}"
        yield problem("blobs", f"{home.user.name} cannot write to {folder}", who=OPERATOR, remedy=remedy)
    elif free_bytes < FREE_BYTES_MIN:
        says = f"{free_bytes // MIB:,} MiB are free at {folder}: uploads will be refused"
        yield problem("blobs", says, who=OPERATOR, remedy="make room, or put the home on a larger volume.")
    else:
        yield ok("blobs", f"{folder} can be written to, {free_bytes // MIB:,} MiB are free")


def traces(subject: Subject) -> Iterator[Finding]:
    """Whether the trace of the call that was just made arrives in the store."""
    home, trace_id = subject.home, subject.notes.get(TRACE_NOTE)
    if home is None or subject.ready is None or not subject.mine:
        return
    if elsewhere(subject):
        yield skipped("traces", "they go elsewhere, or are not all kept: OTEL_... or VERBUND_GATEWAY_TRACE_... say so")
        return
    if not trace_id:
        yield skipped("traces", "no call was made whose trace could be looked for")
        return
    end = time.monotonic() + ARRIVAL_SECONDS_MAX
    try:
        with Reader(home.traces) as reader:
            while not reader.trace(trace_id):
                if time.monotonic() > end:
                    remedy = f"see {home.log / 'traces.log'} and the services' logs."
                    yield warning("traces", f"trace {trace_id} has not arrived", who=OPERATOR, remedy=remedy)
                    return
                time.sleep(LOOK_SECONDS)
    except NoTraces as error:
        yield problem("traces", str(error), who=OPERATOR, remedy=f"see {home.log / 'traces.log'}.")
        return
    yield ok("traces", "the call's own trace has arrived")


def elsewhere(subject: Subject) -> bool:
    """Whether the mesh was started so that the store need not have this trace."""
    chosen = ("OTEL_EXPORTER_OTLP_", "OTEL_TRACES_EXPORTER", "OTEL_SDK_DISABLED", "VERBUND_GATEWAY_TRACE_")
    return any(name.startswith(chosen) for name in subject.environment_of_mesh())


CHECKS = (database, blobs, traces)
