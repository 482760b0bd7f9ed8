"""A clock in the test's hand."""


class Clock:
    """Tells Unix seconds, and stands until it is moved."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now
