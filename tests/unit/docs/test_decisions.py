"""The decisions are complete: numbered without a gap, listed, and each says what was rejected."""

import re
from pathlib import Path

import pytest

from tests.support.documents import ROOT

FOLDER = ROOT / "docs" / "adr"
DECISIONS = sorted(FOLDER.glob("[0-9]*.md"))
LINES_MAX = 70


def name_of(decision: Path) -> str:
    return decision.name


def test_decisions_are_numbered_and_listed() -> None:
    """The numbers have no gap, and the list names every page by its title."""
    assert [int(decision.name[:4]) for decision in DECISIONS] == list(range(1, len(DECISIONS) + 1))
    listed = re.findall(r"^\d+\. \[(.+)\]\((.+)\)$", (FOLDER / "README.md").read_text(), re.MULTILINE)
    titles = [decision.read_text().split("\n", 1)[0].partition(". ")[2] for decision in DECISIONS]
    assert listed == [(title, decision.name) for title, decision in zip(titles, DECISIONS, strict=True)]


@pytest.mark.parametrize("decision", DECISIONS, ids=name_of)
def test_decision_is_one_page(decision: Path) -> None:
    """A page says what was decided, what drove it, what was rejected, and fits a page."""
    text = decision.read_text()
    assert text.startswith(f"# {int(decision.name[:4])}. ")
    assert re.search(r"^Date: \d{4}-\d\d-\d\d\. Status: (accepted|superseded)", text, re.MULTILINE)
    for heading in ("Decision", "Drivers", "Rejected"):
        assert f"\n## {heading}\n" in text
    assert text.count("\n") <= LINES_MAX
