"""What a caller may ask of the mesh is bounded, and each bound is refused in the mesh's words."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from google.rpc import code_pb2
from verbund.registry.v1 import change_service_pb2 as changes
from verbund.registry.v1 import project_service_pb2 as pb
from verbund.registry.v1 import types_pb2

from tests.integration.gateway.conftest import Mesh, started
from tests.support.dialects import DIALECTS, Target, call, framed, info, retry_seconds, status_of_grpc, status_of_json

ATTEMPTS_MAX = 5
SERVICE = "/verbund.registry.v1.ProjectService"
WATCH = "/verbund.registry.v1.ChangeService/WatchChanges"
GET = Target(
    path=f"{SERVICE}/GetProject",
    request=pb.GetProjectRequest(name="projects/a.b"),
    verb="GET",
    url="/v1/projects/a.b",
)
BODY_BYTES = 64 * 1024
READS = 5


@pytest.fixture(scope="module")
def shared() -> Iterator[Mesh]:
    """A mesh with small limits."""
    limits = {"rate_read": READS, "rate_authenticate": 2, "rate_window_seconds": 3600, "body_bytes_max": BODY_BYTES}
    with started(workers=1, call_seconds_max=1, watch_seconds_max=4, connection_streams_max=4, **limits) as mesh:
        yield mesh


@pytest.mark.parametrize("dialect", DIALECTS)
def test_rate_of_a_caller(mesh: Mesh, dialect: str) -> None:
    """A caller that used up its reads is told to wait; its writes and other callers go on."""
    own, other = (mesh.token("system", sub=f"organisations/x/systems/{dialect}-{name}") for name in ("own", "other"))
    for _ in range(READS):
        assert DIALECTS[dialect](mesh.gateway, own, GET).code == code_pb2.OK
    status = DIALECTS[dialect](mesh.gateway, own, GET)
    assert (status.code, info(status).reason) == (code_pb2.RESOURCE_EXHAUSTED, "RATE_LIMITED")
    assert (info(status).metadata["retry"], retry_seconds(status)) == ("true", 1.0)
    assert DIALECTS[dialect](mesh.gateway, other, GET).code == code_pb2.OK
    delete = replace(GET, path=f"{SERVICE}/DeleteProject", verb="DELETE", request=pb.DeleteProjectRequest())
    assert DIALECTS[dialect](mesh.gateway, own, delete).code == code_pb2.OK


def test_rate_is_one_for_all_dialects(mesh: Mesh) -> None:
    """A caller has one allowance, however it calls."""
    token = mesh.token("viewer", sub="organisations/x/systems/mixed")
    codes = [dialect(mesh.gateway, token, GET).code for _ in range(READS) for dialect in DIALECTS.values()]
    assert codes.count(code_pb2.OK) == READS


def test_retry_after(mesh: Mesh) -> None:
    """HTTP's own header says when to come back (RFC 9110, section 10.2.3)."""
    with mesh.gateway.client(mesh.token("viewer", sub="organisations/x/systems/waiting")) as client:
        answers = [client.get("/v1/projects/a.b") for _ in range(READS + 1)]
    assert (answers[-1].status_code, answers[-1].headers["retry-after"]) == (429, "1")


def test_rate_of_an_address(mesh: Mesh) -> None:
    """Who has no token is counted by address, claiming another one or not, so that nobody guesses without end."""
    with mesh.gateway.client() as client:
        answers = [
            client.post("/oauth2/token", data={"n": "1"}, headers={"x-forwarded-for": f"203.0.113.{n}"})
            for n in range(3)
        ]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert info(status_of_json(answers[-1])).reason == "RATE_LIMITED"
    assert len(mesh.pages.requests) == 2


def large(size: int) -> pb.CreateProjectRequest:
    """A request of about this size."""
    return pb.CreateProjectRequest(project=pb.Project(title=types_pb2.LocalizedText(de="x" * size)))


def test_large_json(mesh: Mesh) -> None:
    """A JSON body beyond the limit is refused, with its length declared or in chunks."""
    with mesh.gateway.client(mesh.token("system"), **{"content-type": "application/json"}) as client:
        declared = client.post("/v1/projects", content=b'{"projectId":"' + b"x" * BODY_BYTES)
        chunked = client.post("/v1/projects", content=iter([b'{"projectId":"', *[b"x" * 8192] * 10, b'"}']))
        fine = client.post("/v1/projects", json={"title": {"de": "x" * (BODY_BYTES - 100)}})
    for answer in (declared, chunked):
        assert (answer.status_code, info(status_of_json(answer)).reason) == (413, "TOO_LARGE")
    assert fine.status_code == 200
    assert len(mesh.registry.calls) == 1


def test_large_grpc(mesh: Mesh) -> None:
    """A gRPC message beyond the limit is refused at the edge."""
    with mesh.gateway.channel() as channel:
        status = status_of_grpc(
            lambda: call(channel, f"{SERVICE}/CreateProject", large(BODY_BYTES), mesh.token("system"))
        )
        assert (status.code, info(status).reason) == (code_pb2.RESOURCE_EXHAUSTED, "TOO_LARGE")
        call(channel, f"{SERVICE}/CreateProject", large(BODY_BYTES - 100), mesh.token("system"))
    assert len(mesh.registry.calls) == 1


