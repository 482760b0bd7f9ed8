"""Who may see a resource: the one rule of reads, lists, search, history and the feed.

The database applies it once more by row-level security (`schema.sql`, function `sees`).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

ANYBODY = "*"  # every member of the mesh; no organisation's name has this form


@dataclass(frozen=True, slots=True)
class Audience:
    """The names of the organisations that see a resource, or `*` for every member."""

    names: frozenset[str]

    @classmethod
    def of(cls, names: Iterable[str]) -> Self:
        """The audience of some organisations."""
        return cls(frozenset(names))

    def includes(self, organisation: str) -> bool:
        """Whether a caller of this organisation may see the resource; a caller of none may not."""
        return bool(organisation) and (organisation in self.names or ANYBODY in self.names)

    def stored(self) -> list[str]:
        """As a column holds it."""
        return sorted(self.names)


EVERY_MEMBER = Audience.of([ANYBODY])
NO_ONE = Audience.of([])
