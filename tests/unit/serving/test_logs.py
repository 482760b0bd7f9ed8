"""Log lines are JSON with the trace's ids, and hold no secret."""

import json
import subprocess
import sys

PROGRAM = """
import logging, structlog
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from verbund.serving import logs
logs.configure(area="test")
log = structlog.get_logger("x")
with TracerProvider().get_tracer("t").start_as_current_span("s"):
    log.info("inside", token="very-secret", client_assertion="very-secret", count=1)
try:
    password = "very-secret"
    raise ValueError("wrong\\nDETAIL:  Key (name)=(very-secret) already exists.")
except ValueError:
    log.exception("failed")
logging.getLogger("some.library").warning("careful %s", "now")
"""


def test_a_line_is_json_with_its_trace_and_without_secrets() -> None:
    """Also a library's lines, and those of an exception, whose local variables stay out."""
    written = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True).stdout
    inside, failed, library = (json.loads(line) for line in written.splitlines())
    assert (inside["event"], inside["count"], len(inside["trace_id"]), len(inside["span_id"])) == ("inside", 1, 32, 16)
    assert (failed["event"], failed["level"]) == ("failed", "error")
    assert "ValueError" in json.dumps(failed)
    assert (library["event"], library["logger"]) == ("careful now", "some.library")
    assert "very-secret" not in written
