"""What the scenarios measure: PostgreSQL, a worker of the registry, the trace receiver, and the reference beside it."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
from psycopg import sql
from verbund.database.migrate import migrate
from verbund.registry.v1 import project_service_pb2 as pb
from verbund.registry.v1.project_service_pb2_grpc import ProjectServiceStub
from verbund.registry.v1.types_pb2 import LocalizedText

from tests.bench.servers import PROJECT
from tests.support.home import end_with_test
from tests.support.postgres import Cluster, cluster
from tests.support.tokens import ISSUER, Issuer

ROOT = Path(__file__).parents[2]
DATABASE = "bench"
START_SECONDS_MAX = 30
STOP_SECONDS_MAX = 20
TOKEN_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class Parts:
    """The running parts, by process id."""

    directory: Path
    postgres: Cluster
    issuer: Issuer
    token: str
    registry: int
    reference: int
    traces: int

    @property
    def sockets(self) -> Path:
        """The directory of the parts' sockets."""
        return self.directory / "run"

    @property
    def dsn(self) -> str:
        """The database, for its administrator."""
        return self.postgres.dsn(DATABASE)

    @property
    def backends(self) -> int:
        """PostgreSQL's first process, the parent of the others."""
        assert self.postgres.server is not None
        return self.postgres.server.pid

    def channel(self, name: str) -> grpc.Channel:
        """A connection to the `registry` or the `reference` that is shared with no other."""
        file = {"registry": "registry-0.grpc.sock", "reference": "reference.sock"}[name]
        return grpc.insecure_channel(f"unix:{self.sockets / file}", options=[("grpc.use_local_subchannel_pool", 1)])

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What a call names itself with."""
        return (("authorization", f"Bearer {self.token}"),)


@contextmanager
def running() -> Iterator[Parts]:
    """All parts, with one project in the registry; they are gone at the end."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="verbund-bench-", dir="/tmp")))
        (directory / "run").mkdir()
        postgres = stack.enter_context(cluster())
        # The time of a commit is what the watches are measured from.
        postgres.administer(sql.SQL("ALTER SYSTEM SET track_commit_timestamp = on"))
        postgres.stop()
        postgres.start()
        postgres.administer(sql.SQL("CREATE DATABASE {}"), DATABASE)
        migrate(postgres.dsn(DATABASE))
        issuer = Issuer(directory)
        environment = environment_of(directory, postgres, issuer)
        reference = ["reference", str(directory / "run" / "reference.sock"), postgres.dsn(DATABASE)]
        pids = [
            stack.enter_context(started(directory, environment, *command))
            for command in (["traces"], ["registry"], reference)
        ]
        token = issuer.token(exp=2**31)
        parts = Parts(directory, postgres, issuer, token, traces=pids[0], registry=pids[1], reference=pids[2])
        create_project(parts)
        yield parts


def environment_of(directory: Path, postgres: Cluster, issuer: Issuer) -> dict[str, str]:
    """The settings of the parts: those of `verbund up`, as far as they differ from what is built in."""
    run = directory / "run"
    foreign = ("VERBUND_", "OTEL_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return kept | {
        "VERBUND_DATABASE_DSN": f"postgresql:///{DATABASE}?host={postgres.directory}",
        "VERBUND_SERVING_SOCKET_DIR": str(run),
        "VERBUND_SERVING_ISSUER": ISSUER,
        "VERBUND_SERVING_JWKS_FILE": str(issuer.jwks_file),
        "VERBUND_SERVING_REVOCATIONS_FILE": str(issuer.revocations_file),
        "VERBUND_TRACES_SOCKET": str(run / "traces.sock"),
        "VERBUND_TRACES_DATABASE": str(directory / "traces.sqlite"),
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"unix:{run / 'traces.sock'}",
        "OTEL_EXPORTER_OTLP_INSECURE": "true",
    }


@contextmanager
def started(directory: Path, environment: dict[str, str], *command: str) -> Iterator[int]:
    """A process of `tests.bench.servers`: its id. Its log is a file, as in the embedded mode."""
    with (directory / f"{command[0]}.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.servers", *command],
            env=environment,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            preexec_fn=end_with_test,  # noqa: PLW1509 - it is one system call
        )
    try:
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(timeout=STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def create_project(parts: Parts) -> None:
    """The project that is read: about 1 KiB, visible to every signed-in caller. Waits until both servers answer."""
    text = "Ein Platz, der misst, was auf ihm geschieht, und es allen sagt, die es wissen wollen. " * 8
    project = pb.Project(
        title=LocalizedText(de="Smart Space"),
        description=LocalizedText(de=text),
        visibility=pb.VISIBILITY_PUBLIC,
    )
    request = pb.CreateProjectRequest(project_id="bench", project=project)
    wait = {"wait_for_ready": True, "timeout": START_SECONDS_MAX}
    with parts.channel("registry") as registry, parts.channel("reference") as reference:
        ProjectServiceStub(registry).CreateProject(request, metadata=parts.metadata, **wait)
        ProjectServiceStub(reference).GetProject(pb.GetProjectRequest(name=PROJECT), **wait)
