"""The measured processes, each by itself, and what they are compared with: `python -m tests.bench.servers NAME …`.

`registry`, `identity` and `traces` are the mesh's. `reference` is a call, `calls` a page, as bare as it can be;
`stand-in` answers in the place of identity and the console.
"""

import dataclasses
import json
import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from pathlib import Path

import grpc
from psycopg_pool import ConnectionPool
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from verbund.console.site.peers import Peers
from verbund.serving import worker
from verbund.serving.http import HEALTH_PATH
from verbund.serving.settings import ServingSettings
from verbund.traces import main as traces

PROJECT = "projects/citylab.bench"
SERVICE, METHOD = "verbund.registry.v1.ProjectService", "GetProject"
CALLERS = 16
PAGE_BYTES = 12_000
THREADS = next(field.default for field in dataclasses.fields(ServingSettings) if field.name == "threads")


def reference(socket: str, dsn: str) -> None:
    """What every figure is compared with: a bare synchronous gRPC server that makes one round trip with psycopg."""
    pool = ConnectionPool(dsn, min_size=THREADS, max_size=THREADS, kwargs={"autocommit": True}, open=True)
    pool.wait()

    def echo(request: bytes, _context: grpc.ServicerContext) -> bytes:
        with pool.connection() as connection:
            row = connection.execute("SELECT body FROM registry.projects WHERE name = %s", (PROJECT,)).fetchone()
        assert request
        assert row is not None
        return bytes(row[0])

    server = grpc.server(ThreadPoolExecutor(THREADS))
    handlers = {METHOD: grpc.unary_unary_rpc_method_handler(echo)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    server.add_insecure_port(f"unix:{socket}")
    server.start()
    wait_for_the_end()
    server.stop(1).wait()
    pool.close()


def calls(socket: str, plan_file: str, services: str, workers: str) -> None:
    """What a page is compared with: the same calls in the same rounds, and a text of the same length.

    The plan has them by the page's address: `[{"area", "method", "request", "round"}, …]` and how many bytes it has.
    """
    plan = json.loads(Path(plan_file).read_text())
    peers = Peers.on_sockets(Path(services), int(workers))

    def page(request: Request) -> Response:
        found = plan[request.url.path + (f"?{request.url.query}" if request.url.query else "")]
        metadata = [("authorization", request.headers["authorization"])]
        for _, made in groupby(found["calls"], key=lambda call: call["round"]):
            for under_way in [
                peers.channels(call["area"])[0]
                .unary_unary(call["method"])
                .future(bytes.fromhex(call["request"]), timeout=5, metadata=metadata)
                for call in made
            ]:
                under_way.result()
        return HTMLResponse("x" * found["bytes"])

    serve(Route("/{path:path}", page), Path(socket))
    peers.close()


def stand_in(tokens_file: str, *sockets: str) -> None:
    """Identity's token endpoint, which gives anybody the same tokens, and a page of the usual size everywhere else."""
    tokens = json.loads(Path(tokens_file).read_text())

    async def answer(request: Request) -> Response:
        if request.url.path == HEALTH_PATH:
            return Response()
        return JSONResponse(tokens) if request.method == "POST" else HTMLResponse("x" * PAGE_BYTES)

    serve(Route("/{path:path}", answer, methods=["GET", "POST"]), *map(Path, sockets))


def serve(route: Route, *sockets: Path) -> None:
    """Serves a route until the end, as the mesh's HTTP routes are served."""
    running = [worker.HttpServer(Starlette(routes=[route]), socket) for socket in sockets]
    wait_for_the_end()
    for server in running:
        server.stop()


def wait_for_the_end() -> None:
    """Returns when the process is to end."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    stop.wait()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["reference", socket, dsn]:
            reference(socket, dsn)
        case ["calls", socket, plan, services, workers]:
            calls(socket, plan, services, workers)
        case ["stand-in", tokens, *sockets]:
            stand_in(tokens, *sockets)
        case ["registry" | "identity" as area]:
            raise SystemExit(worker.run(area, 0, os.environ))
        case ["traces"]:
            raise SystemExit(traces.run(os.environ))
        case _:
            raise SystemExit(__doc__)
