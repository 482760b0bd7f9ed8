"""The console's settings: the variables `VERBUND_CONSOLE_*`."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleSettings:
    """Times are seconds."""

    # How long a browser may show a page of the manual again without asking whether it changed.
    cache_seconds: int = 300

    def __post_init__(self) -> None:
        """Refuses a time before now."""
        if self.cache_seconds < 0:
            raise ValueError("CACHE_SECONDS must be at least 0")
