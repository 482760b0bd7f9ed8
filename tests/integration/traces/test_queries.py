"""Jaeger's query API, over HTTP on the store's own process."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from verbund.embedded.ports import free_port
from verbund.traces.http import AT_ONCE_MAX, Queries, local_application
from verbund.traces.reader import SPANS_MAX
from verbund.traces.spans import Link, Span
from verbund.traces.store import Store

from tests.support.tokens import ISSUER, Issuer

CHILD = """
import os, sys
from verbund.traces.main import run
sys.exit(run(os.environ, int(sys.argv[1])))
"""
SECOND = 1_000_000_000
NOW = 1_700_000_000 * SECOND
FIRST, LATER, SLOW = (f"{number:032x}" for number in (1, 2, 3))
PERIOD = {"start": str(NOW // 1000 - 3_600_000_000), "end": str(NOW // 1000 + 3_600_000_000)}


def span(trace_id: str, number: int, parent: int = 0, **other: Any) -> Span:
    """A span whose ids are numbers."""
    fields = {"service": "registry", "name": "GetProject", "kind": "server", "attributes": {}} | other
    start = NOW + fields.pop("after_seconds", 0) * SECOND
    took = fields.pop("took_nanos", 1_000_000)
    return Span(
        trace_id=trace_id,
        span_id=f"{number:016x}",
        parent_id=f"{parent:016x}" if parent else "",
        start_nanos=start,
        end_nanos=start + took,
        **fields,
    )


SPANS = (
    span(FIRST, 1, service="gateway", name="projects.get"),
    span(FIRST, 2, 1, attributes={"http.response.status_code": 200}),
    span(FIRST, 3, 2, name="postgresql SELECT", kind="client"),
    span(LATER, 4, service="gateway", name="projects.list", after_seconds=60, links=[Link(FIRST, f"{1:016x}")]),
    span(LATER, 5, 4, name="ListProjects", after_seconds=60, status="error", message="down"),
    span(SLOW, 6, after_seconds=120, took_nanos=5 * SECOND),
)


@dataclass(frozen=True)
class Served:
    """The process with some spans: for the gateway on a socket, and for this machine on a port."""

    gateway: httpx.Client
    local: httpx.Client
    issuer: Issuer


@contextmanager
def process(**settings: str) -> Iterator["subprocess.Popen[str]"]:
    """The process, ready; stopped as the supervisor stops it."""
    reading, writing = os.pipe()
    names = {f"VERBUND_{name}": value for name, value in settings.items()}
    command = [sys.executable, "-c", CHILD, str(writing)]
    with subprocess.Popen(
        command, env=os.environ | names, pass_fds=[writing], stderr=subprocess.PIPE, text=True
    ) as run:
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            pipe.read(1)
        yield run
        run.send_signal(signal.SIGTERM)
        assert run.wait(60) == 0


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with tempfile.TemporaryDirectory(prefix="verbund-q-", dir="/tmp") as directory:
        root = Path(directory)
        store = Store(root / "traces.sqlite", bytes_max=64 << 20, age_seconds_max=1e9)
        store.add(SPANS)
        store.close()
        issuer = Issuer(root)
        port = free_port("127.0.0.1")
        settings = {
            "TRACES_DATABASE": str(root / "traces.sqlite"),
            "TRACES_SOCKET": str(root / "otlp.sock"),
            "TRACES_QUERY_SOCKET": str(root / "traces-0.http.sock"),
            "TRACES_QUERY_PORT": str(port),
            "SERVING_ISSUER": ISSUER,
            "SERVING_JWKS_FILE": str(issuer.jwks_file),
            "SERVING_REVOCATIONS_FILE": str(issuer.revocations_file),
            "SERVING_SOCKET_DIR": directory,
        }
        with (
            process(**settings),
            httpx.Client(
                transport=httpx.HTTPTransport(uds=settings["TRACES_QUERY_SOCKET"]), base_url="http://traces"
            ) as gateway,
            httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as local,
        ):
            yield Served(gateway, local, issuer)
        assert not (root / "traces-0.http.sock").exists()


@pytest.fixture
def local(served: Served) -> httpx.Client:
    return served.local


def data(answer: httpx.Response) -> Any:
    """What an answer brings, which must be one."""
    assert answer.status_code == 200, answer.text
    found: Any = answer.json()["data"]
    return found


def searched(client: httpx.Client, **parameters: str) -> list[str]:
    """The ids of the traces that a search finds."""
    return [found["traceID"] for found in data(client.get("/api/traces", params=PERIOD | parameters))]


def test_services_and_their_operations(local: httpx.Client) -> None:
    """At the paths that the UI and Grafana ask, with how many there are."""
    assert local.get("/api/services").json() == {
        "data": ["gateway", "registry"],
        "total": 2,
        "limit": 0,
        "offset": 0,
        "errors": None,
    }
    named = ["GetProject", "ListProjects", "postgresql SELECT"]
    assert data(local.get("/api/services/registry/operations")) == named
    kinds = data(local.get("/api/operations", params={"service": "registry", "spanKind": "client"}))
    assert kinds == [{"name": "postgresql SELECT", "spanKind": "client"}]
    assert len(data(local.get("/api/operations", params={"service": "registry"}))) == 3
    assert data(local.get("/api/services/nobody/operations")) == []


def test_a_trace_by_its_id(local: httpx.Client) -> None:
    """Every span with its process and parent; a link to another trace is FOLLOWS_FROM; zeros may be left out."""
    (found,) = data(local.get("/api/traces/1"))
    assert [(each["spanID"][-1], each["operationName"], each["processID"]) for each in found["spans"]] == [
        ("1", "projects.get", "p1"),
        ("2", "GetProject", "p2"),
        ("3", "postgresql SELECT", "p2"),
    ]
    (later,) = data(local.get(f"/api/traces/{LATER}"))
    assert later["spans"][0]["references"] == [{"refType": "FOLLOWS_FROM", "traceID": FIRST, "spanID": f"{1:016x}"}]


def test_a_search_finds_the_traces_with_a_span_that_fits(local: httpx.Client) -> None:
    """By service, operation, tags, duration and time; the latest first, and no more than asked for."""
    assert searched(local, service="registry") == [SLOW, LATER, FIRST]
    assert searched(local, service="registry", limit="2") == [SLOW, LATER]
    assert searched(local, service="gateway") == [LATER, FIRST]
    assert searched(local, service="registry", operation="GetProject") == [SLOW, FIRST]
    assert searched(local, service="registry", tags='{"error":"true"}') == [LATER]
    assert searched(local, service="registry", tag="http.response.status_code:200") == [FIRST]
    assert searched(local, service="registry", minDuration="1s") == [SLOW]
    assert searched(local, service="registry", maxDuration="1s") == [LATER, FIRST]
    assert searched(local, service="registry", end=str(NOW // 1000 + 90_000_000)) == [LATER, FIRST]
    assert searched(local, service="registry", start=str(NOW // 1000 + 90_000_000)) == [SLOW]
    assert searched(local, service="nobody") == []


def test_traces_by_their_ids_and_which_are_missing(local: httpx.Client) -> None:
    """Those that are there come, and the others are named."""
    answer = local.get("/api/traces", params={"traceID": [FIRST, "77", LATER]}).json()
    assert [found["traceID"] for found in answer["data"]] == [FIRST, LATER]
    assert answer["errors"] == [{"msg": "trace not found", "traceID": "77".zfill(32)}]


def test_who_calls_whom(local: httpx.Client) -> None:
    """Calls between services, counted within the time that is asked for."""
    asked = {"endTs": str(NOW // 1_000_000 + 3_600_000), "lookback": "7200000"}
    assert data(local.get("/api/dependencies", params=asked)) == [
        {"parent": "gateway", "child": "registry", "callCount": 2}
    ]
    assert data(local.get("/api/dependencies")) == []


@pytest.mark.parametrize(
    ("path", "code", "said"),
    [
        ("/api/traces/77", 404, "trace not found"),
        ("/api/traces/xyz", 400, "a trace id has at most 32 hex digits"),
        ("/api/traces/", 400, "a trace id has at most 32 hex digits"),
        ("/api/traces", 400, "parameter 'service' is required"),
        ("/api/traces?service=registry&limit=x", 400, "unable to parse param 'limit': it takes a whole number"),
        ("/api/traces?traceID=xyz", 400, "a trace id has at most 32 hex digits"),
        ("/api/operations", 400, "parameter 'service' is required"),
        ("/api/dependencies?endTs=x", 400, "unable to parse param 'endTs': it takes a whole number"),
        ("/api/services/registry", 404, "page not found"),
        ("/api/services/registry/secrets", 404, "page not found"),
        ("/api/services//operations", 404, "page not found"),
    ],
)
def test_what_cannot_be_answered_has_jaegers_form(local: httpx.Client, path: str, code: int, said: str) -> None:
    """Status, code and message, as its clients show them."""
    answer = local.get(path)
    assert answer.status_code == code
    assert answer.json() == {
        "data": None,
        "total": 0,
        "limit": 0,
        "offset": 0,
        "errors": [{"code": code, "msg": said}],
    }


def test_the_gateways_socket_asks_who_calls(served: Served) -> None:
    """An operator reads; a member's administrator, a bad token and none are refused as everywhere in the mesh."""

    def ask(token: str | None) -> httpx.Response:
        return served.gateway.get("/api/services", headers={"authorization": f"Bearer {token}"} if token else {})

    assert data(ask(served.issuer.token("operator", roles=("operator",)))) == ["gateway", "registry"]
    assert ask(None).status_code == 401
    assert ask("x.y.z").status_code == 401
    refused = ask(served.issuer.token(roles=("admin",)))
    assert refused.status_code == 403
    (info,) = refused.json()["details"]
    assert (info["reason"], info["metadata"]["permission"]) == ("PERMISSION_MISSING", "traces.read")
    assert served.gateway.get("/healthz").status_code == 200


