"""A trace as lines for a terminal, and as a JSON document. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from verbund.traces.reader import Summary
from verbund.traces.spans import Span
from verbund.traces.tree import Place, Tree

LEFT_COLUMNS_MAX = 96
DEPTH_DRAWN_MAX = 30  # deeper branches are drawn at this depth
SPANS_DRAWN_MAX = 1000
COUNTS = {
    "stored": "spans stored",
    "repeated": "sent twice",
    "refused": "refused, malformed",
    "expired": "deleted, old",
    "crowded_out": "deleted, no room",
}


def lines(tree: Tree) -> Iterator[str]:
    """The tree, one span a line, parents first; what names another trace or tells of an error follows its span."""
    yield heading(tree)
    places = [place for place, _ in zip(tree.walk(), range(SPANS_DRAWN_MAX), strict=False)]
    lefts = [branch(place) + label(place) for place in places]
    width = min(max(map(len, lefts)), LEFT_COLUMNS_MAX)
    for place, left in zip(places, lefts, strict=True):
        span = place.node.span
        yield f"{left:<{width}}  {timing(span, tree.start_nanos)}" if span else left
        if span:
            yield from (f"{below(place)}{note}" for note in notes(span))
    if len(tree.spans) > SPANS_DRAWN_MAX:
        yield f"… {len(tree.spans) - SPANS_DRAWN_MAX} more spans; --json has them all"


def story(first: Tree, later: Sequence[Tree]) -> Iterator[str]:
    """A trace, and below it those that link to it, each with how long after the first it began."""
    yield from lines(first)
    for tree in later:
        yield f"\n↳ {milliseconds(max(0, tree.start_nanos - first.start_nanos))} later"
        yield from lines(tree)


def heading(tree: Tree) -> str:
    """The trace in one line."""
    facts = [
        counted(len(tree.spans), "span"),
        counted(len(tree.services), "service"),
        milliseconds(tree.duration_nanos),
    ]
    if len(tree.roots) != 1:
        facts.append(counted(len(tree.roots), "root"))
    if tree.gaps:
        facts.append(f"{counted(tree.gaps, 'span')} missing")
    return f"trace {tree.trace_id} · {' · '.join(facts)}"


def branch(place: Place) -> str:
    """The lines that lead to a node."""
    lasts = place.lasts[-DEPTH_DRAWN_MAX:]
    if not lasts:
        return ""
    return "".join("   " if last else "│  " for last in lasts[:-1]) + ("└─ " if lasts[-1] else "├─ ")


def below(place: Place) -> str:
    """The lines that pass a node's own notes on their way to its children."""
    passing = "".join("   " if last else "│  " for last in place.lasts[-DEPTH_DRAWN_MAX:])
    return passing + ("│  " if place.node.children else "   ")


def label(place: Place) -> str:
    """What a node is."""
    span = place.node.span
    return printable(f"{span.service}  {span.name}") if span else f"┄ span {place.node.span_id} has not arrived"


def timing(span: Span, origin_nanos: int) -> str:
    """How long a span took, and how long after the trace's start it began."""
    begun = max(0, span.start_nanos - origin_nanos)
    return f"{milliseconds(span.duration_nanos):>10}  +{milliseconds(begun)}"


def notes(span: Span) -> Iterator[str]:
    """What stands below a span's line."""
    if span.status == "error":
        cause = span.message or str(span.attributes.get("error.type", "")) or "no message"
        yield printable(f"✗ {cause}")
    for link in span.links:
        yield f"↗ belongs with trace {link.trace_id}"


def table(summaries: Sequence[Summary], counts: Mapping[str, int]) -> Iterator[str]:
    """The latest traces, one a line, and what became of all spans."""
    for summary in summaries:
        took = milliseconds(max(0, summary.end_nanos - summary.start_nanos))
        errors = f"  ✗ {counted(summary.errors, 'error')}" if summary.errors else ""
        size = counted(summary.spans, "span")
        yield f"{summary.trace_id}  {took:>12}  {size:>9}  {printable(summary.name)}{errors}"
    yield " · ".join(f"{COUNTS[name]}: {number}" for name, number in counts.items()) or "no span has arrived yet"


def listing(summaries: Sequence[Summary], counts: Mapping[str, int]) -> dict[str, Any]:
    """The latest traces as JSON."""
    traces = [
        {
            "traceId": summary.trace_id,
            "name": summary.name,
            "spans": summary.spans,
            "services": summary.services,
            "errors": summary.errors,
            "startUnixNano": str(summary.start_nanos),
            "durationMs": as_milliseconds(max(0, summary.end_nanos - summary.start_nanos)),
        }
        for summary in summaries
    ]
    return {"traces": traces, "counts": dict(counts)}


def document(tree: Tree) -> dict[str, Any]:
    """The tree as JSON: flat, in the order of drawing, so that depth costs a reader nothing."""
    places = list(tree.walk())
    return {
        "traceId": tree.trace_id,
        "roots": len(tree.roots),
        "missing": tree.gaps,
        "services": list(tree.services),
        "durationMs": as_milliseconds(tree.duration_nanos),
        "spans": [described(place.node.span, len(place.lasts)) for place in places if place.node.span],
    }


def story_document(first: Tree, later: Sequence[Tree]) -> dict[str, Any]:
    """A trace as JSON, with those that link to it under `linked`."""
    return document(first) | {"linked": [document(tree) for tree in later]}


def described(span: Span, depth: int) -> dict[str, Any]:
    """A span as JSON."""
    return {
        "spanId": span.span_id,
        "parentId": span.parent_id,
        "depth": depth,
        "service": span.service,
        "name": span.name,
        "kind": span.kind,
        "startUnixNano": str(span.start_nanos),  # a number of this size loses digits in most JSON readers
        "durationMs": as_milliseconds(span.duration_nanos),
        "status": span.status,
        "message": span.message,
        "attributes": span.attributes,
        "links": [{"traceId": link.trace_id, "spanId": link.span_id} for link in span.links],
        "shortened": span.shortened,
    }


def printable(text: str) -> str:
    """The text without what could steer a terminal: names come from senders."""
    return "".join(char if char.isprintable() else "�" for char in text)


def counted(number: int, noun: str) -> str:
    """A number with its noun."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def milliseconds(nanos: int) -> str:
    """A duration for people."""
    return f"{nanos / 1e6:,.1f} ms"


def as_milliseconds(nanos: int) -> float:
    """A duration for machines, exact to the microsecond."""
    return round(nanos / 1e6, 3)
