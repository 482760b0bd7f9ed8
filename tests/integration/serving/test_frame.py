"""What every service promises, tried over the wire on a service that exists for this test only."""

import base64
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import ServiceDescriptor
from google.rpc import error_details_pb2 as details
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from joserfc import jwt
from verbund.registry.v1 import change_service_pb2 as changes
from verbund.registry.v1 import change_service_pb2_grpc as changes_grpc
from verbund.registry.v1 import project_service_pb2 as pb
from verbund.registry.v1 import project_service_pb2_grpc as grpc_pb
from verbund.registry.v1.types_pb2 import LocalizedText
from verbund.sdk.refusals import Refused
from verbund.serving.area import Area
from verbund.serving.call import Call
from verbund.serving.refusals import Absent, Down, Exists, Forbidden, Late, Stale, StateForbids
from verbund.serving.server import MissingMethod, build_server
from verbund.serving.settings import ServingSettings
from verbund.serving.tokens import TokenVerifier
from verbund.serving.watches import EndCause, Stream, Watch, Watches, watching

from tests.support.load import wait_until
from tests.support.serving import bearer, connected, running, served
from tests.support.tokens import Issuer, new_key

PROJECT = "projects/citylab.test"
REFUSED: dict[str, Exception] = {
    "absent": Absent(PROJECT),
    "exists": Exists(PROJECT),
    "stale": Stale(PROJECT),
    "state": StateForbids(PROJECT, type="HAS_PROJECTS", description="It has projects."),
    "owner": Forbidden("NOT_OWNER", rule="r", resource=PROJECT),
    "down": Down(),
    "late": Late(),
    "crash": ZeroDivisionError("a secret cause"),
}


class Projects:
    """A ProjectService whose answers depend on the id that is asked for."""

    service: ServiceDescriptor = pb.DESCRIPTOR.services_by_name["ProjectService"]

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.release = threading.Event()

    def GetProject(self, request: pb.GetProjectRequest, call: Call) -> pb.Project | bytes:  # noqa: N802
        self.calls.append(call)
        kind = request.name.rsplit(".", 1)[1]
        if kind in REFUSED:
            raise REFUSED[kind]
        if kind == "wait":
            self.release.wait(60)
        project = pb.Project(name=request.name, owner=call.organisation)
        return project.SerializeToString() if kind == "bytes" else project

    def __getattr__(self, name: str) -> Any:
        if name[0].isupper():
            return self.GetProject
        raise AttributeError(name)


class Changes:
    """A ChangeService that tells every watcher what `publish` says."""

    service: ServiceDescriptor = changes.DESCRIPTOR.services_by_name["ChangeService"]

    def __init__(self, verifier: TokenVerifier) -> None:
        self.open: list[Watch] = []
        self.watches = Watches(
            end=self.end, accepts=verifier.accepts, total_max=100, per_organisation_max=50, seconds_max=60
        )

    def ListChanges(self, request: changes.ListChangesRequest, call: Call) -> changes.ListChangesResponse:  # noqa: ARG002, N802
        return changes.ListChangesResponse()

    @watching
    def WatchChanges(self, request: changes.WatchChangesRequest, call: Call, stream: Stream) -> None:  # noqa: N802
        watch = self.watches.open(call, stream)
        watch.position = request.resume_token
        watch.offer(changes.WatchChangesResponse(started=changes.WatchStarted()))
        self.open.append(watch)

    def publish(self, token: object) -> None:
        for watch in self.open:
            watch.offer(changes.WatchChangesResponse(resume_token=str(token)))

    @staticmethod
    def end(watch: Watch, cause: EndCause) -> changes.WatchChangesResponse:
        number = changes.WatchEndCause.Value(f"WATCH_END_CAUSE_{cause.name}")
        return changes.WatchChangesResponse(end=changes.WatchEnd(cause=number), resume_token=watch.position)


@pytest.fixture
def issuer(tmp_path: Path) -> Issuer:
    return Issuer(tmp_path)


@pytest.fixture
def projects() -> Projects:
    return Projects()


