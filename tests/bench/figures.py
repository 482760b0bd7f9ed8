"""What a scenario finds: figures, each with the spread of its rounds."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured quantity, a value for each round.

    `target` is the most that it should be, where there is one, or with `at_least` the least.
    """

    what: str
    unit: str
    rounds: Sequence[float]
    target: float | None = None
    at_least: bool = False

    @property
    def median(self) -> float:
        """The middle round."""
        return statistics.median(self.rounds)

    @property
    def reached(self) -> bool:
        """Whether the median keeps the target."""
        return self.target is None or self.share(self.median) <= 1

    def share(self, value: float) -> float:
        """A value as a share of what it should at most be: above 1 it misses the target."""
        target = self.target or 1
        return target / value if self.at_least else value / target


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` of all do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def ratios(of: Sequence[float], to: Sequence[float]) -> list[float]:
    """Round by round, how many times as much the first is as the second."""
    return [measured / reference for measured, reference in zip(of, to, strict=True)]
