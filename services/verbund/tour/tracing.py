"""The trace of one of the tour's requests: whole, from the gateway to the row."""

import os

from verbund.embedded.home import Home
from verbund.failure import Failure
from verbund.tour.steps import StepFailed, Told
from verbund.traces import drawing
from verbund.traces.commands import awaited
from verbund.traces.reader import NoTraces, Reader
from verbund.traces.tree import Tree

WAIT_SECONDS = 15.0
ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


def show(home: Home, trace_id: str) -> Told[None]:
    """Draws the trace; where the operator sends traces elsewhere, says so."""
    elsewhere = next((os.environ[name] for name in ENDPOINTS if os.environ.get(name)), None)
    if elsewhere and "traces.grpc.sock" not in elsewhere:
        return Told(f"The trace of the JSON request is at {elsewhere}: {trace_id}.", None, {"trace": trace_id})
    try:
        with Reader(home.traces) as reader:
            tree = awaited(reader, trace_id, WAIT_SECONDS, enough=lambda tree: not broken(tree))
    except (NoTraces, Failure) as error:
        remedy = (
            f"see {home.log / 'traces.log'}; or set OTEL_EXPORTER_OTLP_ENDPOINT, where the mesh sends them elsewhere"
        )
        raise StepFailed(f"The trace of the JSON request is missing: {error}", remedy) from error
    if broken(tree):
        remedy = f"see `verbund trace {tree.trace_id}`, and the logs in {home.log}"
        raise StepFailed(f"The JSON request's trace does not keep its promise: {'; '.join(broken(tree))}.", remedy)
    services = " and ".join(tree.services)
    line = f"The JSON request's trace: {len(tree.spans)} spans through {services} to the row."
    return Told(line, None, {"trace": trace_id, "spans": drawing.document(tree)["spans"]}, list(drawing.lines(tree)))


def broken(tree: Tree) -> list[str]:
    """What the trace does not keep of its promise to lead from the gateway through the registry to SQL."""
    root = tree.roots[0].span
    promises = {
        "it has one root, and no gap": tree.whole,
        "it begins at the gateway": root is not None and root.service == "gateway",
        "it passes the registry": "registry" in tree.services,
        "it ends in SQL": any("db.system.name" in span.attributes for span in tree.spans),
    }
    return [promise for promise, kept in promises.items() if not kept]
