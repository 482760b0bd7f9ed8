"""What is examined: the environment, the home, and the mesh that runs there or not."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from verbund.clock import Clock, wall_clock
from verbund.embedded import home as homes
from verbund.embedded.home import Home
from verbund.failure import EnvironmentFailure


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Everything that checks look at. `notes` is what one check leaves for a later one."""

    environment: Mapping[str, str]
    named: Path
    home: Home | None
    ready: Mapping[str, Any] | None
    """What ready.json says; None where it is missing, unreadable or closed to this user."""
    clock: Clock
    notes: dict[str, str] = field(default_factory=dict)

    @property
    def mine(self) -> bool:
        """Whether this user may look into the home."""
        return self.home is not None and os.geteuid() in (0, self.home.user.uid)

    def processes(self) -> dict[str, int]:
        """The processes that ready.json names."""
        return {entry["name"]: int(entry["pid"]) for entry in (self.ready or {}).get("processes", ())}

    def environment_of_mesh(self) -> Mapping[str, str]:
        """The environment that the running mesh was started with, as far as this user may see it."""
        if self.home is None or self.ready is None:
            return {}
        try:
            pid = int(self.home.lock.read_text())
            entries = Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace").split("\0")
        except (OSError, ValueError):
            return {}
        return dict(entry.split("=", 1) for entry in entries if "=" in entry)


def subject_of(environment: Mapping[str, str], data_dir: Path | None, clock: Clock = wall_clock) -> Subject:
    """The subject at a home that may not be there."""
    named = homes.choose(environment, data_dir)
    try:
        home = homes.find(named)
    except EnvironmentFailure:
        home = None
    return Subject(environment=environment, named=named, home=home, ready=read_ready(home), clock=clock)


def read_ready(home: Home | None) -> Mapping[str, Any] | None:
    """What ready.json says, where it says something."""
    try:
        found = json.loads(home.ready.read_bytes()) if home else None
        usable = isinstance(found, dict) and {"gateway", "ca", "token_endpoint", "systems", "processes"} <= set(found)
    except (OSError, ValueError):
        return None
    return found if usable else None
