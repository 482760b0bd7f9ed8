"""`verbund trace`: the tree of one request with what came of it later, or the latest ones."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from verbund.embedded import home as homes
from verbund.failure import Failure
from verbund.options import Show, home_option, json_option
from verbund.traces import drawing
from verbund.traces.reader import LINKED_MAX, AmbiguousId, NoTraces, Reader
from verbund.traces.tree import Tree, tree_of

LOOK_SECONDS = 0.1
QUIET_SECONDS = 1.5  # longer than the services hold their spans back
WAIT_SECONDS_MAX = 60.0


@click.command("trace")
@click.argument("trace_id", required=False, metavar="ID")
@click.option("--list", "listed", is_flag=True, help="List the latest traces instead.")
@click.option("--limit", default=20, type=click.IntRange(1, 1000), show_default=True, help="How many --list shows.")
@click.option(
    "--linked",
    "linked_max",
    default=20,
    type=click.IntRange(0, LINKED_MAX),
    show_default=True,
    help="How many traces that link to ID to draw below it.",
)
@json_option
@click.option(
    "--wait",
    "wait_seconds",
    default=0.0,
    type=click.FloatRange(0, WAIT_SECONDS_MAX),
    help="Wait up to this many seconds for spans that are still on their way.",
)
@home_option
def trace(
    *,
    trace_id: str | None,
    listed: bool,
    limit: int,
    linked_max: int,
    show: Show,
    wait_seconds: float,
    named: Path | None,
) -> None:
    """Draw the tree of the trace ID across gateway, services and SQL. The first digits of an ID are enough.

    Below it stand the traces that link to it, by their start: a delivery's later steps link to its creation, so one id
    tells its story. An answer's id is in its header x-trace-id, and in the metadata of every refusal.
    """
    if (trace_id is None) != listed:
        raise click.UsageError("give the ID of a trace, or --list")
    database = homes.present(named).traces
    try:
        with Reader(database) as reader:
            if trace_id is None:
                show_latest(reader, limit, show)
            else:
                tree = awaited(reader, trace_id.lower(), wait_seconds)
                linked = linked_to(reader, tree, linked_max)
                show(drawing.story_document(tree, linked), drawing.story(tree, linked))
    except NoTraces as error:
        raise Failure(str(error), who="You", remedy="start the mesh with `verbund up`, then send a request.") from None
    except AmbiguousId as error:
        raise click.UsageError(f"{error}") from None
    except ValueError:
        raise click.UsageError(f"{trace_id} is not the id of a trace: it has up to 32 digits, 0-9 and a-f") from None


def awaited(
    reader: Reader, prefix: str, wait_seconds: float, *, enough: Callable[[Tree], bool] = lambda _tree: False
) -> Tree:
    """The tree of a trace, when it is whole and `enough` or grows no more, or when the time is over. Raises Failure."""
    end = time.monotonic() + wait_seconds
    grown = time.monotonic()
    known = 0
    tree = None
    while True:
        trace_id = reader.complete(prefix)
        found = reader.trace(trace_id) if trace_id else ()
        if len(found) > known:
            known, tree, grown = len(found), tree_of(found), time.monotonic()
        settled = tree is not None and tree.whole and (enough(tree) or time.monotonic() - grown > QUIET_SECONDS)
        if settled or time.monotonic() >= end:
            break
        time.sleep(LOOK_SECONDS)
    if tree is None:
        raise Failure(
            f"There is no trace {prefix}.",
            who="You",
            remedy="check the id with `verbund trace --list`; spans take a few seconds to arrive (--wait 10).",
        )
    return tree


def linked_to(reader: Reader, tree: Tree, limit: int) -> Sequence[Tree]:
    """The traces that link to this one, by their start."""
    return [tree_of(reader.trace(trace_id)) for trace_id in reader.linked(tree.trace_id, limit)]


def show_latest(reader: Reader, limit: int, show: Show) -> None:
    """Prints the latest traces, and what the store did not keep."""
    summaries = reader.latest(limit)
    counts = reader.counts()
    show(drawing.listing(summaries, counts), drawing.table(summaries, counts))
