"""What the gateway refuses, it refuses in the shape of the services' refusals, over JSON, gRPC and gRPC-Web alike."""

import base64
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import grpc
import httpx
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from google.protobuf.json_format import MessageToDict
from google.protobuf.message_factory import GetMessageClass
from google.rpc import code_pb2, status_pb2
from google.rpc import error_details_pb2 as details
from grpc_status import rpc_status
from joserfc import jwt
from joserfc.jwk import ECKey
from verbund.identity.v1 import organisation_service_pb2 as organisations
from verbund.registry.v1 import project_service_pb2 as pb
from verbund.serving.refusals import Absent
from verbund.serving.status import status_of

from tests.integration.gateway.conftest import PROBE, Mesh
from tests.support.dialects import DIALECTS, Target, call, info, retry_seconds, status_of_grpc, status_of_json
from tests.support.tokens import new_key

NAME = "projects/citylab.lastenrad"
GET = Target(
    path="/verbund.registry.v1.ProjectService/GetProject",
    request=pb.GetProjectRequest(name=NAME),
    verb="GET",
    url=f"/v1/{NAME}",
)
DELETE = Target(
    path="/verbund.registry.v1.ProjectService/DeleteProject",
    request=pb.DeleteProjectRequest(name=NAME),
    verb="DELETE",
    url=f"/v1/{NAME}",
)
NOWHERE = Target(
    path="/verbund.registry.v1.ProjectService/Nothing",
    request=pb.GetProjectRequest(),
    verb="GET",
    url="/v1/nothing",
)
NOBODY_SERVES = Target(
    path="/verbund.identity.v1.OrganisationService/GetOrganisation",
    request=organisations.GetOrganisationRequest(name="organisations/citylab"),
    verb="GET",
    url="/v1/organisations/citylab",
)
dialects = pytest.mark.parametrize("dialect", DIALECTS)


def probe(method: str) -> Target:
    """A call of a method of the probe service."""
    message = GetMessageClass(PROBE.methods_by_name[method].input_type)(name="probes/x")
    return Target(path=f"/tests.probe.Probe/{method}", request=message, verb="GET", url=f"/v1/probes/x:{method}")


def claims_of(mesh: Mesh) -> dict[str, Any]:
    """The claims of a good token."""
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(mesh.token("viewer").split(".")[1] + "=="))
    return found


def encoded(value: bytes) -> str:
    """Base64url as tokens have it."""
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def parts(mesh: Mesh, **header: str) -> str:
    """The first two parts of a token with a header of our choice."""
    return f"{encoded(json.dumps(header).encode())}.{encoded(json.dumps(claims_of(mesh)).encode())}"


def by_public_key(mesh: Mesh) -> str:
    """A token signed with our public key as if it were a shared secret."""
    secret = mesh.issuer.key.public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    signed = parts(mesh, alg="HS256", kid=str(mesh.issuer.key.kid))
    return f"{signed}.{encoded(hmac.digest(secret, signed.encode(), 'sha256'))}"


def by_another_key(mesh: Mesh, key: ECKey, algorithm: str) -> str:
    """A token of another key that claims to be ours."""
    header = {"alg": algorithm, "kid": mesh.issuer.key.kid}
    return jwt.encode(header, claims_of(mesh), key, algorithms=[algorithm])


def stating(mesh: Mesh, **claims: Any) -> str:
    """A token of ours whose claims have a shape that identity never gives them."""
    header = {"alg": "ES256", "kid": mesh.issuer.key.kid}
    return jwt.encode(header, claims_of(mesh) | claims, mesh.issuer.key, algorithms=["ES256"])


def endless(mesh: Mesh) -> str:
    """A token of ours that says no end."""
    claims = {key: value for key, value in claims_of(mesh).items() if key != "exp"}
    return jwt.encode({"alg": "ES256", "kid": mesh.issuer.key.kid}, claims, mesh.issuer.key, algorithms=["ES256"])


BAD_TOKENS: dict[str, Callable[[Mesh], str]] = {
    "garbage": lambda _: "garbage",
    "three parts of garbage": lambda _: "a.b.c",
    "no end": endless,
    "expired": lambda mesh: mesh.token("viewer", exp=int(time.time()) - 60, iat=int(time.time()) - 360),
    "not yet valid": lambda mesh: mesh.token("viewer", nbf=int(time.time()) + 600),
    "another audience": lambda mesh: mesh.token("viewer", aud="another"),
    "another issuer": lambda mesh: mesh.token("viewer", iss="https://another.example"),
    "no algorithm": lambda mesh: parts(mesh, alg="none", typ="at+jwt") + ".",
    "our public key as a secret": by_public_key,
    "a foreign key": lambda mesh: by_another_key(mesh, new_key(), "ES256"),
    "another algorithm": lambda mesh: by_another_key(mesh, ECKey.generate_key("P-384"), "ES384"),
    "altered": lambda mesh: mesh.token("viewer")[:-8] + "AAAAAAAA",
}