@pytest.fixture
def feeds() -> list[Changes]:
    return []


@pytest.fixture
def channel(issuer: Issuer, projects: Projects, feeds: list[Changes]) -> Iterator[grpc.Channel]:
    def build(verifier: TokenVerifier) -> Area:
        feeds.append(Changes(verifier))
        return Area(
            name="registry",
            servicers=[projects, feeds[0]],
            ready=lambda: True,
            drain=lambda: feeds[0].watches.drain(5),
        )

    with served(build, issuer, threads=4) as opened:
        yield opened


def refused(call: Callable[[], object]) -> Refused:
    """The refusal that a call ends with."""
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return Refused.from_rpc(caught.value)


def get(channel: grpc.Channel, token: str | None, name: str = PROJECT, **call: Any) -> pb.Project:
    """GetProject with a token."""
    metadata = None if token is None else bearer(token)
    return grpc_pb.ProjectServiceStub(channel).GetProject(pb.GetProjectRequest(name=name), metadata=metadata, **call)


def test_a_call_reaches_the_servicer_as_one_explicit_call(
    channel: grpc.Channel, issuer: Issuer, projects: Projects
) -> None:
    """The servicer knows who calls, under which rule, until when, and gRPC's deadline is capped."""
    answer = grpc_pb.ProjectServiceStub(channel).GetProject(
        pb.GetProjectRequest(name=PROJECT), metadata=bearer(issuer.token()), timeout=3600
    )
    assert answer.owner == "organisations/citylab"
    call = projects.calls[0]
    assert call.principal.subject == "organisations/citylab/systems/test"
    assert call.rule.permission == "registry.projects.read"
    assert 25 < call.remaining_seconds() <= 30
    assert len(call.trace_id) == 32


def test_a_servicer_may_answer_with_bytes(channel: grpc.Channel, issuer: Issuer) -> None:
    """What is stored serialised is sent as it is."""
    answer = grpc_pb.ProjectServiceStub(channel).GetProject(
        pb.GetProjectRequest(name="projects/citylab.bytes"), metadata=bearer(issuer.token())
    )
    assert answer.name == "projects/citylab.bytes"


@pytest.mark.parametrize(
    ("kind", "code", "reason"),
    [
        ("absent", "NOT_FOUND", "NOT_FOUND"),
        ("exists", "ALREADY_EXISTS", "ALREADY_EXISTS"),
        ("stale", "ABORTED", "STALE"),
        ("state", "FAILED_PRECONDITION", "STATE_FORBIDS"),
        ("owner", "PERMISSION_DENIED", "NOT_OWNER"),
        ("down", "UNAVAILABLE", "UNAVAILABLE"),
        ("late", "DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED"),
        ("crash", "INTERNAL", "INTERNAL"),
    ],
)
def test_every_refusal_has_its_code_its_reason_and_its_advice(
    channel: grpc.Channel, issuer: Issuer, kind: str, code: str, reason: str
) -> None:
    """A caller can branch on the reason, and reads who can do what about it; a crash tells nothing of its cause."""
    found = refused(lambda: get(channel, issuer.token(), f"projects/citylab.{kind}"))
    assert (found.code.name, found.reason) == (code, reason)
    assert found.remedy
    assert found.metadata["fixer"] in {"caller", "caller_administrator", "provider", "operator"}
    assert len(found.metadata["traceId"]) == 32
    assert "secret" not in f"{found} {found.details}"


def test_without_a_token_a_call_is_refused(channel: grpc.Channel) -> None:
    """NO_TOKEN, before anything of the request is looked at."""
    found = refused(lambda: get(channel, None, "not a name"))
    assert (found.code, found.reason) == (grpc.StatusCode.UNAUTHENTICATED, "NO_TOKEN")


