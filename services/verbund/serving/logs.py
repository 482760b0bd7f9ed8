"""Log lines: one JSON object a line, with trace and span id, and never a secret."""

import functools
import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import orjson
import structlog
from opentelemetry import trace
from structlog.tracebacks import ExceptionDictTransformer

SECRET = ("token", "secret", "password", "authorization", "assertion", "cookie", "private", "jwk")
HIDDEN = "[hidden]"


def configure(*, area: str) -> None:
    """Sends structlog's and the standard library's lines to standard output, as JSON."""
    structlog.configure(
        processors=[
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            add_trace,
            hide_secrets,
            structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False)),
            shorten_causes,
            structlog.processors.JSONRenderer(serializer=lambda line, **_: orjson.dumps(line, default=str)),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.BytesLoggerFactory(sys.stdout.buffer),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.clear_contextvars()
    logging.basicConfig(handlers=[Forward(area)], level=logging.WARNING, force=True)


class Forward(logging.Handler):
    """Lines of libraries, in the same form."""

    def __init__(self, area: str) -> None:
        super().__init__()
        self._log = structlog.get_logger("library").bind(area=area)

    def emit(self, record: logging.LogRecord) -> None:
        """Writes one record; a library's own arguments may hold anything, so only its text is kept."""
        self._log.log(record.levelno, record.getMessage(), logger=record.name, exc_info=record.exc_info)


def add_trace(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Adds the ids of the current span, where the line does not name them."""
    if "trace_id" not in line:
        context = trace.get_current_span().get_span_context()
        if context.is_valid:
            line["trace_id"] = f"{context.trace_id:032x}"
            line["span_id"] = f"{context.span_id:016x}"
    return line


def hide_secrets(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Hides values under names that mean a secret: the last net under code that should not log them at all."""
    for key in line:
        if is_secret(key):
            line[key] = HIDDEN
    return line


@functools.lru_cache(maxsize=1024)
def is_secret(name: str) -> bool:
    """Whether a name means a secret; names are few, and lines are many."""
    return any(word in name for word in SECRET)


def shorten_causes(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Keeps the first line of what an exception says: PostgreSQL's next ones name the values of rows."""
    found = line.get("exception")
    for cause in found if isinstance(found, list) else ():
        cause["exc_value"] = cause["exc_value"].split("\n", 1)[0]
    return line
