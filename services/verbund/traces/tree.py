"""The spans of one trace as a tree. Pure: no database, no terminal.

Spans arrive from many senders, and some never arrive: a span whose parent is missing hangs below a gap in its place.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from verbund.traces.spans import Span


@dataclass(slots=True, eq=False)
class Node:
    """A span and those it caused, by their start. Without a span it is a gap: somebody's parent that is missing."""

    span_id: str
    span: Span | None
    children: list["Node"] = field(default_factory=list)

    @property
    def start_nanos(self) -> int:
        """When it started; a gap's first child tells."""
        return self.span.start_nanos if self.span else self.children[0].start_nanos


@dataclass(frozen=True, slots=True)
class Place:
    """A node in the drawing: `lasts` says of each ancestor below the root, and of itself, if it is a last child."""

    node: Node
    lasts: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class Tree:
    """A trace. It is whole where it has one root and no gap; more may still arrive."""

    trace_id: str
    roots: Sequence[Node]
    spans: Sequence[Span]

    @property
    def gaps(self) -> int:
        """How many parents are missing."""
        return sum(root.span is None for root in self.roots)

    @property
    def whole(self) -> bool:
        """Whether every span's place is known."""
        return len(self.roots) == 1 and not self.gaps

    @property
    def services(self) -> Sequence[str]:
        """The names of the services in it, in the order in which they appear."""
        return list(dict.fromkeys(place.node.span.service for place in self.walk() if place.node.span))

    @property
    def start_nanos(self) -> int:
        """When it started."""
        return min(span.start_nanos for span in self.spans)

    @property
    def duration_nanos(self) -> int:
        """From the first start to the last end."""
        return max(0, max(span.end_nanos for span in self.spans) - self.start_nanos)

    def walk(self) -> Iterator[Place]:
        """Every node, parents first."""
        waiting = [Place(root, ()) for root in reversed(self.roots)]
        while waiting:
            place = waiting.pop()
            yield place
            children = place.node.children
            waiting.extend(Place(child, (*place.lasts, child is children[-1])) for child in reversed(children))


def tree_of(spans: Sequence[Span]) -> Tree:
    """The tree of the spans of one trace, at least one."""
    nodes = {span.span_id: Node(span.span_id, span) for span in spans}
    roots: list[Node] = []
    for span in sorted(spans, key=lambda span: (span.start_nanos, span.span_id)):
        node = nodes[span.span_id]
        if not span.parent_id:
            roots.append(node)
            continue
        if span.parent_id not in nodes:
            nodes[span.parent_id] = Node(span.parent_id, None)
            roots.append(nodes[span.parent_id])
        nodes[span.parent_id].children.append(node)
    roots.extend(cut_circles(nodes, roots))
    return Tree(spans[0].trace_id, sorted(roots, key=lambda root: root.start_nanos), spans)


def cut_circles(nodes: dict[str, Node], roots: Sequence[Node]) -> list[Node]:
    """Spans that are their own ancestors hang from no root: the first of each circle becomes one."""
    placed = placed_below(roots)
    found = []
    for node in nodes.values():
        if node.span_id not in placed and node.span is not None:
            siblings = nodes[node.span.parent_id].children
            siblings.remove(node)
            found.append(node)
            placed |= placed_below([node])
    return found


def placed_below(roots: Sequence[Node]) -> set[str]:
    """The ids of all that hangs from these nodes."""
    waiting = list(roots)
    found: set[str] = set()
    while waiting:
        node = waiting.pop()
        if node.span_id not in found:
            found.add(node.span_id)
            waiting.extend(node.children)
    return found