def forged(issuer: Issuer) -> dict[str, str]:
    """Tokens that must not be accepted, by what is wrong with them."""
    now = int(time.time())
    good = issuer.token()
    head, body, signature = good.split(".")
    other = new_key()
    claims = jwt.decode(good, issuer.key, algorithms=["ES256"]).claims
    unsigned = "eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0"  # {"alg":"none","typ":"at+jwt"}
    header: dict[str, Any] = {"typ": "at+jwt", "kid": issuer.key.kid}
    return {
        "garbage": "garbage",
        "empty": "",
        "expired": issuer.token(iat=now - 600, exp=now - 1),
        "of tomorrow": issuer.token(iat=now + 600, exp=now + 900),
        "for another audience": issuer.token(aud="elsewhere"),
        "of another issuer": issuer.token(iss="https://elsewhere.example"),
        "unsigned": f"{unsigned}.{body}.",
        "signed with our public key as a secret": hs256(header, body, issuer.key.as_pem(private=False)),
        "of a foreign key": jwt.encode(
            header | {"alg": "ES256", "kid": other.kid}, claims, other, algorithms=["ES256"]
        ),
        "of a foreign key under our key's id": jwt.encode(
            header | {"alg": "ES256"}, claims, other, algorithms=["ES256"]
        ),
        "not an access token": jwt.encode({"alg": "ES256", "typ": "JWT", "kid": issuer.key.kid}, claims, issuer.key),
        "altered": f"{head}.{body[:-4]}AAAA.{signature}",
        "with unknown assurance": issuer.token(acr="divine"),
    }


def hs256(header: dict[str, Any], body: str, secret: bytes) -> str:
    """A token by hand: a library does not sign with a public key."""
    head = encoded(json.dumps(header | {"alg": "HS256"}).encode())
    return f"{head}.{body}.{encoded(hmac.digest(secret, f'{head}.{body}'.encode(), 'sha256'))}"


