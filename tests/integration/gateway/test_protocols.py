"""One service, called in JSON, gRPC and gRPC-Web, by programs and by pages; plain HTTP beside it."""

import base64
import json
import socket
import ssl
import struct
from collections.abc import Iterator

import pytest
from google.protobuf.message import Message
from verbund.registry.v1 import change_service_pb2 as changes
from verbund.registry.v1 import project_service_pb2 as pb
from verbund.registry.v1 import types_pb2

from tests.integration.gateway.conftest import PORTAL, Mesh
from tests.support.dialects import call, framed, info, status_of_headers, status_of_json

SERVICE = "/verbund.registry.v1.ProjectService"
WATCH = "/verbund.registry.v1.ChangeService/WatchChanges"
PROJECT = pb.Project(name="projects/a.b", title=types_pb2.LocalizedText(de="Grün"))


def test_json_of_path_query_and_body(mesh: Mesh) -> None:
    """Path, query and body become the request's fields, and the answer is proto3's JSON."""
    mesh.registry.answers[f"{SERVICE}/UpdateProject"] = lambda *_: PROJECT
    with mesh.gateway.client(mesh.token("system")) as client:
        answer = client.patch("/v1/projects/a.b?updateMask=title.de&requestId=x", json={"title": {"de": "Grün"}})
    assert answer.json() == {"name": "projects/a.b", "title": {"de": "Grün"}}
    (received,) = mesh.registry.calls
    request = received.request
    assert isinstance(request, pb.UpdateProjectRequest)
    assert request.project == PROJECT
    assert (list(request.update_mask.paths), request.request_id) == (["title.de"], "x")


def test_a_plus_in_a_query_is_a_space(mesh: Mesh) -> None:
    """Forms and most HTTP clients send a space as a plus, and a plus as %2B."""
    mesh.registry.answers[f"{SERVICE}/SearchProjects"] = lambda *_: pb.SearchProjectsResponse()
    with mesh.gateway.client(mesh.token("system")) as client:
        assert client.get("/v1/projects:search?query=a+b%2Bc%20d").status_code == 200
    (received,) = mesh.registry.calls
    assert isinstance(received.request, pb.SearchProjectsRequest)
    assert received.request.query == "a b+c d"


def test_grpc(mesh: Mesh) -> None:
    """A gRPC call goes through unchanged, its deadline with it."""
    mesh.registry.answers[f"{SERVICE}/GetProject"] = lambda *_: PROJECT
    with mesh.gateway.channel() as channel:
        answer = call(channel, f"{SERVICE}/GetProject", pb.GetProjectRequest(name="projects/a.b"), mesh.token("viewer"))
    assert pb.Project.FromString(answer) == PROJECT


def test_json_to_a_grpc_path(mesh: Mesh) -> None:
    """JSON goes to the JSON paths only: a gRPC path takes gRPC."""
    with mesh.gateway.client(mesh.token("admin")) as client:
        answer = client.post(f"{SERVICE}/DeleteProject", json={"name": "projects/a.b"})
    assert (answer.status_code, info(status_of_json(answer)).reason) == (404, "UNKNOWN_METHOD")
    assert mesh.registry.calls == []


@pytest.mark.parametrize("kind", ["application/grpc-web+proto", "application/grpc-web", "application/grpc-web-text"])
def test_grpc_web(mesh: Mesh, kind: str) -> None:
    """A page calls by gRPC-Web, in binary and in text."""
    mesh.registry.answers[f"{SERVICE}/GetProject"] = lambda *_: PROJECT
    body = framed(pb.GetProjectRequest(name="projects/a.b"))
    text = kind.endswith("text")
    headers = {"content-type": kind, "accept": kind, "x-grpc-web": "1"}
    with mesh.gateway.client(mesh.token("viewer")) as client:
        answer = client.post(f"{SERVICE}/GetProject", content=base64.b64encode(body) if text else body, headers=headers)
    content = b"".join(base64.b64decode(part) for part in chunks(answer.content)) if text else answer.content
    flag, length = struct.unpack(">BI", content[:5])
    assert (flag, pb.Project.FromString(content[5 : 5 + length])) == (0, PROJECT)
    assert b"grpc-status:0" in content[5 + length :]


def chunks(text: bytes) -> Iterator[bytes]:
    """The parts of a base64 text that end with their padding."""
    part = bytearray()
    for position in range(0, len(text), 4):
        part += text[position : position + 4]
        if part.endswith(b"="):
            yield bytes(part)
            part.clear()
    yield bytes(part)