def test_a_foreign_page_cannot_ask_under_a_name_of_its_own(local: httpx.Client) -> None:
    """The port asks for no token, so a page whose name was pointed at this machine must not get an answer."""
    assert local.get("/api/services", headers={"host": "evil.example:16686"}).status_code == 400
    assert local.get("/api/services", headers={"host": "localhost:16686"}).status_code == 200
    assert (
        "access-control-allow-origin" not in local.get("/api/services", headers={"origin": "https://x.example"}).headers
    )


def test_a_busy_port_ends_the_start_with_the_settings_name(tmp_path: Path) -> None:
    """Nothing hangs, and nothing listens in its place."""
    with socket.create_server(("127.0.0.1", 0)) as taken, tempfile.TemporaryDirectory(dir="/tmp") as short:
        settings = {
            "VERBUND_TRACES_DATABASE": str(tmp_path / "traces.sqlite"),
            "VERBUND_TRACES_SOCKET": f"{short}/otlp.sock",
            "VERBUND_TRACES_QUERY_PORT": str(taken.getsockname()[1]),
        }
        command = [sys.executable, "-c", CHILD, "2"]
        done = subprocess.run(
            command, env=os.environ | settings, capture_output=True, text=True, timeout=60, check=False
        )
    assert done.returncode == 1
    assert "VERBUND_TRACES_QUERY_PORT" in done.stderr


