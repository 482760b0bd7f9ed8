"""The client against a real token endpoint and a real gRPC service, both over TLS."""

import json
import ssl
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import httpx
import pytest
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey
from verbund.registry.v1 import project_service_pb2 as pb
from verbund.registry.v1.project_service_pb2_grpc import ProjectServiceStub
from verbund.sdk.client import Client
from verbund.sdk.refusals import NotReady, Refused, TokenRefused
from verbund.sdk.tokens import Tokens, read_key

from tests.integration.sdk.mesh import (
    SYSTEM,
    Endpoint,
    Projects,
    endpoint_serving,
    new_certificate,
    projects_serving,
)
from tests.support.clock import Clock

Certificate = tuple[Path, Path]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    return new_certificate(tmp_path / "tls")


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    return write_key(tmp_path, ECKey.generate_key("P-256"))


@pytest.fixture
def endpoint(key_file: Path, certificate: Certificate) -> Iterator[Endpoint]:
    with endpoint_serving(Endpoint(read_key(key_file)), certificate) as endpoint:
        yield endpoint


@pytest.fixture
def projects(certificate: Certificate) -> Iterator[Projects]:
    with projects_serving(Projects(), certificate) as projects:
        yield projects


@pytest.fixture
def tokens(endpoint: Endpoint, key_file: Path, certificate: Certificate, clock: Clock) -> Iterator[Tokens]:
    context = ssl.create_default_context(cafile=str(certificate[0]))
    with httpx.Client(verify=context, trust_env=False) as http:
        yield Tokens(endpoint=endpoint.url, client_id=SYSTEM, key=read_key(key_file), http=http, clock=clock)


@pytest.fixture
def client(endpoint: Endpoint, projects: Projects, key_file: Path, certificate: Certificate) -> Iterator[Client]:
    with Client(
        projects.address, ca=certificate[0], client_id=SYSTEM, key=key_file, token_endpoint=endpoint.url
    ) as client:
        yield client


def write_key(directory: Path, key: Key) -> Path:
    """A private key in a file."""
    path = directory / "key.json"
    path.write_text(json.dumps(key.as_dict(private=True)))
    return path


def test_the_assertion_proves_the_key_once(tokens: Tokens, endpoint: Endpoint, clock: Clock) -> None:
    """RFC 7523: issuer and subject are the system, the audience is the endpoint, a new id every time, a short life."""
    tokens.token()
    clock.now += 3600
    tokens.token()
    first, second = endpoint.assertions
    assert (first["iss"], first["sub"], first["aud"]) == (SYSTEM, SYSTEM, endpoint.url)
    assert first["jti"] != second["jti"]
    assert 0 < first["exp"] - first["iat"] <= 300


@pytest.mark.parametrize("key", [OKPKey.generate_key("Ed25519"), RSAKey.generate_key(2048)], ids=["Ed25519", "RSA"])
def test_other_kinds_of_keys_prove_themselves_too(tokens: Tokens, endpoint: Endpoint, tmp_path: Path, key: Key) -> None:
    """Whatever kind of key the mesh takes."""
    endpoint.key = key
    other = Tokens(endpoint=endpoint.url, client_id=SYSTEM, key=read_key(write_key(tmp_path, key)), http=tokens._http)
    assert other.token() == "token-1"


def test_a_token_is_kept_until_shortly_before_its_end(tokens: Tokens, clock: Clock) -> None:
    """One request in four minutes, and never a token that expires on its way."""
    assert [tokens.token(), tokens.token()] == ["token-1", "token-1"]
    clock.now += 239
    assert tokens.token() == "token-1"
    clock.now += 2
    assert tokens.token() == "token-2"


def test_one_thread_refreshes_while_the_others_go_on(tokens: Tokens, endpoint: Endpoint, clock: Clock) -> None:
    """While the old token is good, nobody waits for the new one; and it is asked for once."""
    tokens.token()
    clock.now += 250
    endpoint.held = threading.Event()
    with ThreadPoolExecutor(8) as pool:
        refreshing = pool.submit(tokens.token)
        while not tokens._refreshing.locked():
            pass
        assert [future.result() for future in [pool.submit(tokens.token) for _ in range(20)]] == ["token-1"] * 20
        endpoint.held.set()
        assert refreshing.result() == "token-2"
    assert len(endpoint.assertions) == 2


def test_without_a_token_all_wait_for_one_request(tokens: Tokens, endpoint: Endpoint) -> None:
    """Sixteen threads at the start of a program ask once."""
    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(lambda _: tokens.token(), range(64))) == {"token-1"}
    assert len(endpoint.assertions) == 1


def test_a_good_token_outlives_an_endpoint_that_fails(tokens: Tokens, endpoint: Endpoint, clock: Clock) -> None:
    """Identity down: valid tokens go on until they expire; then the refusal is told."""
    tokens.token()
    endpoint.failing = True
    clock.now += 250
    assert tokens.token() == "token-1"
    clock.now += 60
    with pytest.raises(TokenRefused) as refused:
        tokens.token()
    assert (refused.value.status, refused.value.error) == (401, "invalid_client")
    endpoint.failing = False
    assert tokens.token() == "token-2"


def test_both_ways_carry_the_token(client: Client, projects: Projects) -> None:
    """The channel and the HTTP client use one token."""
    ProjectServiceStub(client.channel).GetProject(pb.GetProjectRequest(name="projects/x.y"), timeout=20)
    assert projects.calls == [("GetProjectRequest", "Bearer token-1")]


