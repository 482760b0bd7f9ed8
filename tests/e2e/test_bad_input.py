"""What cannot be taken is refused by the whole mesh alike, over JSON and over gRPC, and has no effect."""

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import grpc
import pytest
from google.protobuf import json_format
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from google.rpc import code_pb2
from verbund.embedded import home as homes
from verbund.registry.v1 import change_service_pb2 as changes
from verbund.registry.v1 import project_service_pb2 as pb
from verbund.registry.v1.types_pb2 import LocalizedText
from verbund.sdk.refusals import Refused
from verbund.traces.reader import Reader

from tests.support.asks import CHANGES, DIALECTS, PROJECTS, Ask, Callers, creating, dialects, get, new_id, violations
from tests.support.dialects import call, info, status_of_json
from tests.support.frames import REFUSED_STREAM, Connection
from tests.support.home import Up
from tests.support.load import CALL_SECONDS_MAX, System, create_over_json, creation, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("mesh")]


INVALID_JSON = {
    "malformed": ("POST", "/v1/projects", '{"title": ', ""),
    "not an object": ("POST", "/v1/projects", "[]", ""),
    "a wrong type": ("POST", "/v1/projects", '{"title": 7}', "title"),
    "an unknown enum value": ("POST", "/v1/projects", '{"visibility": "SECRET"}', "visibility"),
    "an unknown query parameter": ("GET", "/v1/projects?colour=red", "", "colour"),
    "a wrong type in the query": ("GET", "/v1/projects?pageSize=many", "", "page_size"),
    "a broken constraint": ("GET", "/v1/projects?pageSize=-1", "", "page_size"),
    "a missing title": ("POST", "/v1/projects", "{}", "project.title"),
    "a broken constraint, deep": (
        "POST",
        "/v1/projects",
        '{"title":{"de":"x"},"parties":[{"title":"a","roles":["PARTY_ROLE_FUNDER"]},{"title":""}]}',
        "project.parties[1].title",
    ),
    "an odd name": ("GET", "/v1/projects/UPPER", "", "name"),
    "an odd request_id": ("POST", "/v1/projects?requestId=7", '{"title":{"de":"x"}}', "request_id"),
    "a filter that cannot be read": ("GET", "/v1/projects?filter=owner%20%3D", "", "filter"),
}


@pytest.mark.parametrize("kind", INVALID_JSON)
def test_json_that_cannot_be_taken_names_the_field(callers: Callers, kind: str) -> None:
    """INVALID_ARGUMENT, INPUT_INVALID, and the field as the proto names it, whoever refused: gateway or service."""
    verb, url, body, named = INVALID_JSON[kind]
    answer = callers.owner.http.request(verb, url, content=body, headers={"content-type": "application/json"})
    status = status_of_json(answer)
    assert (answer.status_code, status.code, info(status).reason) == (400, code_pb2.INVALID_ARGUMENT, "INPUT_INVALID")
    assert any(named in field or named in description for field, description in violations(status))


INVALID_GRPC: dict[str, tuple[str, Message, str]] = {
    "no message": (f"{PROJECTS}/GetProject", changes.WatchStarted(), ""),
    "an odd name": (f"{PROJECTS}/GetProject", pb.GetProjectRequest(name="projects/UPPER"), "name"),
    "a broken constraint": (f"{PROJECTS}/ListProjects", pb.ListProjectsRequest(page_size=-1), "page_size"),
    "a missing title": (f"{PROJECTS}/CreateProject", pb.CreateProjectRequest(project=pb.Project()), "project.title"),
    "nothing at all": (f"{PROJECTS}/CreateProject", pb.CreateProjectRequest(), "project"),
    "an odd mask": (
        f"{PROJECTS}/UpdateProject",
        pb.UpdateProjectRequest(project=pb.Project(name="projects/a.b"), update_mask=FieldMask(paths=["owner"])),
        "update_mask",
    ),
}


@pytest.mark.parametrize("kind", INVALID_GRPC)
def test_messages_that_cannot_be_taken_name_the_field(callers: Callers, kind: str) -> None:
    """INVALID_ARGUMENT, INPUT_INVALID, and the path of the field."""
    path, request, named = INVALID_GRPC[kind]
    if kind == "an odd mask":
        request.project.name = callers.owner.create(new_id()).name  # type: ignore[attr-defined]
    status = Ask(path, request, "", "").over_grpc(callers.owner)
    assert (status.code, info(status).reason) == (code_pb2.INVALID_ARGUMENT, "INPUT_INVALID")
    assert any(named in field or named in description for field, description in violations(status))


