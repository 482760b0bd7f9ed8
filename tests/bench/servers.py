"""The measured processes, each by itself: `python -m tests.bench.servers reference|registry|identity|traces …`."""

import dataclasses
import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
from psycopg_pool import ConnectionPool
from verbund.serving import worker
from verbund.serving.settings import ServingSettings
from verbund.traces import main as traces

PROJECT = "projects/citylab.bench"
SERVICE, METHOD = "verbund.registry.v1.ProjectService", "GetProject"
CALLERS = 16
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
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    stop.wait()
    server.stop(1).wait()
    pool.close()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["reference", socket, dsn]:
            reference(socket, dsn)
        case ["registry" | "identity" as area]:
            raise SystemExit(worker.run(area, 0, os.environ))
        case ["traces"]:
            raise SystemExit(traces.run(os.environ))
        case _:
            raise SystemExit(__doc__)
