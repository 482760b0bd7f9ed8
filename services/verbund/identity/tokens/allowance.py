"""How many tokens a client may get: what bounds the used assertions that must be remembered."""

import threading

WINDOW_SECONDS = 60


class Allowance:
    """Counts what each client takes within a minute. It counts proven clients only, so strangers cannot fill it."""

    def __init__(self, per_minute_max: int) -> None:
        self._per_minute_max = per_minute_max
        self._lock = threading.Lock()
        self._window = 0
        self._taken: dict[str, int] = {}

    def take(self, client: str, *, now: float) -> bool:
        """Takes one; False where the client has had its share of this minute."""
        window = int(now // WINDOW_SECONDS)
        with self._lock:
            if window != self._window:
                self._window = window
                self._taken.clear()
            taken = self._taken.get(client, 0)
            if taken >= self._per_minute_max:
                return False
            self._taken[client] = taken + 1
            return True