@dialects
@pytest.mark.parametrize("kind", ["update", "delete"])
def test_a_stale_etag_changes_nothing(callers: Callers, dialect: str, kind: str) -> None:
    """ABORTED, STALE; the project stays as whoever was first left it."""
    first = callers.owner.create(new_id())
    update = pb.UpdateProjectRequest(project=pb.Project(name=first.name, status=pb.PROJECT_STATUS_PREPARATION))
    second = callers.owner.projects.UpdateProject(update, timeout=CALL_SECONDS_MAX)
    late = pb.Project(name=first.name, status=pb.PROJECT_STATUS_IMPLEMENTATION, etag=first.etag)
    asks = {
        "update": Ask(
            f"{PROJECTS}/UpdateProject",
            pb.UpdateProjectRequest(project=late),
            "PATCH",
            f"/v1/{first.name}",
            json_format.MessageToDict(late),
        ),
        "delete": Ask(
            f"{PROJECTS}/DeleteProject",
            pb.DeleteProjectRequest(name=first.name, etag=first.etag),
            "DELETE",
            f"/v1/{first.name}?etag={first.etag}",
        ),
    }
    status = DIALECTS[dialect](asks[kind], callers.owner)
    assert (status.code, info(status).reason) == (code_pb2.ABORTED, "STALE")
    found = callers.owner.projects.GetProject(pb.GetProjectRequest(name=first.name), timeout=CALL_SECONDS_MAX)
    assert found == second


# Repetition


