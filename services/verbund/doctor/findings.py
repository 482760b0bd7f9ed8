"""What a check found, in words for a person and in fields for a program."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How it stands. Only a problem changes the exit code."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the report; `who` and `remedy` where something can be done about it."""

    check: str
    state: State
    says: str
    who: str = ""
    remedy: str = ""


def ok(check: str, says: str) -> Finding:
    """Nothing is wrong."""
    return Finding(check=check, state=State.OK, says=says)


def skipped(check: str, says: str) -> Finding:
    """It could not be looked at, or there is nothing to look at."""
    return Finding(check=check, state=State.SKIPPED, says=says)


def warning(check: str, says: str, *, remedy: str, who: str = "You") -> Finding:
    """It works, and something should be known or done."""
    return Finding(check=check, state=State.WARNING, says=says, who=who, remedy=remedy)


def problem(check: str, says: str, *, remedy: str, who: str = "You") -> Finding:
    """It is to be mended."""
    return Finding(check=check, state=State.PROBLEM, says=says, who=who, remedy=remedy)


def counts(findings: Iterable[Finding]) -> dict[str, int]:
    """How many findings there are of each state."""
    found = Counter(finding.state for finding in findings)
    return {state.value: found[state] for state in State}
