"""Times in tokens: NumericDates (RFC 7519, section 2), in Unix seconds."""

from typing import TypeGuard

CLOCK_SKEW_SECONDS = 10  # that another's clock may be ahead
TIME_MAX = 253_402_300_800  # the year 10000


def is_time(value: object) -> TypeGuard[float]:
    """Whether a value is a time of this age of the world: neither NaN nor endless."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < TIME_MAX