def encoded(content: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def test_a_token_that_is_not_ours_is_refused_and_why_is_not_said(channel: grpc.Channel, issuer: Issuer) -> None:
    """TOKEN_INVALID for each, with the same words."""
    answers = set()
    for name, token in forged(issuer).items():
        found = refused(partial(get, channel, token))
        assert found.code is grpc.StatusCode.UNAUTHENTICATED, name
        assert found.reason == "TOKEN_INVALID", name
        answers.add((found.message, *sorted(set(found.metadata.items()) - {("traceId", found.metadata["traceId"])})))
    assert len(answers) == 1


def test_a_remembered_token_ends_when_it_is_revoked(channel: grpc.Channel, issuer: Issuer) -> None:
    """Revoking a system ends tokens that were accepted a moment ago, and spares those issued later."""
    old = issuer.token(iat=int(time.time()) - 10)
    stub = grpc_pb.ProjectServiceStub(channel)
    stub.GetProject(pb.GetProjectRequest(name=PROJECT), metadata=bearer(old))
    system = "organisations/citylab/systems/test"
    before = int(time.time()) - 5
    issuer.revoke({"kind": "sub", "value": system, "before": before, "expires": before + 600})
    time.sleep(0.3)
    assert refused(lambda: get(channel, old)).reason == "TOKEN_INVALID"
    stub.GetProject(pb.GetProjectRequest(name=PROJECT), metadata=bearer(issuer.token()))


def test_a_withdrawn_key_ends_the_tokens_it_signed(channel: grpc.Channel, issuer: Issuer) -> None:
    """A key that identity no longer publishes verifies nothing, remembered or not."""
    token = issuer.token()
    grpc_pb.ProjectServiceStub(channel).GetProject(pb.GetProjectRequest(name=PROJECT), metadata=bearer(token))
    issuer.publish(new_key())
    time.sleep(0.3)
    assert refused(lambda: get(channel, token)).reason == "TOKEN_INVALID"


def test_a_missing_permission_names_the_rule(channel: grpc.Channel, issuer: Issuer) -> None:
    """A viewer who writes learns which rule and which permission are in the way."""
    request = pb.DeleteProjectRequest(name=PROJECT)
    metadata = bearer(issuer.token(roles=("viewer",)))
    info = refused(lambda: grpc_pb.ProjectServiceStub(channel).DeleteProject(request, metadata=metadata))
    assert info.reason == "PERMISSION_MISSING"
    assert info.metadata["rule"] == "verbund.registry.v1.ProjectService.DeleteProject"
    assert info.metadata["permission"] == "registry.projects.delete"


def test_a_broken_constraint_names_the_field(channel: grpc.Channel, issuer: Issuer) -> None:
    """INVALID_ARGUMENT with the proto path of every field that is wrong."""
    request = pb.CreateProjectRequest(
        project=pb.Project(parties=[pb.Party(title="x", roles=[pb.PARTY_ROLE_UNSPECIFIED])]), request_id="x"
    )
    stub = grpc_pb.ProjectServiceStub(channel)
    bad = refused(lambda: stub.CreateProject(request, metadata=bearer(issuer.token()))).details[1]
    assert isinstance(bad, details.BadRequest)
    assert {violation.field for violation in bad.field_violations} == {
        "project.title",
        "project.parties[0].roles[0]",
        "request_id",
    }


def test_a_wrong_form_is_said_in_words(channel: grpc.Channel, issuer: Issuer) -> None:
    """Who wrote a name in another way reads what names look like, and no regular expression."""
    bad = refused(lambda: get(channel, issuer.token(), "Hardenbergplatz")).details[1]
    assert isinstance(bad, details.BadRequest)
    assert bad.field_violations[0].description.startswith("must look like projects/ID.ID, where")


def test_a_flood_of_mistakes_is_answered_with_the_first(channel: grpc.Channel, issuer: Issuer) -> None:
    """What is wrong with a hundred thousand empty parties would take a thousand times the bytes that they come in."""
    project = pb.Project(title=LocalizedText(de="x"), parties=[pb.Party()] * 100_000)
    stub = grpc_pb.ProjectServiceStub(channel)
    request = pb.CreateProjectRequest(project=project)
    bad = refused(lambda: stub.CreateProject(request, metadata=bearer(issuer.token()))).details[1]
    assert isinstance(bad, details.BadRequest)
    assert [violation.field for violation in bad.field_violations] == ["project.parties"]


def test_bytes_that_are_no_message_are_the_callers_fault(channel: grpc.Channel, issuer: Issuer) -> None:
    """INVALID_ARGUMENT, not INTERNAL."""
    call: Any = channel.unary_unary("/verbund.registry.v1.ProjectService/GetProject")
    found = refused(lambda: call(b"\xff\xff\xff", metadata=bearer(issuer.token())))
    assert (found.code, found.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INPUT_INVALID")


def test_an_rpc_without_a_method_fails_the_start() -> None:
    """An RPC in a proto works, or the service does not start."""

    class Half:
        service = pb.DESCRIPTOR.services_by_name["ProjectService"]

    settings = ServingSettings(issuer="i", jwks_file=Path("j"), revocations_file=Path("r"), socket_dir=Path("s"))
    with pytest.raises(MissingMethod, match="Half has no method CreateProject"):
        build_server(settings, [], [Half()], ThreadPoolExecutor(1))


def test_fifty_watches_hold_no_worker(channel: grpc.Channel, issuer: Issuer, feeds: list[Changes]) -> None:
    """With four workers and fifty open watches a call is answered, and every watcher gets every message in order."""
    stub = changes_grpc.ChangeServiceStub(channel)
    token = issuer.token()
    streams = [stub.WatchChanges(changes.WatchChangesRequest(), metadata=bearer(token)) for _ in range(50)]
    for stream in streams:
        assert next(stream).WhichOneof("event") == "started"
    grpc_pb.ProjectServiceStub(channel).GetProject(
        pb.GetProjectRequest(name=PROJECT), metadata=bearer(token), timeout=60
    )
    for number in range(3):
        feeds[0].publish(number)
    for stream in streams:
        assert [next(stream).resume_token for _ in range(3)] == ["0", "1", "2"]
    one_more = refused(lambda: next(stub.WatchChanges(changes.WatchChangesRequest(), metadata=bearer(token))))
    assert (one_more.reason, one_more.metadata["limit"]) == ("LIMIT_REACHED", "watches per organisation")
    for stream in streams:
        stream.cancel()


def test_slow_readers_hold_up_their_own_organisation_only(
    channel: grpc.Channel, issuer: Issuer, feeds: list[Changes]
) -> None:
    """However many watches of one organisation read nothing, another's gets its messages at once."""
    stub = changes_grpc.ChangeServiceStub(channel)
    slow, quick = issuer.token(), issuer.token("other")
    streams = [stub.WatchChanges(changes.WatchChangesRequest(), metadata=bearer(slow)) for _ in range(20)]
    wait_until(lambda: len(feeds[0].open) == len(streams), "not all watches stand")
    read = stub.WatchChanges(changes.WatchChangesRequest(), metadata=bearer(quick), timeout=60)
    assert next(read).WhichOneof("event") == "started"
    for _ in range(16):
        feeds[0].publish("x" * 1_000_000)
        assert len(next(read).resume_token) == 1_000_000
    for stream in (*streams, read):
        stream.cancel()


def test_a_watch_ends_with_its_token(channel: grpc.Channel, issuer: Issuer) -> None:
    """The last message says that the token is the cause, and where to go on."""
    now = int(time.time())
    token = issuer.token(iat=now - 10, exp=now + 3)
    stream = changes_grpc.ChangeServiceStub(channel).WatchChanges(
        changes.WatchChangesRequest(resume_token="here"), metadata=bearer(token)
    )
    received = list(stream)
    assert received[-1].end.cause == changes.WATCH_END_CAUSE_TOKEN
    assert received[-1].resume_token == "here"


def test_a_drain_ends_every_watch_with_a_last_message(
    channel: grpc.Channel, issuer: Issuer, feeds: list[Changes]
) -> None:
    """Thirty watchers are told to go on elsewhere, before the drain's time is over."""
    stub = changes_grpc.ChangeServiceStub(channel)
    token = issuer.token()
    streams = [
        stub.WatchChanges(changes.WatchChangesRequest(resume_token=str(n)), metadata=bearer(token)) for n in range(30)
    ]
    for stream in streams:
        next(stream)
    feeds[0].watches.drain(60)
    assert len(feeds[0].watches) == 0
    for number, stream in enumerate(streams):
        (last,) = list(stream)
        assert (last.end.cause, last.resume_token) == (changes.WATCH_END_CAUSE_DRAIN, str(number))


def test_a_stop_lets_calls_in_progress_finish(issuer: Issuer, projects: Projects) -> None:
    """What was accepted is answered, though the worker is stopping."""
    with ExitStack() as last, ThreadPoolExecutor(1) as pool:
        with running(lambda _: Area(name="registry", servicers=[projects], ready=lambda: True), issuer) as address:
            stub = grpc_pb.ProjectServiceStub(last.enter_context(connected(address)))
            request = pb.GetProjectRequest(name="projects/citylab.wait")
            answer = pool.submit(stub.GetProject, request, metadata=bearer(issuer.token()))
            wait_until(lambda: projects.calls, "the call does not arrive")
            threading.Timer(0.3, projects.release.set).start()
        assert answer.result(timeout=60).name == "projects/citylab.wait"


def test_reflection_is_for_the_signed_in(channel: grpc.Channel, issuer: Issuer) -> None:
    """Who has a token can list the mesh's services; who has none cannot."""
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    (answer,) = list(stub.ServerReflectionInfo(iter([request]), metadata=bearer(issuer.token())))
    names = {service.name for service in answer.list_services_response.service}
    assert {"verbund.registry.v1.ProjectService", "verbund.identity.v1.SystemService"} <= names
    assert refused(lambda: list(stub.ServerReflectionInfo(iter([request])))).reason == "NO_TOKEN"


def test_a_worker_waits_until_it_knows_what_is_revoked(issuer: Issuer) -> None:
    """With keys but without revocations it would accept what was taken back."""
    issuer.revocations_file.unlink()
    verifier = TokenVerifier(
        issuer="i", audience="a", jwks_file=issuer.jwks_file, revocations_file=issuer.revocations_file
    )
    assert not verifier.ready()
    issuer.revoke()
    time.sleep(0.3)
    assert verifier.ready()