@dialects
@pytest.mark.parametrize("kind", BAD_TOKENS)
def test_bad_token(mesh: Mesh, dialect: str, kind: str) -> None:
    """A token that is not one of the mesh is refused without saying why, and nothing reaches a worker."""
    status = DIALECTS[dialect](mesh.gateway, BAD_TOKENS[kind](mesh), GET)
    assert (status.code, info(status).reason) == (code_pb2.UNAUTHENTICATED, "TOKEN_INVALID")
    assert status.message == "The token is not valid."
    assert len(status.details) == 1
    assert mesh.registry.calls == []


@dialects
@pytest.mark.parametrize("target", [GET, NOWHERE], ids=["known", "unknown"])
def test_no_token(mesh: Mesh, dialect: str, target: Target) -> None:
    """Without a token a caller is asked for one, and does not learn what there is."""
    status = DIALECTS[dialect](mesh.gateway, "", target)
    assert (status.code, info(status).reason) == (code_pb2.UNAUTHENTICATED, "NO_TOKEN")
    assert info(status).domain == "verbund"
    assert info(status).metadata["fixer"] == "caller"
    assert mesh.registry.calls == []


def test_challenge_names_nothing(mesh: Mesh) -> None:
    """A 401 asks for a bearer token (RFC 6750) and repeats nothing of the request."""
    with mesh.gateway.client() as client:
        answer = client.get("/v1/projects?pageToken=secret")
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, 'Bearer realm="verbund"')
    assert "secret" not in answer.text + str(answer.headers)


@dialects
def test_permission_missing(mesh: Mesh, dialect: str) -> None:
    """A caller without the permission learns the rule and what it asks for."""
    status = DIALECTS[dialect](mesh.gateway, mesh.token("viewer"), DELETE)
    assert (status.code, info(status).reason) == (code_pb2.PERMISSION_DENIED, "PERMISSION_MISSING")
    assert info(status).metadata["rule"] == "verbund.registry.v1.ProjectService.DeleteProject"
    assert info(status).metadata["permission"] == "registry.projects.delete"
    assert mesh.registry.calls == []


@dialects
@pytest.mark.parametrize("roles", [("caseworker",), ("viewer", "system"), ("unheard-of", "admin")])
def test_permission_held(mesh: Mesh, dialect: str, roles: tuple[str, ...]) -> None:
    """One role that holds the permission is enough."""
    assert DIALECTS[dialect](mesh.gateway, mesh.token(*roles), DELETE).code == code_pb2.OK
    assert [received.method for received in mesh.registry.calls] == [DELETE.path]


@dialects
@pytest.mark.parametrize("roles", [[], "admin", None, {"admin": True}, ["administrator"], [["admin"]], "[admin]"])
def test_roles_of_another_shape(mesh: Mesh, dialect: str, roles: Any) -> None:
    """A token whose roles are not a list with the right name in it holds nothing."""
    status = DIALECTS[dialect](mesh.gateway, stating(mesh, roles=roles), GET)
    assert (status.code, info(status).reason) == (code_pb2.PERMISSION_DENIED, "PERMISSION_MISSING")


@dialects
@pytest.mark.parametrize(("acr", "accepted"), [("low", False), ("substantial", True), ("high", True), ("other", False)])
def test_assurance(mesh: Mesh, dialect: str, acr: str, *, accepted: bool) -> None:
    """A rule that asks for assurance refuses those who signed in with less, and says how much it asks for."""
    status = DIALECTS[dialect](mesh.gateway, mesh.token("viewer", acr=acr), probe("Assured"))
    if accepted:
        assert status.code == code_pb2.OK
        return
    assert (status.code, info(status).reason) == (code_pb2.PERMISSION_DENIED, "ASSURANCE_TOO_LOW")
    assert info(status).metadata["rule"] == "probe.assured"
    assert info(status).metadata["leastAssurance"] == "substantial"


@dialects
def test_permission_before_assurance(mesh: Mesh, dialect: str) -> None:
    """Whoever lacks the permission is not told to sign in with more assurance: it would not help."""
    status = DIALECTS[dialect](mesh.gateway, mesh.token("unheard-of", acr="low"), probe("Assured"))
    assert info(status).reason == "PERMISSION_MISSING"


@dialects
def test_operators_only(mesh: Mesh, dialect: str) -> None:
    """Where only operators may call, the permission alone is not enough."""
    refused = DIALECTS[dialect](mesh.gateway, mesh.token("admin"), probe("Operate"))
    assert info(refused).reason == "PERMISSION_MISSING"
    assert DIALECTS[dialect](mesh.gateway, mesh.token("operator"), probe("Operate")).code == code_pb2.OK


@dialects
def test_signed_in(mesh: Mesh, dialect: str) -> None:
    """Where every signed-in caller may call, a token without any role is enough, and no token is not."""
    assert DIALECTS[dialect](mesh.gateway, mesh.token(), probe("SignedIn")).code == code_pb2.OK
    assert info(DIALECTS[dialect](mesh.gateway, "", probe("SignedIn"))).reason == "NO_TOKEN"


@dialects
def test_public(mesh: Mesh, dialect: str) -> None:
    """A public method is called without a token."""
    assert DIALECTS[dialect](mesh.gateway, "", probe("Public")).code == code_pb2.OK
    assert [received.method for received in mesh.registry.calls] == ["/tests.probe.Probe/Public"]


