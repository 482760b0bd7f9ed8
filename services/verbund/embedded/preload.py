"""Imports and reads everything that parts need, once, before they are forked and before root is given up.

Forked parts share the memory of what is imported here. And where Python's own library lies in a directory that only
root can enter, nothing can be imported later, so this names also what libraries import at their first use.
"""

import gc
import importlib
import os
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.util import find_spec
from types import ModuleType

PARTS = (
    "verbund.embedded.parts",
    "verbund.embedded.gateway",
    "verbund.embedded.certificates",
    "verbund.embedded.ready",
    "verbund.console.main",
    "verbund.identity.main",
    "verbund.provider.main",
    "verbund.exchange.main",
    "verbund.registry.main",
)

AT_FIRST_USE = (
    "_strptime",  # protobuf reads times of JSON with it
    "anyio._backends._asyncio",
    "certifi",
    "concurrent.futures.thread",
    "cryptography.hazmat.backends.openssl.backend",
    "encodings.idna",
    "encodings.latin_1",
    "encodings.punycode",  # a domain with umlauts
    "grpc._channel",
    "grpc._interceptor",
    "grpc._plugin_wrapping",
    "grpc._server",
    "httpcore",
    "linecache",
    "opentelemetry.exporter.otlp.proto.grpc.trace_exporter",
    "opentelemetry.exporter.otlp.proto.http.trace_exporter",
    "psycopg.pq",
    "stringprep",
    "tokenize",
    "traceback",
    "uvicorn.lifespan.off",
    "uvicorn.loops.auto",
    "uvicorn.loops.asyncio",
    "uvicorn.loops.uvloop",
    "uvicorn.protocols.http.auto",
    "uvicorn.protocols.http.h11_impl",
    "uvicorn.protocols.websockets.auto",
)

TOUR = "verbund.tour.main"


def everything(*more: str) -> None:
    """Imports it all, and `more`. Collection is off meanwhile: what is imported stays, and looking is half the time."""
    gc.disable()
    for name in (*PARTS, *AT_FIRST_USE, *more):
        importlib.import_module(name)
    if has_tour():
        importlib.import_module(TOUR)
        importlib.import_module("verbund.tour.sample").read()
    importlib.import_module("verbund.provider.main").preload()
    migrate = importlib.import_module("verbund.database.migrate")
    for area in migrate.AREAS:
        migrate.migrations_of(area)
    sys.meta_path.insert(0, LateImports(os.getpid()))
    gc.enable()


class LateImports(MetaPathFinder):
    """Writes down in a part's log what it imports later: the list above lacks it. It finds nothing itself."""

    def __init__(self, supervisor: int) -> None:
        self._supervisor = supervisor
        self._seen: set[str] = set()

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:  # noqa: ARG002
        """Is asked first for every module that is not there yet."""
        if os.getpid() != self._supervisor and fullname not in self._seen:
            self._seen.add(fullname)
            sys.stderr.write(f'{{"level":"warning","event":"imported late","module":"{fullname}"}}\n')


def has_tour() -> bool:
    """Whether the tour is installed."""
    return find_spec("verbund.tour") is not None and find_spec(TOUR) is not None
