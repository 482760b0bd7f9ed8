"""Callers of a whole mesh: systems of organisations, and load that keeps every outcome.

What a caller is told is told to the test: neither the HTTP client nor the channel repeats anything by itself.
"""

import os
import signal
import ssl
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import grpc
import httpx
import pytest
from google.protobuf import json_format
from verbund.embedded import home as homes
from verbund.registry.v1 import change_service_pb2_grpc, project_service_pb2_grpc
from verbund.registry.v1 import project_service_pb2 as pb
from verbund.registry.v1.types_pb2 import LocalizedText
from verbund.sdk.client import BearerPlugin, Client
from verbund.sdk.refusals import Refused, VerbundError
from verbund.sdk.tokens import Tokens, read_key
from verbund.tour import members
from verbund.tour.sample import Member

from tests.support.home import Up

CALL_SECONDS_MAX = 20.0
WAIT_SECONDS_MAX = 40.0
# A test's callers are few and quick: the gateway's allowance for one caller is not what they try.
UNLIMITED = {f"VERBUND_GATEWAY_RATE_{rate}": "1000000" for rate in ("READ", "WRITE", "AUTHENTICATE")}


@dataclass(frozen=True)
class System:
    """A system of an organisation that the mesh has admitted."""

    up: Up
    name: str

    @property
    def organisation(self) -> str:
        """The organisation's resource name."""
        return self.name.partition("/systems/")[0]

    @cached_property
    def ready(self) -> dict[str, Any]:
        """What ready.json said."""
        return self.up.ready()

    @cached_property
    def key_file(self) -> Path:
        """The system's private key."""
        return homes.find(self.up.home).key_file(self.name)

    @cached_property
    def tokens(self) -> Tokens:
        """Its tokens, each kept while it is good."""
        return self.new_tokens()

    def new_tokens(self) -> Tokens:
        """Tokens that start with a new one."""
        endpoint, key = self.ready["token_endpoint"], read_key(self.key_file)
        return Tokens(endpoint=endpoint, client_id=self.name, key=key, http=self.anonymous)

    @cached_property
    def trust(self) -> ssl.SSLContext:
        """The mesh's own authority and no other."""
        return self.new_trust()

    def new_trust(self) -> ssl.SSLContext:
        """The same, to be changed."""
        return ssl.create_default_context(cafile=self.ready["ca"])

    @cached_property
    def anonymous(self) -> httpx.Client:
        """HTTP without a token."""
        return self.http_with("")

    @property
    def http(self) -> httpx.Client:
        """HTTP with a token that is good."""
        self._signed.headers["authorization"] = f"Bearer {self.tokens.token()}"
        return self._signed

    @cached_property
    def _signed(self) -> httpx.Client:
        return self.http_with("")

    def http_with(self, token: str, **headers: str) -> httpx.Client:
        """HTTP with this token, whatever it is."""
        known = {"authorization": f"Bearer {token}"} if token else {}
        gateway = self.ready["gateway"]
        return httpx.Client(
            base_url=gateway, verify=self.trust, headers=known | headers, timeout=CALL_SECONDS_MAX, trust_env=False
        )

    @cached_property
    def channel(self) -> grpc.Channel:
        """A connection of its own, with a token that is good."""
        return self.new_channel()

    def new_channel(self) -> grpc.Channel:
        """Another connection."""
        return self._secure(grpc.metadata_call_credentials(BearerPlugin(self.tokens)))

    @cached_property
    def bare(self) -> grpc.Channel:
        """A connection without a token."""
        return self._secure()

    def _secure(self, *more: grpc.CallCredentials) -> grpc.Channel:
        credentials = grpc.ssl_channel_credentials(Path(self.ready["ca"]).read_bytes())
        if more:
            credentials = grpc.composite_channel_credentials(credentials, *more)
        options = [("grpc.enable_retries", 0), ("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0)]
        return grpc.secure_channel(self.ready["gateway"].removeprefix("https://"), credentials, options=options)

    @cached_property
    def projects(self) -> project_service_pb2_grpc.ProjectServiceStub:
        """ProjectService."""
        return project_service_pb2_grpc.ProjectServiceStub(self.channel)

    @cached_property
    def changes(self) -> change_service_pb2_grpc.ChangeServiceStub:
        """ChangeService."""
        return change_service_pb2_grpc.ChangeServiceStub(self.channel)

    def create(self, project_id: str, visibility: "pb.Visibility.ValueType" = pb.VISIBILITY_INTERNAL) -> pb.Project:
        """Records a project."""
        return self.projects.CreateProject(creation(project_id, visibility), timeout=CALL_SECONDS_MAX)

    def names(self) -> list[str]:
        """Every project that the system may see, page by page."""
        found: list[str] = []
        request = pb.ListProjectsRequest(page_size=1000)
        while True:
            page = self.projects.ListProjects(request, timeout=CALL_SECONDS_MAX)
            found += [project.name for project in page.projects]
            request.page_token = page.next_page_token
            if not request.page_token:
                return found

    def close(self) -> None:
        """Ends its connections."""
        for kind in ("anonymous", "_signed", "channel", "bare"):
            if kind in self.__dict__:
                self.__dict__[kind].close()


@contextmanager
def admitted(up: Up, **roles: str) -> Iterator[tuple[System, ...]]:
    """A system for each organisation named, with the one role given; hyphens are written as underscores."""
    home = homes.find(up.home)
    with ExitStack() as stack, Client.from_home(up.home) as operator:
        systems = []
        for organisation, role in roles.items():
            member = Member(organisation.replace("_", "-"), organisation, "test", "A test's system", (role,))
            members.admit(operator.channel, home, member)
            systems.append(System(up, member.system))
            stack.callback(systems[-1].close)
        yield tuple(systems)


def creation(
    project_id: str, visibility: "pb.Visibility.ValueType" = pb.VISIBILITY_INTERNAL
) -> pb.CreateProjectRequest:
    """A request that records a project once, however often it is sent."""
    project = pb.Project(title=LocalizedText(de=f"Vorhaben {project_id}"), visibility=visibility)
    return pb.CreateProjectRequest(project_id=project_id, project=project, request_id=str(uuid.uuid4()))


def create_over_json(http: httpx.Client, request: pb.CreateProjectRequest) -> pb.Project:
    """The same over JSON; raises Refused."""
    where = {"projectId": request.project_id, "requestId": request.request_id}
    answer = http.post("/v1/projects", params=where, json=json_format.MessageToDict(request.project))
    return json_format.ParseDict(opened(answer).json(), pb.Project())


def opened(answer: httpx.Response) -> httpx.Response:
    """The answer; raises Refused where it is none."""
    if not answer.is_success:
        raise Refused.from_http(answer)
    return answer


def read_over_json(system: System, name: str) -> Callable[[], None]:
    """A turn that reads a project."""
    return lambda: same(opened(system.http.get(f"/v1/{name}")).json()["name"], name)


def read_over_grpc(system: System, name: str) -> Callable[[], None]:
    """A turn that reads a project."""
    request = pb.GetProjectRequest(name=name)
    return lambda: same(system.projects.GetProject(request, timeout=CALL_SECONDS_MAX).name, name)


def same(found: object, expected: object) -> None:
    """What was answered is what was asked for."""
    assert found == expected


class Writer:
    """Records one project after the other. One that was refused is sent again, unchanged, until it is acknowledged."""

    def __init__(self, prefix: str, create: Callable[[pb.CreateProjectRequest], pb.Project]) -> None:
        self.acknowledged: list[pb.Project] = []
        self.prefix = prefix
        self._create = create
        self._request: pb.CreateProjectRequest | None = None

    def __call__(self) -> None:
        """One attempt."""
        if self._request is None:
            self._request = creation(f"{self.prefix}-{len(self.acknowledged)}", pb.VISIBILITY_PUBLIC)
        self.acknowledged.append(self._create(self._request))
        self._request = None

    @property
    def names(self) -> set[str]:
        """What was acknowledged."""
        return {project.name for project in self.acknowledged}


def writers(system: System, prefix: str) -> tuple[Writer, Writer]:
    """One that writes in JSON, and one that writes in gRPC."""
    return (
        Writer(f"{prefix}-json", lambda request: create_over_json(system.http, request)),
        Writer(f"{prefix}-grpc", lambda request: system.projects.CreateProject(request, timeout=CALL_SECONDS_MAX)),
    )


def get_token(system: System) -> Callable[[], None]:
    """A turn that gets a token."""
    return lambda: same(system.new_tokens().token().count("."), 2)


class Load:
    """Callers, each in a thread, that take their turns until the block ends. Every refusal is kept."""

    def __init__(self, *turns: Callable[[], None], pause_seconds: float = 0.02) -> None:
        self.answered = [0] * len(turns)
        self.failures: list[Exception] = []
        self._broken: list[BaseException] = []
        self._pause_seconds = pause_seconds
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=turn) for turn in enumerate(turns)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        for error in self._broken:
            raise error

    def go_on(self, turns: int = 20) -> None:
        """Returns when each caller has been answered so many more times."""
        before = list(self.answered)
        wait_until(
            lambda: all(now >= then + turns for now, then in zip(self.answered, before, strict=True)),
            lambda: f"callers are not answered: {self.failures[-3:]}",
        )

    @property
    def refusals(self) -> list[Refused]:
        """The refusals among the failures."""
        return [failure for failure in self.failures if isinstance(failure, Refused)]

    @property
    def reasons(self) -> set[str]:
        """Why callers were refused; for a broken connection the kind of error."""
        return {failure.reason if isinstance(failure, Refused) else type(failure).__name__ for failure in self.failures}

    def _run(self, number: int, turn: Callable[[], None]) -> None:
        while not self._stop.wait(self._pause_seconds):
            try:
                failure = attempt(turn)
            except BaseException as error:  # noqa: BLE001 - the test's thread raises it
                self._broken.append(error)
                return
            if failure is None:
                self.answered[number] += 1
            else:
                self.failures.append(failure)


def attempt(turn: Callable[[], None]) -> Exception | None:
    """Takes one turn; how it failed, None where it was answered."""
    try:
        turn()
    except grpc.RpcError as error:
        return Refused.from_rpc(error)
    except (VerbundError, httpx.TransportError) as error:
        return error
    return None


def wait_until(
    holds: Callable[[], object], otherwise: Callable[[], str] | str, *, seconds_max: float = WAIT_SECONDS_MAX
) -> None:
    """Returns when it holds; fails where it does not come to."""
    end = time.monotonic() + seconds_max
    while not holds():
        if time.monotonic() > end:
            pytest.fail(otherwise if isinstance(otherwise, str) else otherwise())
        time.sleep(0.02)


def pids(up: Up) -> dict[str, int]:
    """The processes that ready.json names."""
    return {process["name"]: process["pid"] for process in up.ready()["processes"]}


def kill(up: Up, name: str, number: signal.Signals = signal.SIGKILL) -> None:
    """Sends a part a signal that ends it, and returns when ready.json names another process in its place."""
    old = pids(up)[name]
    os.kill(old, number)
    wait_until(lambda: pids(up).get(name) not in (None, old), f"{name} did not come back")