@dialects
def test_unknown_method(mesh: Mesh, dialect: str) -> None:
    """What has no rule is not there."""
    status = DIALECTS[dialect](mesh.gateway, mesh.token("admin"), NOWHERE)
    assert (status.code, info(status).reason) == (code_pb2.UNIMPLEMENTED, "UNKNOWN_METHOD")
    assert mesh.registry.calls == []


@pytest.mark.parametrize("path", ["/grpc.health.v1.Health/Check", "/tests.probe.Probe/public", "/"])
def test_unrouted(mesh: Mesh, path: str) -> None:
    """Health is the mesh's own, names are exact, and nothing is guessed."""
    with mesh.gateway.channel() as channel:
        status = status_of_grpc(lambda: call(channel, path, pb.GetProjectRequest(), mesh.token("operator")))
    assert info(status).reason == "UNKNOWN_METHOD"


@dialects
def test_no_worker(mesh: Mesh, dialect: str) -> None:
    """Where no worker answers, the caller is told to try again, and when."""
    status = DIALECTS[dialect](mesh.gateway, mesh.token("viewer"), NOBODY_SERVES)
    assert (status.code, info(status).reason) == (code_pb2.UNAVAILABLE, "UNAVAILABLE")
    assert (info(status).metadata["retry"], retry_seconds(status)) == ("true", 1.0)


INVALID = {
    "unknown query parameter": ("GET", "/v1/projects?colour=red", "", "colour"),
    "unknown nested parameter": ("GET", "/v1/projects?filter.x=1", "", "filter"),
    "wrong type in the query": ("GET", "/v1/projects?pageSize=many", "", "page_size"),
    "malformed": ("POST", "/v1/projects", '{"title": ', ""),
    "wrong type in the body": ("POST", "/v1/projects", '{"title": 7}', "title"),
    "not an object": ("POST", "/v1/projects", "[]", ""),
    "unknown enum value": ("POST", "/v1/projects", '{"visibility": "SECRET"}', "visibility"),
}


@pytest.mark.parametrize("kind", INVALID)
def test_input_invalid(mesh: Mesh, kind: str) -> None:
    """What cannot be read is INVALID_ARGUMENT with BadRequest, which names the field; no worker sees it."""
    verb, url, body, named = INVALID[kind]
    with mesh.gateway.client(mesh.token("system"), **{"content-type": "application/json"}) as client:
        answer = client.request(verb, url, content=body)
    status = status_of_json(answer)
    assert (answer.status_code, status.code, info(status).reason) == (400, code_pb2.INVALID_ARGUMENT, "INPUT_INVALID")
    found = details.BadRequest()
    assert [detail for detail in status.details if detail.Unpack(found)]
    assert named in found.field_violations[0].description
    assert mesh.registry.calls == []


def test_refused_before_the_first_filter(mesh: Mesh) -> None:
    """What is refused before any filter saw it has the same shape."""
    with mesh.gateway.channel() as channel:
        status = status_of_grpc(lambda: call(channel, "/a%2Fb/c", pb.GetProjectRequest(), mesh.token("admin")))
    assert (status.code, info(status).reason) == (code_pb2.INVALID_ARGUMENT, "INPUT_INVALID")


def test_refusal_of_a_service(mesh: Mesh) -> None:
    """A service's own refusal arrives as it is, over JSON too."""
    sent = status_of(Absent(NAME), trace_id="1" * 32)

    def refuse(_: object, context: grpc.ServicerContext) -> None:
        context.abort_with_status(rpc_status.to_status(status_pb2.Status.FromString(sent.SerializeToString())))

    mesh.registry.answers[GET.path] = refuse
    for dialect in DIALECTS.values():
        assert MessageToDict(dialect(mesh.gateway, mesh.token("viewer"), GET)) == MessageToDict(sent)
    with mesh.gateway.client(mesh.token("viewer")) as client:
        assert client.get(f"/v1/{NAME}").status_code == 404


def test_trace_id(mesh: Mesh) -> None:
    """A refusal names the trace in its metadata, and every answer in a header."""
    with mesh.gateway.client() as client:
        answer = client.get("/v1/projects")
    trace_id = answer.headers["x-trace-id"]
    assert info(status_of_json(answer)).metadata["traceId"] == trace_id
    assert mesh.collector.wait_for(trace_id).name


@pytest.mark.parametrize("path", ["/v1/projects%2Fx", "/v1/projects%5Cx", "/v1/%00", "/v1/../../etc/passwd"])
def test_odd_paths(mesh: Mesh, path: str) -> None:
    """A path that two parts of the mesh could read differently goes nowhere."""
    with mesh.gateway.client(mesh.token("admin")) as client:
        answer = client.send(
            httpx.Request("GET", mesh.gateway.url + "/", headers=client.headers, extensions={"target": path.encode()})
        )
    assert answer.status_code in {400, 404}
    assert status_of_json(answer).code in {code_pb2.INVALID_ARGUMENT, code_pb2.UNIMPLEMENTED}
    assert mesh.registry.calls == []
