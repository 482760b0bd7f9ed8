"""The registry's settings: the variables `VERBUND_REGISTRY_*`."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrySettings:
    """Times are seconds."""

    # Database connections of one worker: as many as it carries out calls at once.
    pool_size: int = 8
    # How often the feed looks for changes, woken or not.
    feed_look_seconds: float = 5.0
    # How often outdated answers are deleted.
    sweep_seconds: float = 300.0

    def __post_init__(self) -> None:
        """Refuses what cannot work."""
        for name in ("pool_size", "feed_look_seconds", "sweep_seconds"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name.upper()} must be above 0")
