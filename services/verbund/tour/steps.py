"""Telling the story: each step does one thing and says in one line what happened and how long it took."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TextIO, TypeVar

import grpc
import httpx

from verbund.sdk.refusals import NotReady, Refused, TokenRefused

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Told(Generic[Value]):
    """What a step did: the line that says so, what later steps need of it, ids for machines, and lines below."""

    line: str
    value: Value
    facts: Mapping[str, Any] = field(default_factory=dict)
    below: Sequence[str] = ()


class StepFailed(Exception):  # noqa: N818 - says what is the case
    """A step did not do what it is there for. `remedy` is the way out."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what)
        self.remedy = remedy


class TourEnded(Exception):  # noqa: N818 - says what is the case
    """A step failed and has been told; the tour ends here."""


class Narrator:
    """Prints the steps as they happen, or all of them as JSON at the end."""

    def __init__(
        self, out: TextIO, *, as_json: bool, logs: str, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._out = out
        self._as_json = as_json
        self._logs = logs
        self._clock = clock
        self._told: list[dict[str, Any]] = []

    def step(self, name: str, do: Callable[[], Told[Value]]) -> Value:
        """Does one step and returns its value; raises TourEnded where it fails."""
        begun = self._clock()
        try:
            told = do()
        except Exception as error:  # whatever it is, the person reads what happened and the way out
            what, remedy = explained(error, self._logs)
            self._note(name, what, begun, ok=False, facts={"remedy": remedy}, below=[f"The way out: {remedy}"])
            raise TourEnded from error
        self._note(name, told.line, begun, ok=True, facts=told.facts, below=told.below)
        return told.value

    def close(self) -> None:
        """Prints the JSON."""
        if self._as_json:
            ok = all(step["ok"] for step in self._told)
            print(json.dumps({"ok": ok, "steps": self._told}, ensure_ascii=False), file=self._out)

    def _note(
        self, name: str, line: str, begun: float, *, ok: bool, facts: Mapping[str, Any], below: Sequence[str]
    ) -> None:
        took = (self._clock() - begun) * 1000
        self._told.append({"step": name, "ok": ok, "said": line, "durationMs": round(took, 1), **facts})
        if self._as_json:
            return
        print(f"{len(self._told)}. {'' if ok else 'FAILED: '}{line} ({took:,.0f} ms)", file=self._out)
        for text in below:
            print(f"     {text}".rstrip(), file=self._out)
        self._out.flush()


def explained(error: Exception, logs: str) -> tuple[str, str]:
    """What happened, and the way out."""
    refused = Refused.from_rpc(error) if isinstance(error, grpc.RpcError) else error
    match refused:
        case StepFailed():
            return str(refused), refused.remedy
        case Refused():
            traced = refused.metadata.get("traceId")
            see = f"see `verbund trace {traced}`" if traced else f"see the logs in {logs}"
            return str(refused), f"{refused.remedy} {see}".strip()
        case TokenRefused():
            return str(refused), f"the key in the home and the mesh's database do not match; see {logs}"
        case NotReady() | httpx.TransportError() | OSError():
            return str(refused), f"start the mesh with `verbund up` and wait until it is ready; see {logs}"
    return f"{type(refused).__name__}: {refused}", f"this is a fault of the tour or the mesh; see {logs}"