def test_large_web(mesh: Mesh) -> None:
    """So is one over gRPC-Web."""
    headers = {"content-type": "application/grpc-web+proto"}
    with mesh.gateway.client(mesh.token("system")) as client:
        answer = client.post(f"{SERVICE}/CreateProject", content=framed(large(BODY_BYTES)), headers=headers)
    assert answer.headers["grpc-status"] == str(code_pb2.RESOURCE_EXHAUSTED)
    assert mesh.registry.calls == []


def test_large_form(mesh: Mesh) -> None:
    """So is a form to a plain HTTP route."""
    with mesh.gateway.client() as client:
        answer = client.post("/oauth2/revoke", content=b"x" * (BODY_BYTES + 1))
    assert answer.status_code == 413
    assert mesh.pages.requests == []


def test_large_headers(mesh: Mesh) -> None:
    """Headers beyond what a service would take are refused at the edge, over HTTP/1.1 and HTTP/2."""
    with mesh.gateway.client(mesh.token("viewer"), large="x" * 9000) as client:
        answer = client.get("/v1/projects")
    assert (answer.status_code, info(status_of_json(answer)).reason) == (431, "TOO_LARGE")
    with mesh.gateway.channel() as channel, pytest.raises(grpc.RpcError):
        call(channel, GET.path, GET.request, mesh.token("viewer"), large="x" * 9000)
    assert mesh.registry.calls == []


def test_many_headers(mesh: Mesh) -> None:
    """So are too many of them."""
    with mesh.gateway.client(mesh.token("viewer"), **{f"x-{n}": "1" for n in range(80)}) as client:
        assert client.get("/v1/projects").status_code == 431


def test_header_with_underscore(mesh: Mesh) -> None:
    """A header that some servers would take for another one is refused."""
    with mesh.gateway.client(mesh.token("viewer"), x_roles="admin") as client:
        answer = client.get("/v1/projects")
    assert (answer.status_code, info(status_of_json(answer)).reason) == (400, "INPUT_INVALID")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_slow_service(mesh: Mesh, dialect: str) -> None:
    """A call that a service does not answer in time ends with the deadline's refusal.

    The gateway gives up 100 ms before the stand-in of the service does, which has no reasons to give: on a machine that
    is busy for so long the stand-in may be first, but not each time.
    """
    over = threading.Event()
    mesh.registry.answers[f"{SERVICE}/SearchProjects"] = lambda *_: over.wait(60)
    search = Target(
        path=f"{SERVICE}/SearchProjects",
        request=pb.SearchProjectsRequest(),
        verb="GET",
        url="/v1/projects:search",
    )
    token = mesh.token("viewer", sub=f"organisations/x/systems/slow-{dialect}")
    try:
        statuses = [DIALECTS[dialect](mesh.gateway, token, search)]
        while not statuses[-1].details and len(statuses) < ATTEMPTS_MAX:
            statuses.append(DIALECTS[dialect](mesh.gateway, token, search))
    finally:
        over.set()
    assert {status.code for status in statuses} == {code_pb2.DEADLINE_EXCEEDED}
    assert info(statuses[-1]).reason == "DEADLINE_EXCEEDED"


def test_slow_request() -> None:
    """A client that sends a body drop by drop holds no place for long, whatever it is sent to."""

    def dripping() -> Iterator[bytes]:
        for _ in range(100):
            yield b" "
            time.sleep(0.1)

    with started(workers=1, call_seconds_max=1, request_seconds_max=2) as mesh:
        for path in ("/oauth2/revoke", "/v1/projects"):
            with mesh.gateway.client(mesh.token("system"), **{"content-type": "application/json"}) as client:
                answer = client.post(path, content=dripping())
            assert info(status_of_json(answer)).reason == "DEADLINE_EXCEEDED"
        assert not [call for call in mesh.registry.calls if call.method.endswith("CreateProject")]
        assert mesh.pages.requests == []


def test_deadline_is_capped(mesh: Mesh) -> None:
    """A service is told a deadline: the client's, but never more than the mesh allows."""
    remaining = []
    mesh.registry.answers[GET.path] = lambda _, context: remaining.append(context.time_remaining())
    token = mesh.token("viewer", sub="organisations/x/systems/patient")
    with mesh.gateway.channel() as channel:
        call(channel, GET.path, GET.request, token)
    with mesh.gateway.client(token) as client:
        client.get("/v1/projects/a.b")
    assert len(remaining) == 2
    assert all(0 < left <= 1 for left in remaining)


def watch(_: Message, context: grpc.ServicerContext) -> Iterator[Message]:
    """A watch with a pause longer than a call may take, then silence."""
    yield changes.WatchChangesResponse(resume_token="1")
    time.sleep(1.6)
    yield changes.WatchChangesResponse(resume_token="2")
    while context.is_active():
        time.sleep(0.1)


def test_watch_outlives_a_call_but_not_its_own_limit(mesh: Mesh) -> None:
    """A watch is not cut by the limit for calls, however quiet it is, and ends at its own."""
    mesh.registry.answers[WATCH] = watch
    token = mesh.token("viewer", sub="organisations/x/systems/watcher")
    with mesh.gateway.channel() as channel:
        stub: Any = channel.unary_stream(
            WATCH, lambda message: message.SerializeToString(), changes.WatchChangesResponse.FromString
        )
        answers = stub(changes.WatchChangesRequest(), metadata=[("authorization", f"Bearer {token}")], timeout=20)
        received: list[str] = []
        with pytest.raises(grpc.RpcError) as ended:
            received.extend(answer.resume_token for answer in answers)
    assert received == ["1", "2"]
    assert ended.value.code() in {grpc.StatusCode.INTERNAL, grpc.StatusCode.DEADLINE_EXCEEDED}
