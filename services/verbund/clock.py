"""The time as everything that needs it is handed it, so that tests can hold and turn it."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def wall_clock() -> datetime:
    """The time now, with its zone."""
    return datetime.now(UTC)
