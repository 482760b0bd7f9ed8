"""The processes that are measured, each alone in its process: `python -m tests.bench.servers reference|registry …`."""

import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
from psycopg_pool import ConnectionPool

from verbund.serving import worker


def reference(socket: str, dsn: str) -> None:
    """The reference: a bare synchronous echo that makes one round trip to PostgreSQL, and nothing else."""
    pool = ConnectionPool(dsn, min_size=16, max_size=16, kwargs={"autocommit": True}, open=True)
    pool.wait()

    def echo(request: bytes, _context: grpc.ServicerContext) -> bytes:
        with pool.connection() as connection:
            row = connection.execute("SELECT body FROM registry.projects WHERE name = %s", (NAME,)).fetchone()
        assert row is not None
        return request and bytes(row[0])

    server = grpc.server(ThreadPoolExecutor(16))
    handlers = {"GetProject": grpc.unary_unary_rpc_method_handler(echo)}
    name = "verbund.registry.v1.ProjectService"
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, handlers),))
    server.add_insecure_port(f"unix:{socket}")
    server.start()
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    print("ready", flush=True)
    stop.wait()
    server.stop(0)
    pool.close()


NAME = "projects/citylab.bench"

if __name__ == "__main__":
    if sys.argv[1] == "reference":
        reference(*sys.argv[2:])
    else:
        raise SystemExit(worker.run(sys.argv[1], 0, os.environ))
