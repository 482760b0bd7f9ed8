"""Sixteen callers, who call as fast as they are answered. What they cost themselves is not counted."""

import http.client
import ssl
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

from verbund.registry.v1.project_service_pb2 import GetProjectRequest
from verbund.registry.v1.project_service_pb2_grpc import ProjectServiceStub

from tests.bench.parts import Parts
from tests.bench.servers import CALLERS, PROJECT

CONNECTIONS = 4  # of the gRPC callers, who share them as a gateway's threads do
TRACED_OF = 10  # one call of so many is traced
Work = Callable[[], int]


def by_all(calls: int, make: Callable[[int, int], None]) -> int:
    """Has all callers make `calls` calls altogether, `make(caller, number)` each; how many those were."""
    each = calls // CALLERS

    def caller(number: int) -> None:
        for call in range(each):
            make(number, call)

    with ThreadPoolExecutor(CALLERS) as pool:
        list(pool.map(caller, range(CALLERS)))
    return each * CALLERS


def traceparent(number: int) -> str:
    """A trace context as the gateway writes it: of ten calls one is sampled."""
    sampled = number % TRACED_OF == 0
    return f"00-{number + 1:032x}-{number + 1:016x}-0{int(sampled)}"


@contextmanager
def grpc_callers(parts: Parts, name: str, calls: int) -> Iterator[Work]:
    """Work for the `registry` or the `reference`: GetProject over gRPC."""
    request = GetProjectRequest(name=PROJECT)
    metadata = [(*parts.metadata, ("traceparent", traceparent(number))) for number in range(TRACED_OF)]
    with ExitStack() as stack:
        stubs = [ProjectServiceStub(stack.enter_context(parts.channel(name))) for _ in range(CONNECTIONS)]

        def make(caller: int, number: int) -> None:
            stubs[caller % CONNECTIONS].GetProject(request, metadata=metadata[(caller + number) % TRACED_OF])

        yield lambda: by_all(calls, make)


@contextmanager
def json_callers(port: int, authority: Path, token: str, calls: int) -> Iterator[Work]:
    """Work for the gateway: the same call as JSON."""
    headers = {"authorization": f"Bearer {token}", "accept": "application/json"}
    with http_callers(port, authority, f"/v1/{PROJECT}", headers, calls) as work:
        yield work


@contextmanager
def http_callers(port: int, authority: Path, path: str, headers: Mapping[str, str], calls: int) -> Iterator[Work]:
    """Work for the gateway: one path over HTTP/1.1 and TLS, each caller on a connection that stays open."""
    trust = ssl.create_default_context(cafile=str(authority))
    with ExitStack() as stack:
        connections = [http.client.HTTPSConnection("127.0.0.1", port, context=trust) for _ in range(CALLERS)]
        for connection in connections:
            stack.callback(connection.close)

        def make(caller: int, _number: int) -> None:
            connection = connections[caller]
            connection.request("GET", path, headers=dict(headers))
            answer = connection.getresponse()
            body = answer.read()
            assert answer.status == http.client.OK, body

        yield lambda: by_all(calls, make)
