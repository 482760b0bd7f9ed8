"""Identity as it runs: its workers on Unix sockets over a real PostgreSQL, and systems that speak to them."""

import json
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey
from verbund import settings as loader
from verbund.database.database import Database
from verbund.identity.bootstrap import bootstrap
from verbund.identity.keys.sealing import create_key_encryption_file
from verbund.identity.main import build
from verbund.identity.v1 import organisation_service_pb2 as organisations_pb
from verbund.identity.v1 import organisation_service_pb2_grpc as organisations_grpc
from verbund.identity.v1 import system_service_pb2 as systems_pb
from verbund.identity.v1 import system_service_pb2_grpc as systems_grpc
from verbund.serving.refusals import Unauthenticated
from verbund.serving.settings import ServingSettings
from verbund.serving.tokens import CHECK_SECONDS
from verbund.serving.worker import Worker, verifier_of, wait_until_ready

from tests.support.load import wait_until

ISSUER = "https://127.0.0.1:8443"
TOKEN_URL = f"{ISSUER}/oauth2/token"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
READY_SECONDS_MAX = 60

PrivateKey = ECKey | OKPKey | RSAKey
Metadata = tuple[tuple[str, str], ...]


def public(key: PrivateKey) -> str:
    """The public part of a key, as its owner sends it."""
    return json.dumps(key.as_dict(private=False))


@dataclass(frozen=True)
class System:
    """A system with its private key."""

    name: str
    key: PrivateKey = field(default_factory=lambda: ECKey.generate_key("P-256"))

    @property
    def organisation(self) -> str:
        return self.name.partition("/systems/")[0]

    def assertion(self, *, key: Any = None, header: Mapping[str, Any] | None = None, **claims: Any) -> str:
        """A client assertion; a claim or header member given as None is left out."""
        signing = key or self.key
        algorithm = {"EC": "ES256", "OKP": "Ed25519", "RSA": "PS256", "oct": "HS256"}[signing.key_type]
        now = int(time.time())
        stated = {
            "iss": self.name,
            "sub": self.name,
            "aud": TOKEN_URL,
            "jti": uuid.uuid4().hex,
            "iat": now,
            "exp": now + 60,
        } | claims
        protected = {"alg": algorithm, "kid": self.key.thumbprint()} | dict(header or {})
        left = {name: value for name, value in protected.items() if value is not None}
        return jwt.encode(left, {n: v for n, v in stated.items() if v is not None}, signing, algorithms=[left["alg"]])

    def form(self, **assertion: Any) -> dict[str, str]:
        """The form of a token request."""
        return {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": self.assertion(**assertion),
        }


class Mesh:
    """A running identity, and its first operator."""

    def __init__(self, environment: dict[str, str], operator: System) -> None:
        self.environment = environment
        self.operator = operator
        self.serving = loader.load(ServingSettings, environment, prefix="VERBUND_SERVING_")
        self.verifier = verifier_of(self.serving)
        assert self.serving.socket_dir is not None
        self.directory = self.serving.socket_dir
        self.channel = grpc.insecure_channel(
            f"unix:{self.directory}/identity-0.grpc.sock", options=[("grpc.use_local_subchannel_pool", 1)]
        )
        self.organisations = organisations_grpc.OrganisationServiceStub(self.channel)
        self.systems = systems_grpc.SystemServiceStub(self.channel)
        self.http = self.client(0)

    @property
    def published(self) -> Path:
        return Path(self.environment["VERBUND_IDENTITY_PUBLISH_DIR"])

    @property
    def dsn(self) -> str:
        return self.environment["VERBUND_DATABASE_DSN"]

    def client(self, worker: int) -> httpx.Client:
        """An HTTP client of one worker."""
        transport = httpx.HTTPTransport(uds=f"{self.directory}/identity-{worker}.http.sock")
        return httpx.Client(transport=transport, base_url="http://identity", timeout=20)

    def jobs(self) -> Database:
        """The database as identity's jobs see it."""
        return Database(self.dsn, role="identity_jobs", schema="identity", pool_size=4)

    def token(self, system: System, **assertion: Any) -> str:
        """A token of a system."""
        answer = self.http.post("/oauth2/token", data=system.form(**assertion))
        assert answer.status_code == httpx.codes.OK, answer.text
        return str(answer.json()["access_token"])

    def accepts(self, token: str) -> bool:
        """Whether services accept a token, as far as they have looked at the published files."""
        try:
            self.verifier.verify(token)
        except Unauthenticated:
            return False
        return True

    def goes_on(self, token: str) -> bool:
        """Whether services accept a token when they have looked again."""
        time.sleep(CHECK_SECONDS + 0.05)
        return self.accepts(token)

    def ends(self, *tokens: str) -> None:
        """Returns when services refuse the tokens; fails where they go on. Identity publishes at once where it can."""
        wait_until(lambda: not any(self.accepts(token) for token in tokens), "a token goes on")

    def as_(self, system: System) -> Metadata:
        """The metadata of a call by a system."""
        return (("authorization", f"Bearer {self.token(system)}"),)

    def admit(self, organisation: str) -> str:
        """A new organisation; its name."""
        request = organisations_pb.CreateOrganisationRequest(
            organisation_id=organisation, organisation=organisations_pb.Organisation(title=organisation.title())
        )
        return str(self.organisations.CreateOrganisation(request, metadata=self.as_(self.operator)).name)

    def register(self, organisation: str, system: str, *roles: str, key: PrivateKey | None = None) -> System:
        """A new system of an organisation, registered by the operator."""
        made = System(f"{organisation}/systems/{system}", key or ECKey.generate_key("P-256"))
        request = systems_pb.CreateSystemRequest(
            parent=organisation,
            system_id=system,
            system=systems_pb.System(title=system.title(), roles=roles or ("system",)),
            jwk=public(made.key),
        )
        self.systems.CreateSystem(request, metadata=self.as_(self.operator))
        return made


