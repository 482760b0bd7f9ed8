"""One part as the supervisor sees it: its process, its state, when it is tried again."""

import os
import signal
from dataclasses import dataclass
from enum import Enum, auto

from verbund.embedded.part import Part

STABLE_SECONDS = 10.0
"""A part that was ready this long starts again at once when it ends; one that keeps ending waits longer each time."""
DELAY_SECONDS = 0.2
DELAY_SECONDS_MAX = 10.0


class State(Enum):
    """Where a part stands."""

    WAITING = auto()
    STARTING = auto()
    READY = auto()
    DONE = auto()
    BACKOFF = auto()
    STOPPED = auto()


@dataclass(slots=True)
class Process:
    """A part's process, or the lack of one. Times are the supervisor's clock."""

    part: Part
    state: State = State.WAITING
    pid: int = 0
    probe: int = 0
    ready_fd: int = -1
    begun: float = 0.0
    became_ready: float = 0.0
    due: float = 0.0
    """When to act next: start again, give a start up, or use force."""
    failures: int = 0
    was_ready: bool = False
    overdue: bool = False
    exit_code: int | None = None

    def starting(self, pid: int, now: float) -> None:
        """It has been forked."""
        self.state, self.pid, self.begun = State.STARTING, pid, now
        self.due = now + self.part.start_seconds_max
        self.overdue = False

    def ready(self, now: float) -> None:
        """It said that it is ready."""
        self.state, self.became_ready, self.was_ready = State.READY, now, True
        self.close()

    def ended(self, now: float, *, done: bool) -> None:
        """Its process is gone."""
        stable = self.state is State.READY and now - self.became_ready >= STABLE_SECONDS
        self.pid = 0
        self.close()
        if done:
            self.state, self.became_ready, self.was_ready = State.DONE, now, True
            return
        self.failures = 0 if stable else self.failures + 1
        self.state = State.BACKOFF
        self.due = now + self.delay()

    def delay(self) -> float:
        """How long to wait before the next try: nothing after the first end, then twice as long each time."""
        if self.failures <= 1:
            return 0.0
        return float(min(DELAY_SECONDS * 2 ** min(self.failures - 2, 10), DELAY_SECONDS_MAX))

    def close(self) -> None:
        """Closes the pipe on which it says that it is ready. A child closes it too: it is not the child's."""
        if self.ready_fd >= 0:
            os.close(self.ready_fd)
            self.ready_fd = -1

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal, if there is a process."""
        for pid in filter(None, (self.pid, self.probe)):
            try:
                os.kill(pid, number if pid == self.pid else signal.SIGKILL)
            except ProcessLookupError:
                continue


def describe(status: int) -> str:
    """How a process ended, for people."""
    if os.WIFSIGNALED(status):
        return f"was ended by {signal.Signals(os.WTERMSIG(status)).name}"
    return f"ended with exit code {os.waitstatus_to_exitcode(status)}"
