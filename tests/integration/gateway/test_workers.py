"""A worker that dies takes no safe call with it."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from google.rpc import code_pb2
from verbund.registry.v1 import project_service_pb2 as pb

from tests.integration.gateway.conftest import Mesh, started
from tests.support.dialects import DIALECTS, Target, info, over_grpc, over_json
from tests.support.upstream import Worker, serving

WAIT_SECONDS_MAX = 60  # an ejected worker is tried again after some seconds at most
EJECTED = "cluster.registry-grpc.outlier_detection.ejections_enforced_consecutive_local_origin_failure"
SERVICE = "/verbund.registry.v1.ProjectService"
GET = Target(
    path=f"{SERVICE}/GetProject",
    request=pb.GetProjectRequest(name="projects/a.b"),
    verb="GET",
    url="/v1/projects/a.b",
)
DELETE = Target(
    path=f"{SERVICE}/DeleteProject",
    request=pb.DeleteProjectRequest(name="projects/a.b"),
    verb="DELETE",
    url="/v1/projects/a.b",
)


@contextmanager
def dying(path: Path) -> Iterator[list[int]]:
    """A worker that dies with every call it began: it takes the connection, reads, is gone. Counts what it began."""
    began: list[int] = []
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen(64)

    def run() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                began.append(len(connection.recv(65536)))

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield began
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join()


@pytest.fixture
def mesh() -> Iterator[Mesh]:
    """A mesh with two workers."""
    with started(workers=2) as mesh:
        yield mesh


@contextmanager
def second_worker(mesh: Mesh, kind: str) -> Iterator[list[int]]:
    """Puts something else in the place of the first worker: nothing, or one that dies with every call."""
    path = mesh.gateway.settings.sockets("registry", "grpc")[0]
    path.unlink()
    with ExitStack() as stack:
        yield stack.enter_context(dying(path)) if kind == "dying" else []


def eventually(holds: Callable[[], object]) -> bool:
    """Whether it comes to hold."""
    end = time.monotonic() + WAIT_SECONDS_MAX
    while time.monotonic() < end:
        if holds():
            return True
    return False


@pytest.mark.parametrize("kind", ["gone", "dying"])
@pytest.mark.parametrize("dialect", ["json", "grpc"])
def test_safe_calls_do_not_notice(mesh: Mesh, kind: str, dialect: str) -> None:
    """Calls that are safe to repeat go to another worker, whether theirs was gone or died with them."""
    with second_worker(mesh, kind):
        codes = [DIALECTS[dialect](mesh.gateway, mesh.token("system"), GET).code for _ in range(40)]
    assert codes == [code_pb2.OK] * 40


def test_dead_worker_is_left_out(mesh: Mesh) -> None:
    """A worker whose socket refused once is not asked again at once: it would look like the least busy one."""
    with second_worker(mesh, "gone"):
        assert over_json(mesh.gateway, mesh.token("viewer"), GET).code == code_pb2.OK
        assert eventually(
            lambda: over_json(mesh.gateway, mesh.token("viewer"), GET).code or mesh.gateway.statistic(EJECTED)
        )


def test_unsafe_call_that_no_worker_began(mesh: Mesh) -> None:
    """A call that changes something goes to another worker where none received it."""
    with second_worker(mesh, "gone"):
        codes = [over_grpc(mesh.gateway, mesh.token("system"), DELETE).code for _ in range(20)]
    assert codes == [code_pb2.OK] * 20
    assert len(mesh.registry.calls) == 20


def test_unsafe_call_is_never_repeated(mesh: Mesh) -> None:
    """A call that a worker may have begun is not repeated: its caller is told, and repeats it with its request_id."""
    with second_worker(mesh, "dying") as began:
        statuses = [over_json(mesh.gateway, mesh.token("system"), DELETE) for _ in range(20)]
    failed = [status for status in statuses if status.code]
    assert began
    assert len(failed) + len(mesh.registry.calls) == 20
    assert {info(status).reason for status in failed} == {"UNAVAILABLE"}


def test_restarted_worker_takes_part_again(mesh: Mesh) -> None:
    """A worker that came back on its socket is called again."""
    path = mesh.gateway.settings.sockets("registry", "grpc")[0]
    path.unlink()
    assert [over_grpc(mesh.gateway, mesh.token("system"), GET).code for _ in range(5)] == [code_pb2.OK] * 5
    again = Worker(mesh.registry.services)
    with serving(again, path):
        assert eventually(
            lambda: over_json(mesh.gateway, mesh.token("operator"), GET).code == code_pb2.OK and again.calls
        )


def test_all_gone_and_back(mesh: Mesh) -> None:
    """With every worker gone callers are told so at once; with the first one back they are served."""
    paths = mesh.gateway.settings.sockets("registry", "grpc")
    for path in paths:
        path.unlink()
    assert info(over_json(mesh.gateway, mesh.token("viewer"), GET)).reason == "UNAVAILABLE"
    with serving(Worker(mesh.registry.services), paths[1]):
        assert eventually(lambda: over_json(mesh.gateway, mesh.token("viewer"), GET).code == code_pb2.OK)
