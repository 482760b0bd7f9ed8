"""A part of the mesh: what runs, what it needs first, how it is stopped."""

import signal
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Self


class Layer(IntEnum):
    """Parts are stopped from the highest layer down: nobody loses what they still need."""

    STORE = 0
    SIGHT = 1
    SERVICE = 2
    GATEWAY = 3
    CLIENT = 4


@dataclass(frozen=True, kw_only=True)
class Part:
    """One process of the mesh."""

    name: str
    run: Callable[[int], object]
    """Runs in the forked child, with the file descriptor to which it writes a byte when it is ready."""
    layer: Layer
    after: tuple[str, ...] = ()
    """The parts that must be ready (or done) before this one starts."""
    once: bool = False
    """It does one thing and ends; done when it has ended with 0."""
    probe: Callable[[], bool] | None = None
    """For programs that cannot write to the pipe: asked in a process of its own until it says yes."""
    foreground: bool = False
    """It talks to the person at the terminal instead of a log."""
    attempts_max: int = 3
    """How often it may fail before its first success until the whole start fails."""
    start_seconds_max: float = 30.0
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds_max: float = 10.0
    hurry_signal: signal.Signals = signal.SIGKILL
    """What ends it at once, where it does not stop in time or a person does not want to wait."""
    parting_signal: signal.Signals = signal.SIGTERM
    """What the kernel sends it when the supervisor dies."""

    def forced(self) -> Self:
        """The same part after the gentler ways have been tried."""
        return replace(self, hurry_signal=signal.SIGKILL)