@pytest.mark.parametrize(("named", "parallel"), [(True, 100), (False, 40)], ids=["by the caller", "by the registry"])
def test_a_hundred_parallel_calls_with_one_request_id_are_one(callers: Callers, named: bool, parallel: int) -> None:
    """Half of them in JSON, half in gRPC, on both workers: one project, one change, and the same answer to all,
    whether the caller names the project or the registry does.
    """
    request = creation(new_id() if named else "")
    request.project.title.de = new_id()

    def one(number: int) -> pb.Project:
        if number % 2:
            return create_over_json(callers.repeater.http, request)
        return callers.repeater.projects.CreateProject(request, timeout=CALL_SECONDS_MAX)

    with ThreadPoolExecutor(parallel // 4) as pool:
        answers = list(pool.map(one, range(parallel)))
    assert all(answer == answers[0] for answer in answers)
    search = pb.SearchProjectsRequest(query=request.project.title.de)
    found = callers.repeater.projects.SearchProjects(search, timeout=CALL_SECONDS_MAX)
    assert [project.name for project in found.projects if project.title == request.project.title] == [answers[0].name]
    history = changes.ListChangesRequest(parent=answers[0].name)
    assert len(callers.repeater.changes.ListChanges(history, timeout=CALL_SECONDS_MAX).changes) == 1


@dialects
def test_a_request_id_is_good_for_one_request(callers: Callers, dialect: str) -> None:
    """Twice the same is answered the same; with another body it is INVALID_ARGUMENT, REQUEST_ID_REUSED, and nothing
    happens. Another organisation may use the same id.
    """
    request = creation(new_id())
    ask = creating(request)
    assert [DIALECTS[dialect](ask, callers.owner).code for _ in range(2)] == [code_pb2.OK, code_pb2.OK]
    other = pb.CreateProjectRequest()
    other.CopyFrom(request)
    other.project_id = new_id()
    status = DIALECTS[dialect](creating(other), callers.owner)
    assert (status.code, info(status).reason) == (code_pb2.INVALID_ARGUMENT, "REQUEST_ID_REUSED")
    assert [field for field, _ in violations(status)] == ["request_id"]
    assert get(f"projects/owner.{other.project_id}").over_grpc(callers.owner).code == code_pb2.NOT_FOUND
    assert DIALECTS[dialect](creating(other), callers.stranger).code == code_pb2.OK


@dialects
def test_a_body_that_is_too_large_is_refused_at_the_edge(callers: Callers, dialect: str) -> None:
    """RESOURCE_EXHAUSTED, TOO_LARGE, from the gateway."""
    large = pb.CreateProjectRequest(project=pb.Project(title=LocalizedText(de="x" * (4 << 20))), project_id=new_id())
    status = DIALECTS[dialect](creating(large), callers.owner)
    assert (status.code, info(status).reason) == (code_pb2.RESOURCE_EXHAUSTED, "TOO_LARGE")


@dialects
def test_headers_that_are_too_large_are_refused_at_the_edge(callers: Callers, dialect: str) -> None:
    """What a service would not take does not reach one; HTTP/2 has no words for it but the end of the stream."""
    ask, large = get("projects/a.b"), "x" * 9000
    if dialect == "json":
        assert info(ask.over_json(callers.owner, large=large)).reason == "TOO_LARGE"
        return
    with pytest.raises(grpc.RpcError) as raised:
        call(callers.owner.bare, ask.path, ask.request, callers.owner.tokens.token(), large=large)
    assert Refused.from_rpc(raised.value).code is not grpc.StatusCode.NOT_FOUND  # which the service would have said


def of_a_watch(system: System) -> dict[str, str]:
    """The headers of a stream that stays open."""
    return {
        ":method": "POST",
        ":scheme": "https",
        ":path": f"{CHANGES}/WatchChanges",
        ":authority": "127.0.0.1",
        "content-type": "application/grpc",
        "te": "trailers",
        "authorization": f"Bearer {system.tokens.token()}",
    }


def test_streams_beyond_a_hundred_on_a_connection_are_refused_at_the_edge(running: Up, callers: Callers) -> None:
    """A client that ignores how many it may open gets no more of them."""
    with Connection.to(running.port, callers.owner.new_trust()) as connection:
        for _ in range(130):
            connection.open(of_a_watch(callers.stranger))
        connection.listen()
        assert connection.closed or list(connection.reset.values()) == [REFUSED_STREAM] * 30


def test_requests_that_never_end_hold_up_nobody(running: Up, callers: Callers) -> None:
    """A hundred calls whose requests do not arrive take no thread of a service: others are answered at once."""
    with Connection.to(running.port, callers.owner.new_trust()) as connection:
        for _ in range(100):
            connection.open(of_a_watch(callers.stranger))
        for _ in range(10):
            assert callers.owner.names()
        connection.listen()
        assert not connection.reset


def test_a_client_that_opens_and_takes_back_without_end_is_cut_off(running: Up, callers: Callers) -> None:
    """HTTP/2 rapid reset (CVE-2023-44487) ends at the edge, and others are served."""
    with Connection.to(running.port, callers.owner.new_trust()) as connection:
        with suppress(OSError):
            for _ in range(3000):
                connection.open(of_a_watch(callers.stranger), then_reset=True)
        connection.listen()
        assert connection.closed
    assert callers.owner.names()


# Forgery

FOREIGN = "00-11111111111111111111111111111111-2222222222222222-01"
UNSAMPLED = "00-33333333333333333333333333333333-4444444444444444-00"


def forged(callers: Callers) -> dict[str, str]:
    """What a client may say of itself, and is not a client's to say."""
    claims = {"sub": "organisations/operator/systems/administration", "org": "organisations/operator"}
    claims |= {"sys": claims["sub"], "roles": ["operator", "admin"], "acr": "high"}  # type: ignore[dict-item]
    return {
        "x-jwt-payload": base64.urlsafe_b64encode(json.dumps(claims).encode()).decode(),
        "x-forwarded-for": "127.0.0.1",
        "x-forwarded-proto": "http",
        "x-forwarded-host": "evil.example",
        "x-forwarded-client-cert": "By=spiffe://verbund/gateway;Subject=operator",
        "x-envoy-original-path": "/v1/organisations",
        "x-envoy-internal": "true",
        "x-request-id": callers.owner.name,
        "x-trace-id": "1" * 32,
        "traceparent": FOREIGN,
        "baggage": "verbund.organisation=organisations/operator,verbund.operator=true",
    }


@dialects
def test_forged_headers_are_without_effect(callers: Callers, dialect: str) -> None:
    """They replace no token, give no role and no organisation, and name no trace."""
    claims = forged(callers)
    hidden = callers.owner.create(new_id())
    create = Ask("/verbund.identity.v1.OrganisationService/CreateOrganisation", pb.GetProjectRequest(), "POST", "")
    create = Ask(create.path, create.request, "POST", "/v1/organisations?organisationId=forged", {"title": "Forged"})
    assert info(DIALECTS[dialect](get(hidden.name), callers.stranger, "", **claims)).reason == "NO_TOKEN"
    assert info(DIALECTS[dialect](create, callers.reader, **claims)).reason == "PERMISSION_MISSING"
    status = DIALECTS[dialect](get(hidden.name), callers.stranger, **claims)
    assert info(status).reason == "NOT_FOUND"
    assert info(status).metadata["traceId"] not in (FOREIGN.split("-")[1], "1" * 32)


@pytest.mark.parametrize("foreign", [FOREIGN, UNSAMPLED], ids=["sampled", "not sampled"])
def test_a_foreign_trace_is_a_link_and_nothing_more(running: Up, callers: Callers, foreign: str) -> None:
    """Each call has a trace of its own, from the gateway to the row, which is kept though the caller asked for none;
    the caller's own is linked to.
    """
    with callers.owner.http_with(callers.owner.tokens.token(), traceparent=foreign) as http:
        trace_id = http.get("/v1/projects?pageSize=1").headers["x-trace-id"]
    foreign_id = foreign.split("-")[1]
    assert trace_id != foreign_id
    with Reader(homes.find(running.home).traces) as reader:
        wait_until(lambda: len(reader.trace(trace_id)) >= 3, f"the trace {trace_id} is not kept")
        spans = reader.trace(trace_id)
        assert not reader.trace(foreign_id)
    assert [span.service for span in spans if not span.parent_id] == ["gateway"]
    assert {link.trace_id for span in spans for link in span.links} == {foreign_id}
