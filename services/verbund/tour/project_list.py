"""Importing a real list of projects before the tour, as `verbund project import` does it."""

from dataclasses import dataclass
from pathlib import Path

from verbund.sdk.client import Client
from verbund.tour.steps import StepFailed, Told


@dataclass(frozen=True, slots=True)
class Listed:
    """A project of the list, to search for."""

    title: str


def bring_in(client: Client, data: Path) -> Told[Listed]:
    """Imports the file."""
    raise StepFailed(f"{data} cannot be imported.", "leave --data out")
