"""How often somebody may guess: wrong passwords are counted for a minute, by account and altogether."""

from collections.abc import Callable

WINDOW_SECONDS = 60


class Attempts:
    """Counts the wrong passwords of one provider.

    A name that no account has is counted like one that has: nobody learns from it who there is. The number of names
    that are counted is bounded by the number of attempts.
    """

    def __init__(self, *, per_account_max: int, total_max: int, clock: Callable[[], float]) -> None:
        self._per_account_max = per_account_max
        self._total_max = total_max
        self._clock = clock
        self._window = 0
        self._total = 0
        self._failed: dict[str, int] = {}

    def seconds_to_wait(self, account: str) -> int:
        """0 where an attempt is allowed now, otherwise when the next one is."""
        now = self._clock()
        self._turn(now)
        if self._total < self._total_max and self._failed.get(account, 0) < self._per_account_max:
            return 0
        return WINDOW_SECONDS - int(now) % WINDOW_SECONDS

    def failed(self, account: str) -> None:
        """A wrong password was given for a name."""
        self._turn(self._clock())
        self._total += 1
        self._failed[account] = self._failed.get(account, 0) + 1

    def _turn(self, now: float) -> None:
        window = int(now) // WINDOW_SECONDS
        if window != self._window:
            self._window, self._total = window, 0
            self._failed.clear()
