"""What one page was told and the next may say again: for a while, and so much at most."""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

COUNT_MAX = 10_000

Value = TypeVar("Value")


class Kept(Generic[Value]):
    """Values by name, each for so many seconds. Keeping one forgets those that are over, and the oldest of too many."""

    def __init__(
        self, seconds: float, *, count_max: int = COUNT_MAX, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._seconds = seconds
        self._count_max = count_max
        self._clock = clock
        self._writing = threading.Lock()
        self._values: dict[str, tuple[float, Value]] = {}  # in the order in which they end

    def get(self, name: str) -> Value | None:
        """The value; None where there is none any more."""
        found = self._values.get(name)
        return found[1] if found and self._clock() < found[0] else None

    def keep(self, name: str, value: Value) -> None:
        """Keeps a value from now on."""
        with self._writing:
            now = self._clock()
            self._values.pop(name, None)
            while self._values and (len(self._values) >= self._count_max or self._oldest_end() <= now):
                self._values.pop(next(iter(self._values)))
            self._values[name] = (now + self._seconds, value)

    def __len__(self) -> int:
        """How many are held, over or not."""
        return len(self._values)

    def _oldest_end(self) -> float:
        return next(iter(self._values.values()))[0]
