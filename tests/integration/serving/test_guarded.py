"""What every HTTP route under a rule promises, tried over HTTP on routes that exist for this test only."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from verbund.policy.table import HttpRoute, PolicyError, Rule
from verbund.policy.v1 import policy_pb2 as pb
from verbund.serving.call import Call
from verbund.serving.guarded import guarded
from verbund.serving.refusals import Absent, Exhausted
from verbund.serving.tokens import TokenVerifier
from verbund.serving.worker import HttpServer

from tests.support.tokens import ISSUER, Issuer


def route(
    name: str, path: str, *, audience: int = pb.AUDIENCE_MEMBER, methods: tuple[str, ...] = ("GET",), own: bool = False
) -> HttpRoute:
    """A route whose rule asks for what every role holds, or for nothing."""
    permission = "" if audience == pb.AUDIENCE_PUBLIC else "registry.projects.read"
    rule = Rule(
        name=name, permission=permission, audience=audience, least_assurance=pb.ASSURANCE_LOW, rate=pb.RATE_READ
    )
    return HttpRoute(area="probe", methods=methods, path=path, rule=rule, refuses_itself=own)


ROUTES = (
    route("probe.read", "/probe/", methods=("GET", "HEAD")),
    route("probe.public", "/public", audience=pb.AUDIENCE_PUBLIC),
    route("probe.operate", "/operate", audience=pb.AUDIENCE_OPERATOR),
    route("probe.late", "/late"),
    route("probe.own", "/own/", audience=pb.AUDIENCE_OPERATOR, own=True),
)


def read(request: Request, call: Call) -> Response:
    """Answers who calls, or refuses what the path names."""
    match request.path_params["path"]:
        case "absent":
            raise Absent("probes/absent")
        case "full":
            raise Exhausted(limit="probes", retry_seconds=2.5)
        case "crash":
            raise ZeroDivisionError("a secret cause")
    return JSONResponse({"organisation": call.organisation, "path": request.path_params["path"], "rule": call.method})


async def late(_request: Request, call: Call) -> Response:
    """Answers how long it may take."""
    return JSONResponse({"seconds": round(call.remaining_seconds())})


@pytest.fixture
def issuer(tmp_path: Path) -> Issuer:
    return Issuer(tmp_path)


@pytest.fixture
def client(issuer: Issuer) -> Iterator[httpx.Client]:
    verifier = TokenVerifier(
        issuer=ISSUER, audience="verbund", jwks_file=issuer.jwks_file, revocations_file=issuer.revocations_file
    )
    handlers: dict[str, Any] = {"probe.read": read, "probe.public": late, "probe.operate": read, "probe.late": late}
    handlers["probe.own"] = read
    with tempfile.TemporaryDirectory(prefix="verbund-h-", dir="/tmp") as directory:
        socket = Path(directory) / "probe.http.sock"
        server = HttpServer(guarded(ROUTES, handlers, verifier, deadline_seconds=7), socket)
        try:
            with httpx.Client(
                transport=httpx.HTTPTransport(uds=str(socket), retries=3), base_url="http://probe"
            ) as found:
                yield found
        finally:
            server.stop()


def asked(
    client: httpx.Client, path: str, token: str = "", method: str = "GET"
) -> tuple[httpx.Response, dict[str, str]]:
    """The answer, and what its ErrorInfo says where it is a refusal."""
    answer = client.request(method, path, headers={"authorization": f"Bearer {token}"} if token else {})
    if answer.status_code < 400 or method == "HEAD":
        return answer, {}
    info = answer.json()["details"][0]
    return answer, {"reason": info["reason"]} | info["metadata"]


def test_a_handler_hears_who_calls(client: httpx.Client, issuer: Issuer) -> None:
    """The caller's organisation, the rule and what is below the path; HEAD is answered as GET."""
    answer, _ = asked(client, "/probe/a/b", issuer.token("citylab"))
    assert answer.json() == {"organisation": "organisations/citylab", "path": "a/b", "rule": "probe.read"}
    assert asked(client, "/probe/a/b", issuer.token(), "HEAD")[0].status_code == 200
    assert asked(client, "/late", issuer.token())[0].json() == {"seconds": 7}


def test_a_public_route_asks_for_no_token(client: httpx.Client) -> None:
    """Whoever has none gets an answer, and whoever has a bad one too."""
    assert asked(client, "/public")[0].status_code == 200
    assert asked(client, "/public", "nonsense")[0].status_code == 200


@pytest.mark.parametrize(
    ("path", "status", "reason"),
    [
        ("/probe/absent", 404, "NOT_FOUND"),
        ("/probe/full", 429, "LIMIT_REACHED"),
        ("/probe/crash", 500, "INTERNAL"),
        ("/operate", 403, "PERMISSION_MISSING"),
        ("/elsewhere", 404, "UNKNOWN_METHOD"),
    ],
)
def test_a_refusal_has_the_mesh_shape(
    client: httpx.Client, issuer: Issuer, path: str, status: int, reason: str
) -> None:
    """`google.rpc.Status` with reason, advice and trace, whatever the handler raised; its cause is never told."""
    answer, info = asked(client, path, issuer.token())
    assert (answer.status_code, info["reason"]) == (status, reason)
    assert info.keys() >= {"retry", "fixer", "remedy", "traceId"}
    assert answer.headers["content-type"] == "application/json"
    assert "secret" not in answer.text
    assert answer.headers.get("retry-after") == ("3" if reason == "LIMIT_REACHED" else None)


def test_who_is_not_known_is_told_how_to_be(client: httpx.Client, issuer: Issuer) -> None:
    """No token and a bad token are two reasons, each with its challenge."""
    answer, info = asked(client, "/probe/a")
    assert (answer.status_code, info["reason"]) == (401, "NO_TOKEN")
    assert answer.headers["www-authenticate"] == 'Bearer realm="verbund"'
    answer, info = asked(client, "/probe/a", issuer.token(exp=1))
    assert (answer.status_code, info["reason"]) == (401, "TOKEN_INVALID")
    assert "invalid_token" in answer.headers["www-authenticate"]


def test_a_handler_that_refuses_itself_meets_nobody(client: httpx.Client, issuer: Issuer) -> None:
    """Without a token and with a bad one; who has a good one is measured by the rule all the same."""
    for token in ("", "nonsense", issuer.token(exp=1)):
        assert asked(client, "/own/a", token)[0].json()["organisation"] == ""
    assert asked(client, "/own/a", issuer.token())[1]["reason"] == "PERMISSION_MISSING"
    operator = issuer.token(roles=("operator",))
    assert asked(client, "/own/a", operator)[0].json()["organisation"] == "organisations/citylab"


def test_a_method_that_no_rule_names_is_refused(client: httpx.Client, issuer: Issuer) -> None:
    """405, in the mesh's shape."""
    answer, info = asked(client, "/probe/a", issuer.token(), "DELETE")
    assert (answer.status_code, info["reason"]) == (405, "UNKNOWN_METHOD")


def test_rules_and_handlers_belong_together() -> None:
    """A rule without a handler fails the start, and a handler without a rule too."""
    verifier: Any = None
    with pytest.raises(PolicyError, match="public"):
        guarded(ROUTES[1:2], {}, verifier)
    with pytest.raises(PolicyError, match="late"):
        guarded(ROUTES[1:2], {"probe.public": late, "probe.late": late}, verifier)