def asked(queries: Queries, path: str) -> tuple[int, Any]:
    """An answer without a server: the application called as a server calls it."""
    transport = httpx.ASGITransport(app=local_application(queries))

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.get(path)

    answer = asyncio.run(ask())
    return answer.status_code, answer.json()


def test_an_answer_is_bounded_and_says_so(tmp_path: Path) -> None:
    """Traces that would make it too large are left out, with a word about it."""
    store = Store(tmp_path / "traces.sqlite", bytes_max=64 << 20, age_seconds_max=1e9)
    half = SPANS_MAX // 2 + 1
    store.add([span(trace_id, number) for trace_id in (FIRST, LATER) for number in range(1, half)])
    store.add([span(SLOW, 1, after_seconds=-1)])
    store.close()
    queries = Queries(tmp_path / "traces.sqlite", clock=lambda: NOW + SECOND)
    status, found = asked(queries, "/api/traces?service=registry")
    assert status == 200
    assert {trace["traceID"] for trace in found["data"]} == {FIRST, LATER}
    assert "at most" in found["errors"][0]["msg"]


def test_queries_take_turns(tmp_path: Path) -> None:
    """Beyond a few at once they wait, and are refused before anybody loses patience."""
    Store(tmp_path / "traces.sqlite", bytes_max=64 << 20, age_seconds_max=1e9).close()
    queries = Queries(tmp_path / "traces.sqlite", wait_seconds_max=0.1)
    going_on, end = threading.Barrier(AT_ONCE_MAX + 1), threading.Event()

    def long(_reader: object, _request: object) -> dict[str, Any]:
        going_on.wait(60)
        end.wait(60)
        return {}

    threads = [threading.Thread(target=queries.answer, args=(long, None)) for _ in range(AT_ONCE_MAX)]
    for thread in threads:
        thread.start()
    going_on.wait(60)
    assert asked(queries, "/api/services")[0] == 503
    end.set()
    for thread in threads:
        thread.join()
    assert asked(queries, "/api/services")[0] == 200
