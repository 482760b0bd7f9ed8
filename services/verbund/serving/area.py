"""What an area hands to the frame: its servicers, its background jobs, its HTTP routes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from verbund.serving.rpc import Servicer


@dataclass(frozen=True, slots=True)
class Job:
    """Work that a worker does by itself, every `every_seconds`; what it raises is logged, and it goes on."""

    name: str
    every_seconds: float
    run: Callable[[], None]


def nothing() -> None:
    """Does nothing: an area that has nothing to drain or close."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """A service ready to be served. `drain` ends what is open while calls may still finish; `close` comes last."""

    name: str
    servicers: Sequence[Servicer]
    ready: Callable[[], bool]
    jobs: Sequence[Job] = ()
    http: Any | None = None  # an ASGI application
    drain: Callable[[], None] = nothing
    close: Callable[[], None] = nothing
