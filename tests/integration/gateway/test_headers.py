"""What a client says of itself has no effect, and what the gateway writes down of it is nobody's secret."""

import json
import re

import grpc
import pytest
from verbund.registry.v1 import project_service_pb2 as pb

from tests.integration.gateway.conftest import Mesh
from tests.support.dialects import call

PATH = "/verbund.registry.v1.ProjectService/GetProject"
FOREIGN = "00-11111111111111111111111111111111-2222222222222222-01"
UNSAMPLED = "00-33333333333333333333333333333333-4444444444444444-00"
FORGED = {
    "x-jwt-payload": "eyJyb2xlcyI6WyJhZG1pbiJdfQ",
    "x-forwarded-for": "203.0.113.7",
    "x-forwarded-proto": "http",
    "x-forwarded-host": "evil.example",
    "x-forwarded-client-cert": "By=spiffe://evil",
    "forwarded": "for=203.0.113.7",
    "x-real-ip": "203.0.113.7",
    "x-request-id": "00000000-0000-4000-8000-000000000000",
    "x-envoy-original-path": "/v1/forged",
    "x-envoy-external-address": "203.0.113.7",
    "x-envoy-internal": "true",
    "x-envoy-upstream-rq-timeout-ms": "1",
    "x-envoy-max-retries": "99",
    "x-envoy-retry-on": "5xx",
    "x-envoy-force-trace": "true",
    "x-client-trace-id": "forged",
    "x-trace-id": "forged",
    "x-external-traceparent": "forged",
    "traceparent": FOREIGN,
    "tracestate": "vendor=forged",
    "baggage": "organisation=forged",
    "b3": "1",
    "grpc-trace-bin": "forged",
    "cookie": "session=forged",
}


def arrived(mesh: Mesh) -> dict[str, str]:
    """The metadata of the one call that arrived."""
    (received,) = mesh.registry.calls
    return received.metadata


@pytest.mark.parametrize("dialect", ["json", "grpc"])
def test_forged_headers(mesh: Mesh, dialect: str) -> None:
    """Nothing that a client claims about itself or about the mesh's inside reaches a service."""
    if dialect == "json":
        with mesh.gateway.client(mesh.token("viewer"), **FORGED) as client:
            assert client.get("/v1/projects/a.b").status_code == 200
    else:
        with mesh.gateway.channel() as channel:
            sent = {key: value for key, value in FORGED.items() if key != "grpc-trace-bin"}
            call(channel, PATH, pb.GetProjectRequest(name="projects/a.b"), mesh.token("viewer"), **sent)
    metadata = arrived(mesh)
    assert metadata["x-forwarded-proto"] == "https"
    assert metadata["x-request-id"] != FORGED["x-request-id"]
    gone = set(FORGED) - {"x-forwarded-proto", "x-request-id", "x-external-traceparent", "traceparent", "tracestate"}
    assert gone & set(metadata) == set()
    assert "forged" not in str(metadata)
    assert not [key for key in metadata if key.startswith("x-envoy-")]


def test_foreign_trace_is_only_a_link(mesh: Mesh) -> None:
    """A client's trace context neither names nor suppresses our trace; it is kept for a link."""
    for foreign in (FOREIGN, UNSAMPLED):
        mesh.registry.calls.clear()
        with mesh.gateway.client(mesh.token("viewer"), traceparent=foreign) as client:
            trace_id = client.get("/v1/projects/a.b").headers["x-trace-id"]
        metadata = arrived(mesh)
        assert metadata["x-external-traceparent"] == foreign
        assert re.fullmatch(rf"00-{trace_id}-[0-9a-f]{{16}}-01", metadata["traceparent"])
        assert trace_id not in foreign
        span = mesh.collector.wait_for(trace_id)
        assert span.span_id.hex() == metadata["traceparent"].split("-")[2]
        assert not span.parent_span_id


def test_no_trace_of_a_client(mesh: Mesh) -> None:
    """A call without a trace context brings none of its own, not even one named like ours."""
    with mesh.gateway.client(mesh.token("viewer"), **{"x-external-traceparent": FOREIGN}) as client:
        client.get("/v1/projects/a.b")
    assert "x-external-traceparent" not in arrived(mesh)


def test_span_of_a_call(mesh: Mesh) -> None:
    """The span is named after the rule and holds neither address nor query nor name of the client's program."""
    with mesh.gateway.client(mesh.token("viewer"), **{"user-agent": "secret-agent"}) as client:
        answer = client.get("/v1/projects?filter=owner%3Dsecret")
    span = mesh.collector.wait_for(answer.headers["x-trace-id"])
    assert span.name == "verbund.registry.v1.ProjectService.ListProjects"
    assert "secret" not in str(span)
    assert "127.0.0.1:" not in str(span)
    assert "CityLAB".lower() not in str(span)
    attributes = {found.key: found.value for found in span.attributes}
    assert attributes["http.response.status_code"].int_value == 200
    (resource,) = {
        group.resource.SerializeToString() for export in mesh.collector.exports for group in export.resource_spans
    }
    assert b"gateway" in resource


def test_access_log(mesh: Mesh) -> None:
    """The access log says what was called and how it went, and nothing personal."""
    with mesh.gateway.client(mesh.token("viewer"), **{"user-agent": "secret-agent"}) as client:
        answer = client.get("/v1/projects?filter=owner%3Dsecret")
        refused = client.delete("/v1/projects/secret.name")
    line = mesh.gateway.accessed(answer.headers["x-trace-id"])
    assert line["rule"] == "verbund.registry.v1.ProjectService.ListProjects"
    assert (line["status"], line["grpc_status"], line["upstream"]) == (200, "OK", "registry-grpc")
    denied = mesh.gateway.accessed(refused.headers["x-trace-id"])
    assert denied["rule"] == "verbund.registry.v1.ProjectService.DeleteProject"
    assert "PERMISSION_MISSING" in denied["details"]
    text = json.dumps([line, denied])
    for personal in ("secret", "127.0.0.1", "citylab"):
        assert personal not in text


def test_traceresponse_is_passed(mesh: Mesh) -> None:
    """What a service answers as `traceresponse` reaches the client."""

    def answer(_: object, context: grpc.ServicerContext) -> None:
        context.send_initial_metadata((("traceresponse", FOREIGN),))

    mesh.registry.answers[PATH] = answer
    with mesh.gateway.client(mesh.token("viewer")) as client:
        assert client.get("/v1/projects/a.b").headers["traceresponse"] == FOREIGN


def test_gateway_names_no_product(mesh: Mesh) -> None:
    """Answers say nothing of what runs here."""
    with mesh.gateway.client(mesh.token("viewer")) as client:
        headers = client.get("/v1/projects/a.b").headers
    assert "server" not in headers
    assert not [key for key in headers if key.startswith("x-envoy")]