def test_json_requests_carry_the_token(endpoint: Endpoint, key_file: Path, certificate: Certificate) -> None:
    """To the gateway."""
    with Client(endpoint.url, ca=certificate[0], client_id=SYSTEM, key=key_file, token_endpoint=endpoint.url) as client:
        assert client.http.get("/v1/projects").json() == {"authorization": "Bearer token-1"}


def test_a_read_is_repeated_where_the_service_is_down(client: Client, projects: Projects) -> None:
    """Its rule says that is safe."""
    projects.down_for = 2
    ProjectServiceStub(client.channel).GetProject(pb.GetProjectRequest(name="projects/x.y"), timeout=20)
    assert len(projects.calls) == 3


def test_a_write_is_not_repeated(client: Client, projects: Projects) -> None:
    """Its caller knows whether it may; the refusal is typed."""
    projects.down_for = 1
    with pytest.raises(grpc.RpcError) as failed:
        ProjectServiceStub(client.channel).UpdateProject(pb.UpdateProjectRequest(), timeout=20)
    assert Refused.from_rpc(failed.value).code == grpc.StatusCode.UNAVAILABLE
    assert len(projects.calls) == 1


def test_a_persons_token_from_home_is_exchanged(
    projects: Projects, endpoint: Endpoint, certificate: Certificate
) -> None:
    """RFC 8693, by nobody's key; a function is asked for the home token each time one is needed, and not before."""
    given = iter(["home-1", "home-2"])
    with Client(
        projects.address, ca=certificate[0], home_token=lambda: next(given), token_endpoint=endpoint.url
    ) as client:
        assert [client.tokens.token(), client.tokens.token()] == ["token-1", "token-1"]
        ProjectServiceStub(client.channel).GetProject(pb.GetProjectRequest(name="projects/x.y"), timeout=20)
    assert projects.calls == [("GetProjectRequest", "Bearer token-1")]
    (form,) = endpoint.forms
    assert form == {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "subject_token": "home-1",
        "subject_token_type": "urn:ietf:params:oauth:token-type:id_token",
    }


def test_a_system_that_acts_for_a_person_proves_itself_too(
    projects: Projects, endpoint: Endpoint, key_file: Path, certificate: Certificate
) -> None:
    """With its key, beside the person's token."""
    with Client(
        projects.address,
        ca=certificate[0],
        client_id=SYSTEM,
        key=key_file,
        home_token="home",
        token_endpoint=endpoint.url,
    ) as client:
        client.tokens.token()
    assert endpoint.forms[0]["subject_token"] == "home"
    assert endpoint.assertions[0]["sub"] == SYSTEM


def test_a_call_without_a_token_says_why_there_is_none(client: Client, endpoint: Endpoint) -> None:
    """Not that metadata could not be got from a plugin; and the next call succeeds as soon as there is a token."""
    endpoint.failing = True
    stub = ProjectServiceStub(client.channel)
    with pytest.raises(TokenRefused) as refused:
        stub.UpdateProject(pb.UpdateProjectRequest(), timeout=20)
    assert refused.value.error == "invalid_client"
    endpoint.failing = False
    stub.UpdateProject(pb.UpdateProjectRequest(), timeout=20)


def test_a_mesh_with_another_ca_is_not_trusted(
    projects: Projects, endpoint: Endpoint, key_file: Path, tmp_path: Path
) -> None:
    """Neither the token endpoint nor the channel gets a word."""
    foreign, _ = new_certificate(tmp_path / "foreign")
    with Client(projects.address, ca=foreign, client_id=SYSTEM, key=key_file, token_endpoint=endpoint.url) as client:
        with pytest.raises(httpx.ConnectError):
            client.tokens.token()
        with pytest.raises(grpc.RpcError):
            ProjectServiceStub(client.channel).UpdateProject(pb.UpdateProjectRequest(), timeout=5)
    assert not endpoint.assertions
    assert not projects.calls


def test_a_home_gives_its_systems(
    projects: Projects, endpoint: Endpoint, key_file: Path, certificate: Certificate, tmp_path: Path
) -> None:
    """ready.json names everything; the first system where none is asked for; NotReady where there is none."""
    entry = {"name": SYSTEM, "client_id": SYSTEM, "key": str(key_file)}
    ready = {"gateway": projects.address, "ca": str(certificate[0]), "token_endpoint": endpoint.url, "systems": [entry]}
    (tmp_path / "ready.json").write_text(json.dumps(ready))
    with Client.from_home(tmp_path) as client:
        assert client.client_id == SYSTEM
        assert client.tokens.token() == "token-1"
    with pytest.raises(NotReady, match="organisations/x/systems/y"):
        Client.from_home(tmp_path, "organisations/x/systems/y")
    with pytest.raises(NotReady, match="verbund up"):
        Client.from_home(tmp_path / "nothing")


@pytest.mark.parametrize(
    "key",
    [ECKey.generate_key("P-256"), OKPKey.generate_key("Ed25519"), RSAKey.generate_key(2048)],
    ids=lambda k: k.key_type,
)
def test_a_key_may_be_pem(key: ECKey | OKPKey | RSAKey, tmp_path: Path) -> None:
    """Of every kind that the mesh takes; a public one is refused there too."""
    path = tmp_path / "key.pem"
    path.write_bytes(key.as_pem(private=True))
    assert read_key(path).thumbprint() == key.thumbprint()
    path.write_bytes(key.as_pem(private=False))
    with pytest.raises(ValueError, match="private"):
        read_key(path)


def test_a_public_key_is_no_key(tmp_path: Path) -> None:
    """The mistake is told when the client is made, not with the first call."""
    path = tmp_path / "public.json"
    path.write_text(json.dumps(ECKey.generate_key("P-256").as_dict(private=False)))
    with pytest.raises(ValueError, match="private"):
        read_key(path)
