"""What a scenario finds: figures, each with the spread of its rounds."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured quantity, a value for each round. `target` is the most that it should be, where there is one."""

    what: str
    unit: str
    rounds: Sequence[float]
    target: float | None = None

    @property
    def median(self) -> float:
        """The middle round."""
        return statistics.median(self.rounds)

    @property
    def reached(self) -> bool:
        """Whether the median keeps the target."""
        return self.target is None or self.median <= self.target


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` of all do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def ratios(of: Sequence[float], to: Sequence[float]) -> list[float]:
    """Round by round, how many times as much the first is as the second."""
    return [measured / reference for measured, reference in zip(of, to, strict=True)]
