"""Writes what was measured into docs/performance.md, between two marks, and draws it."""

import os
import platform
import re
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot as plt

from tests.bench.figures import Figure

DOCUMENT = Path(__file__).parents[2] / "docs" / "performance.md"
PICTURE = DOCUMENT.with_suffix(".svg")
BEGIN, END = "<!-- figures: written by make bench -->", "<!-- figures end -->"
# Grey and blue that can be read on white and on black alike.
INK, BAR, MISSED = "#7d7d7d", "#3b82c4", "#c4603b"


def write(figures: Sequence[Figure]) -> None:
    """Replaces the table and the picture."""
    fresh = f"{BEGIN}\n\n{table(figures)}\n\n{machine()}\n\n{END}"
    text = DOCUMENT.read_text()
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ValueError(f"{DOCUMENT} lacks the marks between which the figures stand")
    DOCUMENT.write_text(re.sub(f"{BEGIN}.*{END}", lambda _: fresh, text, flags=re.DOTALL))
    draw([figure for figure in figures if figure.target is not None])


def table(figures: Sequence[Figure]) -> str:
    """The figures as a table."""
    head = ["| what | median | min | max | to reach | unit |", "|---|---:|---:|---:|---:|---|"]
    return "\n".join([*head, *map(row, figures)])


def row(figure: Figure) -> str:
    """One line of the table; a target that was missed is said."""
    sign = ">=" if figure.at_least else "<="
    target = "" if figure.target is None else f"{sign} {figure.target:g}" + ("" if figure.reached else ", **missed**")
    values = " | ".join(short(value) for value in (figure.median, min(figure.rounds), max(figure.rounds)))
    return f"| {figure.what} | {values} | {target} | {figure.unit} |"


def short(value: float) -> str:
    """Three digits that mean something."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def machine() -> str:
    """What the run was made on, without a name that could be looked up."""
    python = f"Python {platform.python_version()}"
    load = os.getloadavg()[1]
    return f"{os.cpu_count()} CPUs ({platform.machine()}), {platform.system()}, {python}; load average {load:.1f}."


def draw(figures: Sequence[Figure]) -> None:
    """Each figure as a share of what it should at most be, with the spread of its rounds."""
    style = {"svg.fonttype": "none", "svg.hashsalt": "verbund", "font.family": "sans-serif", "font.size": 10}
    colours = dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), INK)
    with mpl.rc_context({**style, **colours}):
        drawing, axes = plt.subplots(figsize=(9, 0.55 * len(figures) + 1.1))
        shown = list(reversed(figures))
        shares = [[figure.share(value) for value in figure.rounds] for figure in shown]
        middle = [figure.share(figure.median) for figure in shown]
        spread = [
            [value - min(rounds) for value, rounds in zip(middle, shares, strict=True)],
            [max(rounds) - value for value, rounds in zip(middle, shares, strict=True)],
        ]
        colour = [BAR if figure.reached else MISSED for figure in shown]
        names = [figure.what.replace("`", "") for figure in shown]
        axes.barh(range(len(shown)), middle, color=colour, height=0.55, xerr=spread, ecolor=INK, capsize=3)
        axes.set_yticks(range(len(shown)), names)
        axes.axvline(1, color=INK, linestyle="--", linewidth=1)
        axes.set_xlabel("share of what it should at most be (dashed); shorter is better; lines: min and max")
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_xlim(left=0)
        drawing.savefig(PICTURE, transparent=True, bbox_inches="tight", metadata={"Date": None})
        plt.close(drawing)
    PICTURE.write_text("\n".join(line.rstrip() for line in PICTURE.read_text().splitlines()) + "\n")