def test_watch_in_json(mesh: Mesh) -> None:
    """A stream is one JSON object a line."""

    def watch(*_: object) -> Iterator[Message]:
        yield changes.WatchChangesResponse(started=changes.WatchStarted(), resume_token="1")
        yield changes.WatchChangesResponse(end=changes.WatchEnd(cause=changes.WATCH_END_CAUSE_AGE), resume_token="1")

    mesh.registry.answers[WATCH] = watch
    with mesh.gateway.client(mesh.token("viewer")) as client, client.stream("GET", "/v1/changes:watch") as answer:
        lines = [json.loads(line) for line in answer.iter_lines()]
    assert lines == [
        {"started": {}, "resumeToken": "1"},
        {"end": {"cause": "WATCH_END_CAUSE_AGE"}, "resumeToken": "1"},
    ]


def preflight(mesh: Mesh, origin: str) -> dict[str, str]:
    """What a browser is told before it sends a call."""
    headers = {
        "origin": origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type",
    }
    with mesh.gateway.client() as client:
        return dict(client.options(f"{SERVICE}/GetProject", headers=headers).headers)


def test_cors(mesh: Mesh) -> None:
    """Pages of the listed origins may call with a token, never with cookies; others may not."""
    allowed = preflight(mesh, PORTAL)
    assert allowed["access-control-allow-origin"] == PORTAL
    assert "authorization" in allowed["access-control-allow-headers"]
    assert "access-control-allow-credentials" not in allowed
    for foreign in ("https://evil.example", "https://portal.example.evil.example", "null"):
        assert "access-control-allow-origin" not in preflight(mesh, foreign)


def test_cors_of_refusals(mesh: Mesh) -> None:
    """A page can read why it was refused."""
    headers = {"origin": PORTAL, "content-type": "application/grpc-web+proto"}
    with mesh.gateway.client() as client:
        answer = client.post(f"{SERVICE}/GetProject", content=framed(pb.GetProjectRequest()), headers=headers)
    assert info(status_of_headers(dict(answer.headers))).reason == "NO_TOKEN"
    assert answer.headers["access-control-allow-origin"] == PORTAL
    assert "grpc-status-details-bin" in answer.headers["access-control-expose-headers"]


def test_plain_http(mesh: Mesh) -> None:
    """An area's HTTP routes go to its HTTP server, without a token where the rule is public, otherwise untouched."""
    with mesh.gateway.client() as client:
        assert client.get("/oauth2/jwks?a=b").status_code == 200
        assert client.post("/oauth2/token", data={"grant_type": "client_credentials"}).status_code == 200
    assert [(verb, path) for verb, path, _ in mesh.pages.requests] == [
        ("GET", "/oauth2/jwks?a=b"),
        ("POST", "/oauth2/token"),
    ]
    assert "traceparent" in mesh.pages.requests[0][2]


def test_other_method(mesh: Mesh) -> None:
    """A method that an HTTP route does not take is refused as such."""
    with mesh.gateway.client() as client:
        answer = client.get("/oauth2/token")
    assert (answer.status_code, info(status_of_json(answer)).reason) == (405, "UNKNOWN_METHOD")
    assert mesh.pages.requests == []


def test_health(mesh: Mesh) -> None:
    """Anybody may ask whether the gateway lives."""
    with mesh.gateway.client() as client:
        assert client.get("/healthz").json() == {"status": "SERVING"}


@pytest.mark.parametrize("verb", ["GET", "HEAD"])
def test_the_meshs_name_alone_leads_to_the_pages(mesh: Mesh, verb: str) -> None:
    """Whoever opens it without a token comes to the pages for people, at the port where they are."""
    with mesh.gateway.client() as client:
        answer = client.request(verb, "/")
        assert (answer.status_code, answer.headers["location"]) == (302, "/console/")
        assert client.request(verb, "/elsewhere").next_request is None
        assert client.post("/").next_request is None


@pytest.mark.parametrize(("offered", "chosen"), [(["h2", "http/1.1"], "h2"), (["http/1.1"], "http/1.1")])
def test_protocols_of_tls(mesh: Mesh, offered: list[str], chosen: str) -> None:
    """HTTP/2 and HTTP/1.1 are both spoken, over TLS 1.3 where the client can."""
    context = ssl.create_default_context(cafile=str(mesh.gateway.settings.certificate_file))
    context.set_alpn_protocols(offered)
    with (
        socket.create_connection(("127.0.0.1", mesh.gateway.settings.port)) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as secure,
    ):
        assert (secure.selected_alpn_protocol(), secure.version()) == (chosen, "TLSv1.3")
