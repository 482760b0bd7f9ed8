"""Imports everything that parts need, once, before they are forked and before root is given up.

Forked parts share the memory of what is imported here. And where Python's own library lies in a directory that only
root can enter, nothing can be imported later, so this names also what libraries import at their first use.
"""

import gc
import importlib
from importlib.util import find_spec

PARTS = (
    "verbund.embedded.parts",
    "verbund.embedded.gateway",
    "verbund.embedded.certificates",
    "verbund.embedded.ready",
)

AT_FIRST_USE = (
    "concurrent.futures.thread",
    "encodings.idna",
    "encodings.latin_1",
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
    "uvicorn.protocols.http.auto",
    "uvicorn.protocols.http.h11_impl",
)

TOUR = "verbund.tour.main"


def everything() -> None:
    """Imports it all. Collection is off meanwhile: what is imported stays, and looking through it is half the time."""
    gc.disable()
    for name in (*PARTS, *AT_FIRST_USE):
        importlib.import_module(name)
    if has_tour():
        importlib.import_module(TOUR)
    gc.enable()


def has_tour() -> bool:
    """Whether the tour is installed."""
    return find_spec("verbund.tour") is not None and find_spec(TOUR) is not None
