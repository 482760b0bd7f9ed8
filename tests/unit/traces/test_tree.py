"""The tree of a trace."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as some
from verbund.traces import drawing
from verbund.traces.spans import Link, Span
from verbund.traces.tree import tree_of

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
MS = 1_000_000


def span(number: int, parent: int | None, *, start_ms: int = 0, took_ms: int = 1, **other: object) -> Span:
    """A span whose ids are numbers."""
    given_fields = {
        "service": "registry",
        "name": f"span {number}",
        "kind": "server",
        "attributes": {},
        "start_nanos": start_ms * MS,
        "end_nanos": (start_ms + took_ms) * MS,
    } | other
    parent_id = "" if parent is None else f"{parent:016x}"
    return Span(trace_id=TRACE, span_id=f"{number:016x}", parent_id=parent_id, **given_fields)  # type: ignore[arg-type]


def drawn(spans: Sequence[Span]) -> str:
    """The drawing."""
    return "\n".join(drawing.lines(tree_of(spans)))


def test_a_request_is_drawn_from_the_gateway_to_the_row() -> None:
    """Children stand below their parent by their start; duration and offset stand beside them."""
    spans = [
        span(3, 2, start_ms=4, took_ms=2, service="registry", name="SELECT registry.projects"),
        span(1, None, took_ms=12, service="gateway", name="GET /v1/projects:search"),
        span(4, 2, start_ms=1, service="registry", name="set organisation"),
        span(2, 1, start_ms=1, took_ms=8, service="registry", name="ProjectService/SearchProjects"),
    ]
    assert drawn(spans).splitlines() == [
        f"trace {TRACE} · 4 spans · 2 services · 12.0 ms",
        "gateway  GET /v1/projects:search               12.0 ms  +0.0 ms",
        "└─ registry  ProjectService/SearchProjects      8.0 ms  +1.0 ms",
        "   ├─ registry  set organisation                1.0 ms  +1.0 ms",
        "   └─ registry  SELECT registry.projects        2.0 ms  +4.0 ms",
    ]


def test_a_missing_parent_leaves_a_gap_where_it_would_stand() -> None:
    """Its children are shown below the gap, once for all of them, and the heading counts it."""
    tree = tree_of([span(2, 1), span(3, 1, start_ms=1), span(4, 3)])
    assert (tree.gaps, tree.whole, len(tree.roots)) == (1, False, 1)
    text = "\n".join(drawing.lines(tree))
    assert "1 span missing" in text
    assert "┄ span 0000000000000001 has not arrived\n├─ registry  span 2" in text


def test_an_error_and_a_link_follow_their_span() -> None:
    """An error shows its message, or its type; a link names the other trace."""
    spans = [
        span(1, None, status="error", attributes={"error.type": "UNAVAILABLE"}, links=[Link("ab" * 16, "cd" * 8)]),
        span(2, 1, status="error", message="the database is down"),
    ]
    text = drawn(spans)
    assert "✗ UNAVAILABLE" in text
    assert "✗ the database is down" in text
    assert f"↗ belongs with trace {'ab' * 16}" in text


def test_a_name_cannot_steer_the_terminal() -> None:
    """Control characters of a sender's name are not printed."""
    assert "\x1b" not in drawn([span(1, None, name="x\x1b[2Jy")])


def test_a_span_that_is_its_own_ancestor_is_drawn_once() -> None:
    """A circle ends, and all its spans are there."""
    tree = tree_of([span(1, 2), span(2, 3), span(3, 1), span(4, 4)])
    assert sorted(place.node.span_id for place in tree.walk()) == [f"{number:016x}" for number in (1, 2, 3, 4)]


def test_a_very_deep_trace_is_drawn() -> None:
    """Depth costs no stack, and no more than a line's width."""
    deep = [span(number, number - 1 if number else None) for number in range(1, 5001)]
    lines = list(drawing.lines(tree_of(deep)))
    assert max(map(len, lines)) < 200
    assert lines[-1] == "… 4000 more spans; --json has them all"
    assert drawing.document(tree_of(deep))["spans"][-1]["depth"] == 5000


@given(some.lists(some.one_of(some.none(), some.integers(0, 30)), min_size=1, max_size=25))
def test_every_span_has_exactly_one_place(parents: list[int | None]) -> None:
    """Whatever parents are claimed, missing or in circles, every span is drawn once."""
    tree = tree_of([span(number, parent) for number, parent in enumerate(parents)])
    placed = [place.node.span_id for place in tree.walk() if place.node.span]
    assert sorted(placed) == [f"{number:016x}" for number in range(len(parents))]
