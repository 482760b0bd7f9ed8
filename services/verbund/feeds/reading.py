"""What the statements of every feed have in common: how far it reaches, and what follows a page of it."""

import enum
from collections.abc import Callable, Sequence
from itertools import takewhile
from typing import Any, TypeVar

from verbund.database.rows import Rows
from verbund.feeds.cursors import Cursor

Entry = TypeVar("Entry")
HORIZON = """
    SELECT pg_snapshot_xmin(now.snapshot)::text AS settled, pg_snapshot_xmax(now.snapshot)::text AS newest
    FROM pg_current_snapshot() AS now (snapshot)
"""


class Rest(enum.Enum):
    """What follows a page of a feed."""

    NOTHING = enum.auto()
    MORE = enum.auto()
    UNSETTLED = enum.auto()  # more, when an older transaction has ended


def horizon(rows: Rows) -> tuple[Cursor, Cursor]:
    """The cursor that nothing can still commit before, and the one that no transaction has passed yet."""
    row = rows.one(HORIZON)
    assert row is not None
    return Cursor(int(row["settled"]), 0), Cursor(int(row["newest"]), 0)


def page_of(
    found: Sequence[dict[str, Any]], size: int, entry_of: Callable[[dict[str, Any]], Entry]
) -> tuple[list[Entry], Rest]:
    """The rows of a page that are `settled` and that it `fits`, as entries, and what follows them.

    A row is settled when no transaction is running that began before its own: nothing can come between it and the rows
    before it any more.
    """
    taken = [entry_of(row) for row in takewhile(lambda row: row["settled"] and row["fits"], found)]
    if len(taken) == len(found):
        return taken, Rest.MORE if len(found) == size else Rest.NOTHING
    return taken, Rest.MORE if found[len(taken)]["settled"] else Rest.UNSETTLED
