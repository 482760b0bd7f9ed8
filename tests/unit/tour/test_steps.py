"""How the tour is told."""

import io
import json

import httpx
import pytest
from verbund.sdk.refusals import NotReady, TokenRefused
from verbund.tour.steps import Narrator, StepFailed, Told, TourEnded


class Clock:
    """Half a second passes with every look."""

    now = 0.0

    def __call__(self) -> float:
        self.now += 0.5
        return self.now


def narrator(out: io.StringIO, *, as_json: bool = False) -> Narrator:
    return Narrator(out, as_json=as_json, logs="/home/log", clock=Clock())


def test_a_step_is_one_line_with_its_time() -> None:
    """What happened and how long it took; details stand below."""
    out = io.StringIO()
    assert narrator(out).step("find", lambda: Told("It is found.", 7, below=["source: x"])) == 7
    assert out.getvalue() == "1. It is found. (500 ms)\n     source: x\n"


@pytest.mark.parametrize(
    ("error", "what", "remedy"),
    [
        (StepFailed("It is not found.", "look again"), "It is not found.", "look again"),
        (NotReady("no mesh"), "no mesh", "verbund up"),
        (httpx.ConnectError("refused"), "refused", "verbund up"),
        (TokenRefused(401, "invalid_client", ""), "invalid_client", "/home/log"),
        (ZeroDivisionError("x"), "ZeroDivisionError: x", "/home/log"),
    ],
)
def test_a_failed_step_says_the_way_out_and_ends_the_tour(error: Exception, what: str, remedy: str) -> None:
    """Whatever it was; the person is told what to do."""
    out = io.StringIO()

    def fail() -> Told[None]:
        raise error

    with pytest.raises(TourEnded):
        narrator(out).step("find", fail)
    first, second = out.getvalue().splitlines()
    assert first.startswith("1. FAILED: ")
    assert what in first
    assert "The way out: " in second
    assert remedy in second


def test_json_has_every_step_with_its_ids() -> None:
    """One document at the end, also after a failure; nothing else is printed."""
    out = io.StringIO()
    told = narrator(out, as_json=True)
    told.step("find", lambda: Told("Found.", None, {"trace": "ab" * 16}))

    def fail() -> Told[None]:
        raise StepFailed("Not changed.", "ask the owner")

    with pytest.raises(TourEnded):
        told.step("change", fail)
    told.close()
    document = json.loads(out.getvalue())
    assert document["ok"] is False
    assert document["steps"] == [
        {"step": "find", "ok": True, "said": "Found.", "durationMs": 500.0, "trace": "ab" * 16},
        {"step": "change", "ok": False, "said": "Not changed.", "durationMs": 500.0, "remedy": "ask the owner"},
    ]
