"""Each area's workers, asked by name over their own sockets as the gateway asks them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx

from verbund.doctor.findings import Finding, ok, problem, skipped
from verbund.doctor.subject import Subject
from verbund.policy import catalogue

CHECK = "/grpc.health.v1.Health/Check"
SERVING = b"\x08\x01"  # HealthCheckResponse{status: SERVING}; an empty request asks for the whole server
ANSWER_SECONDS_MAX = 2.0


def workers(subject: Subject) -> Iterator[Finding]:
    """One finding an area."""
    if subject.home is None or subject.ready is None or not subject.mine:
        return
    areas: dict[str, list[str]] = {}
    for name in subject.processes():
        area, _, number = name.rpartition("-")
        if number.isdigit():
            areas.setdefault(area, []).append(name)
    for area in sorted({*areas, *catalogue.AREAS}):
        yield finding(area, areas.get(area, []), subject.home.run)


def finding(area: str, names: list[str], run: Path) -> Finding:
    """How an area's workers stand."""
    check = f"workers-{area}"
    if not names:
        return skipped(check, "the running mesh has none: it was started by another version")
    states = {name: state(run, name) for name in names}
    wrong = [f"{name} {said}" for name, said in states.items() if said]
    if wrong:
        remedy = f"see {run.parent / 'log'}; the supervisor starts again what has ended."
        return problem(check, "; ".join(wrong), who="The operator of this machine", remedy=remedy)
    return ok(check, f"{len(names)} take calls")


def state(run: Path, name: str) -> str:
    """What is wrong with a worker; nothing where it takes calls on every socket it has."""
    said = []
    grpc_socket, http_socket = run / f"{name}.grpc.sock", run / f"{name}.http.sock"
    if not grpc_socket.exists() and not http_socket.exists():
        return "has no socket"
    if grpc_socket.exists() and not serves_calls(grpc_socket):
        said.append("takes no calls")
    if http_socket.exists() and not serves_requests(http_socket):
        said.append("takes no HTTP requests")
    return " and ".join(said)


def serves_calls(path: Path) -> bool:
    """Whether the worker says that it serves gRPC."""
    try:
        with grpc.insecure_channel(f"unix:{path}") as channel:
            ask: Any = channel.unary_unary(CHECK)
            return bool(ask(b"", timeout=ANSWER_SECONDS_MAX) == SERVING)
    except grpc.RpcError:
        return False


def serves_requests(path: Path) -> bool:
    """Whether the worker says that it serves HTTP."""
    transport = httpx.HTTPTransport(uds=str(path), trust_env=False)
    try:
        with httpx.Client(transport=transport, timeout=ANSWER_SECONDS_MAX, trust_env=False) as http:
            return http.get("http://worker/healthz").is_success
    except httpx.TransportError:
        return False


CHECKS = (workers,)
