"""`verbund trace`."""

import json
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from verbund.failure import Failure
from verbund.traces.commands import trace
from verbund.traces.spans import Link, Span
from verbund.traces.store import Store

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    (tmp_path / "traces").mkdir()
    return Store(tmp_path / "traces" / "traces.sqlite", bytes_max=64 * 1024 * 1024, age_seconds_max=60)


def span(number: int, parent: int | None) -> Span:
    """A span whose ids are numbers."""
    return Span(
        trace_id=TRACE,
        span_id=f"{number:016x}",
        parent_id="" if parent is None else f"{parent:016x}",
        service="registry",
        name=f"span {number}",
        kind="server",
        start_nanos=number,
        end_nanos=number + 2_000_000,
        attributes={},
    )


def run(home: Path, *arguments: str) -> str:
    """What the command prints."""
    result = CliRunner().invoke(trace, [*arguments, "--home", str(home)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_the_tree_is_drawn_by_the_first_digits(store: Store, tmp_path: Path) -> None:
    """For people and for machines."""
    store.add([span(1, None), span(2, 1)])
    assert "└─ registry  span 2" in run(tmp_path, "4BF9")
    document = json.loads(run(tmp_path, TRACE, "--json"))
    assert [(found["name"], found["depth"]) for found in document["spans"]] == [("span 1", 0), ("span 2", 1)]


def test_waiting_takes_in_what_is_still_on_its_way(store: Store, tmp_path: Path) -> None:
    """A child that arrives after its parent, and a parent after its child."""
    store.add([span(2, 1)])

    def later() -> None:
        time.sleep(0.5)
        store.add([span(1, None)])
        time.sleep(0.2)  # it waits for longer than this on a trace that looks whole
        store.add([span(3, 2)])

    thread = threading.Thread(target=later)
    thread.start()
    output = run(tmp_path, TRACE, "--wait", "20")
    thread.join()
    assert "3 spans" in output
    assert "missing" not in output


def test_the_latest_are_listed_with_what_became_of_all_spans(store: Store, tmp_path: Path) -> None:
    """Drops are said."""
    store.add([span(1, None)], refused=2)
    output = run(tmp_path, "--list")
    assert f"{TRACE}" in output
    assert "refused, malformed: 2" in output
    assert json.loads(run(tmp_path, "--list", "--json"))["counts"] == {"stored": 1, "refused": 2}


def test_an_unknown_trace_is_told_with_the_way_out(store: Store, tmp_path: Path) -> None:
    """Exit code 1 by the command line."""
    store.add([span(1, None)])
    with pytest.raises(Failure, match="no trace abc"):
        run(tmp_path, "abc")


def test_a_home_without_traces_is_told(tmp_path: Path) -> None:
    """Before the first `verbund up`."""
    with pytest.raises(Failure, match="no traces"):
        run(tmp_path, "--list")


@pytest.mark.parametrize("arguments", [[], [TRACE, "--list"], ["xyz"], ["a" * 33]])
def test_wrong_usage_is_exit_code_2(store: Store, tmp_path: Path, arguments: list[str]) -> None:
    """Neither id nor --list, both, and what is no id."""
    store.add([span(1, None)])
    result = CliRunner().invoke(trace, [*arguments, "--home", str(tmp_path)])
    assert result.exit_code == 2


def test_one_id_tells_what_came_of_a_request(store: Store, tmp_path: Path) -> None:
    """The traces that link to a trace stand below it by their start; `--linked` bounds how many."""
    store.add([span(1, None)])
    links = [Link(TRACE, f"{1:016x}")]
    for number, start in ((3, 900), (2, 300)):
        later = replace(span(number, None), trace_id=f"{number:032x}", start_nanos=start * 1_000_000, links=links)
        store.add([later])
    output = run(tmp_path, TRACE)
    headings = [line.split(" ")[1] for line in output.splitlines() if line.startswith("trace ")]
    assert headings == [TRACE, f"{2:032x}", f"{3:032x}"]
    assert "↳ 300.0 ms later\ntrace 0" in output
    document = json.loads(run(tmp_path, TRACE, "--json", "--linked", "1"))
    assert [linked["traceId"] for linked in document["linked"]] == [f"{2:032x}"]
    assert json.loads(run(tmp_path, f"{2:032x}", "--json"))["linked"] == []
