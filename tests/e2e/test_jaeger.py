"""Traces in a foreign backend, and in the real Jaeger UI over that backend and over the mesh's own store."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from verbund.embedded.ports import free_port
from verbund.identity.v1 import organisation_service_pb2 as pb
from verbund.identity.v1 import organisation_service_pb2_grpc as services
from verbund.sdk.client import Client

from tests.support.asks import Callers
from tests.support.home import Up, mesh_up, place
from tests.support.jaeger import Jaeger, arrived, jaeger, jaeger_program, shape
from tests.support.load import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

# Its first run builds the backend.
pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("mesh"), pytest.mark.timeout(900)]
__all__ = ["jaeger", "jaeger_program"]

SERVICE = "verbund.identity.v1.OrganisationService"
RULE, METHOD, SQL = f"{SERVICE}.ListOrganisations", f"{SERVICE}/ListOrganisations", "postgresql SELECT"
# What one read leaves: the gateway, the service below it, and one statement below that.
READ = sorted([("gateway", RULE, ""), ("identity", METHOD, RULE), ("identity", SQL, METHOD)])


@dataclass(frozen=True)
class Exporting:
    """A mesh whose spans go to the backend."""

    up: Up
    jaeger: Jaeger

    def environment(self) -> dict[str, str]:
        """What was set for it, which commands need to know too."""
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": self.jaeger.otlp}


@pytest.fixture(scope="module")
def exporting(jaeger: Jaeger) -> Iterator[Exporting]:
    with mesh_up(OTEL_EXPORTER_OTLP_ENDPOINT=jaeger.otlp) as up:
        yield Exporting(up, jaeger)


@pytest.fixture(scope="module")
def keeping() -> Iterator[tuple[Up, str]]:
    """A mesh that keeps its spans and shows them to this machine, and the address at which it does."""
    port = free_port("127.0.0.1")
    with mesh_up(VERBUND_TRACES_QUERY_PORT=str(port)) as up:
        yield up, f"http://127.0.0.1:{port}"


def read_in_json(up: Up) -> str:
    """The trace of one call in JSON."""
    with Client.from_home(up.home) as client:
        return str(client.http.get("/v1/organisations").raise_for_status().headers["x-trace-id"])


def read_in_grpc(up: Up) -> str:
    """The trace of the same call in gRPC."""
    with Client.from_home(up.home) as client:
        call = services.OrganisationServiceStub(client.channel).ListOrganisations.with_call
        _, done = call(pb.ListOrganisationsRequest(), timeout=20)
        return str(dict(done.initial_metadata())["x-trace-id"])


CALLS = pytest.mark.parametrize("call", [read_in_json, read_in_grpc])


@CALLS
def test_a_foreign_backend_gets_exactly_the_spans_of_a_call(exporting: Exporting, call: Callable[[Up], str]) -> None:
    """With the standard OTEL_ settings and nothing else: names, services, parents, and no span more."""
    trace_id = call(exporting.up)
    assert shape(exporting.jaeger.trace(trace_id, spans=len(READ))) == READ


@CALLS
def test_the_meshs_own_query_api_has_the_same_spans(keeping: tuple[Up, str], call: Callable[[Up], str]) -> None:
    """Jaeger's clients see the same trace there, through the gateway as on the machine's own port."""
    up, local = keeping
    trace_id = call(up)
    assert shape(arrived(f"{local}/api/traces/{trace_id}", spans=len(READ))) == READ
    with Client.from_home(up.home) as operator:
        (found,) = operator.http.get(f"/api/traces/{trace_id}").raise_for_status().json()["data"]
        assert shape(found) == READ
        listed = operator.http.get("/api/traces", params={"service": "identity", "operation": METHOD, "limit": 1000})
        assert trace_id in [each["traceID"] for each in listed.raise_for_status().json()["data"]]


def test_every_trace_of_the_tour_arrives_whole(exporting: Exporting) -> None:
    """One root, at the gateway, and every other span below one that is there."""
    told = exporting.up.tour(**exporting.environment())
    ids = {step["trace"] for step in told["steps"] if step.get("trace")}
    assert ids
    for trace_id in ids:
        wait_until(partial(arrived_whole, exporting.jaeger, trace_id), f"{trace_id} does not arrive whole")


def arrived_whole(jaeger: Jaeger, trace_id: str) -> bool:
    """Whether a trace has one root, and every other span is below one that is there."""
    spans = shape(jaeger.trace(trace_id, spans=3))
    roots = [service for service, _, parent in spans if not parent]
    return roots == ["gateway"] and "missing" not in {parent for _, _, parent in spans}


def shown(page: "Page", address: str) -> str:
    """What the UI's page of a trace says, once its spans are there."""
    page.goto(address)
    page.locator("text=ListOrganisations").first.wait_for()
    return page.locator("body").inner_text()


def test_the_real_ui_shows_the_trace_of_the_foreign_backend(exporting: Exporting, page: "Page") -> None:
    """In Chromium: every span's name, and the services, as a person reads them."""
    trace_id = read_in_json(exporting.up)
    exporting.jaeger.trace(trace_id, spans=len(READ))
    told = shown(page, f"{exporting.jaeger.url}/trace/{trace_id}")
    for service, name, _ in READ:
        assert service in told
        assert name in told


def test_the_real_ui_works_over_the_meshs_own_api(jaeger: Jaeger, keeping: tuple[Up, str], page: "Page") -> None:
    """The same files, asking the mesh instead: the trace by its id, and among the results of a search."""
    up, local = keeping

    def ask_the_mesh(route: "Route") -> None:
        route.fulfill(response=route.fetch(url=route.request.url.replace(jaeger.url, local)))

    page.route(f"{jaeger.url}/api/**", ask_the_mesh)
    trace_id = read_in_json(up)
    arrived(f"{local}/api/traces/{trace_id}", spans=len(READ))
    told = shown(page, f"{jaeger.url}/trace/{trace_id}")
    assert all(name in told for _, name, _ in READ)
    page.goto(f"{jaeger.url}/search?service=identity&limit=20&lookback=1h")
    found: Any = page.locator(f"a[href*='/trace/{trace_id}']").first
    found.wait_for()
    assert "ListOrganisations" in page.locator("body").inner_text()


def test_a_busy_query_port_is_named(keeping: tuple[Up, str]) -> None:
    """Before anything starts, with the setting and who has the port."""
    port = keeping[1].rpartition(":")[2]
    with place() as home:
        up = Up(home)
        up.start("--exit", "--idp", "none", VERBUND_TRACES_QUERY_PORT=port)
        code, output = up.stop_by_itself()
        assert code == 3
        assert f"Port {port} (VERBUND_TRACES_QUERY_PORT) is in use" in output


def test_traces_are_shown_to_operators_only(callers: Callers) -> None:
    """The gateway refuses a member's system, and a caller without token; what is no part of the API is not there."""
    refused = callers.owner.http.get("/api/services")
    assert (refused.status_code, refused.json()["details"][0]["reason"]) == (403, "PERMISSION_MISSING")
    assert callers.owner.anonymous.get("/api/traces/1").status_code == 401
    assert callers.owner.http.get("/api/metrics/calls").status_code == 404
    with Client.from_home(callers.owner.up.home) as operator:
        assert operator.http.get("/api/services").is_success
        assert operator.http.post("/api/services").status_code == 405