def environment_of(dsn: str, directory: Path, **settings: str) -> dict[str, str]:
    """The environment of a worker, with the files it needs."""
    published = directory / "published"
    published.mkdir()
    create_key_encryption_file(directory / "key-encryption.json")
    return {
        "VERBUND_DATABASE_DSN": dsn,
        "VERBUND_IDENTITY_PUBLISH_DIR": str(published),
        "VERBUND_IDENTITY_KEY_ENCRYPTION_FILE": str(directory / "key-encryption.json"),
        "VERBUND_SERVING_ISSUER": ISSUER,
        "VERBUND_SERVING_JWKS_FILE": str(published / "jwks.json"),
        "VERBUND_SERVING_REVOCATIONS_FILE": str(published / "revocations.json"),
        "VERBUND_SERVING_SOCKET_DIR": str(directory),
    } | settings


@contextmanager
def running(dsn: str, *, workers: int = 1, operator: System | None = None, **settings: str) -> Iterator[Mesh]:
    """Identity with its first operator, until the end of the block."""
    with tempfile.TemporaryDirectory(prefix="verbund-i-", dir="/tmp") as name, ExitStack() as stack:
        environment = environment_of(dsn, Path(name), **settings)
        mesh = Mesh(environment, operator or System("organisations/senatskanzlei/systems/operator"))
        stack.callback(mesh.channel.close)
        stack.callback(mesh.http.close)
        database = mesh.jobs()
        bootstrap(
            database,
            organisation="senatskanzlei",
            title="Senatskanzlei",
            system="operator",
            public_key=public(mesh.operator.key),
        )
        database.close()
        for number in range(workers):
            area = build(environment, mesh.verifier)
            stack.enter_context(Worker(area, mesh.serving, mesh.verifier, number))
            wait(lambda area=area: area.ready() and mesh.verifier.ready())  # type: ignore[misc]
        yield mesh


def wait(ready: Callable[[], bool]) -> None:
    """Returns when it is ready; fails where that takes too long."""
    late = threading.Event()
    timer = threading.Timer(READY_SECONDS_MAX, late.set)
    timer.start()
    try:
        assert wait_until_ready(ready, late)
    finally:
        timer.cancel()


@dataclass(frozen=True)
class Refused:
    """What a refused caller sees."""

    code: grpc.StatusCode
    reason: str
    metadata: dict[str, str]
    details: tuple[str, ...]
    paths: tuple[str, ...]

    @classmethod
    def by(cls, call: Callable[[], object]) -> "Refused":
        """The refusal of a call, which must be refused."""
        with pytest.raises(grpc.RpcError) as caught:
            call()
        status = rpc_status.from_call(caught.value)  # type: ignore[arg-type]
        assert status is not None
        info, fields = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
        for detail in status.details:
            detail.Unpack(info)
            detail.Unpack(fields)
        assert info.domain == "verbund"
        advice = ("retry", "fixer", "remedy", "traceId")
        return cls(
            caught.value.code(),
            info.reason,
            {name: value for name, value in info.metadata.items() if name not in advice},
            tuple(detail.TypeName().rpartition(".")[2] for detail in status.details),
            tuple(violation.field for violation in fields.field_violations),
        )
