"""The trace of the delivery, whole from the gateway to the row, and those of its later steps."""

import os
import time

from verbund.embedded.home import Home
from verbund.failure import Failure
from verbund.tour.steps import StepFailed, Told
from verbund.traces import drawing
from verbund.traces.commands import awaited
from verbund.traces.reader import NoTraces, Reader
from verbund.traces.tree import Tree, tree_of

WAIT_SECONDS = 15.0
LOOK_SECONDS = 0.1
LATER_STEPS = 4  # the upload, the submission, the claim, the acceptance
ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


def show(home: Home, trace_id: str) -> Told[None]:
    """Draws the trace and those linked to it; where the operator sends traces elsewhere, says so."""
    elsewhere = next((os.environ[name] for name in ENDPOINTS if os.environ.get(name)), None)
    if elsewhere and "traces.grpc.sock" not in elsewhere:
        return Told(f"The delivery's trace is at {elsewhere}: {trace_id}.", None, {"trace": trace_id})
    try:
        with Reader(home.traces) as reader:
            first = awaited(reader, trace_id, WAIT_SECONDS, enough=lambda tree: not broken(tree))
            later = linked(reader, first)
    except (NoTraces, Failure) as error:
        remedy = (
            f"see {home.log / 'traces.log'}; or set OTEL_EXPORTER_OTLP_ENDPOINT, where the mesh sends them elsewhere"
        )
        raise StepFailed(f"The delivery's trace is missing: {error}", remedy) from error
    amiss = [promise for tree in (first, *later) for promise in broken(tree)]
    if amiss or len(later) < LATER_STEPS:
        remedy = f"see `verbund trace {first.trace_id}`, and the logs in {home.log}"
        told = "; ".join(amiss) or f"only {len(later)} later steps are linked to it"
        raise StepFailed(f"The delivery's trace does not keep its promise: {told}.", remedy)
    line = f"The delivery's trace, from the gateway to the row, and the {len(later)} later steps linked to it."
    facts = {"trace": trace_id, **drawing.story_document(first, later)}
    drawn = "\n".join(drawing.story(first, later))
    return Told(line, None, facts, drawn.splitlines())


def linked(reader: Reader, first: Tree) -> list[Tree]:
    """The traces of the later steps, when all have arrived or the time is over."""
    end = time.monotonic() + WAIT_SECONDS
    while True:
        later = [tree_of(reader.trace(trace_id)) for trace_id in reader.linked(first.trace_id)]
        arrived = len(later) >= LATER_STEPS and not any(broken(tree) for tree in later)
        if arrived or time.monotonic() > end:
            return later
        time.sleep(LOOK_SECONDS)


def broken(tree: Tree) -> list[str]:
    """What a trace does not keep of its promise to lead from the gateway through the exchange to SQL."""
    root = tree.roots[0].span
    promises = {
        "it has one root, and no gap": tree.whole,
        "it begins at the gateway": root is not None and root.service == "gateway",
        "it passes the exchange": "exchange" in tree.services,
        "it ends in SQL": any("db.system.name" in span.attributes for span in tree.spans),
    }
    return [promise for promise, kept in promises.items() if not kept]
