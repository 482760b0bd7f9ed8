"""What the doors hand out: `Rows` to read, `Transaction` to write, both on behalf of one caller."""

import contextlib
import secrets
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, LiteralString, TypeVar

from google.protobuf.message import Message
from opentelemetry import trace
from psycopg import Error

from verbund.database.exchange import Link, Result, Statement, exchange
from verbund.evidence.leaf import Leaf
from verbund.serving.call import Call
from verbund.serving.refusals import Answered, Invalid, Violation

Answer = TypeVar("Answer", bound=Message)
MARGIN_SECONDS = 0.05  # of a call's time, for the way back

# Local to the transaction, so a pooled connection never carries one caller's organisation to the next.
SET_CALLER = (
    "SELECT set_config('verbund.organisation', %(organisation)s, true),"
    " set_config('verbund.operator', %(operator)s, true), set_config('statement_timeout', %(milliseconds)s, true)"
)
# Waits for a transaction that holds the same key, then finds its answer.
CLAIM_REQUEST = """
    INSERT INTO {schema}.idempotency (organisation, caller, method, request_id, request_digest)
    VALUES (%(organisation)s, %(caller)s, %(method)s, %(request_id)s, %(request_digest)s)
    ON CONFLICT DO NOTHING RETURNING request_id
"""
FIND_ANSWER = """
    SELECT request_digest, answer FROM {schema}.idempotency
    WHERE organisation = %(organisation)s AND caller = %(caller)s AND method = %(method)s
    AND request_id = %(request_id)s
"""
STORE_ANSWER = """
    UPDATE {schema}.idempotency SET answer = %(answer)s
    WHERE organisation = %(organisation)s AND caller = %(caller)s AND method = %(method)s
    AND request_id = %(request_id)s
"""
INTEND = "SELECT evidence.intend(%(leaf)s, %(salt)s, %(trace_id)s)"
NOTIFY = "SELECT pg_notify(%(channel)s, %(payload)s)"


class Rows:
    """Reads on behalf of one caller; what one method runs is one implicit transaction and one round trip."""

    def __init__(self, link: Link, call: Call, tracer: trace.Tracer) -> None:
        self._link = link
        self._call = call
        self._tracer = tracer

    def one(self, statement: LiteralString, **parameters: Any) -> dict[str, Any] | None:
        """The first row, or None."""
        return self._run([statement], parameters)[0].one()

    def each(self, *statements: LiteralString, **parameters: Any) -> list[dict[str, Any] | None]:
        """The first row of each statement, or None, in one round trip; each sees what was written before it ran."""
        return [result.one() for result in self._run(statements, parameters)]

    def all(self, statement: LiteralString, **parameters: Any) -> list[dict[str, Any]]:
        """Every row; the statement bounds how many."""
        return self._run([statement], parameters)[0].all()

    def _run(self, statements: Sequence[LiteralString], parameters: dict[str, Any]) -> list[Result]:
        asked = [(statement, parameters) for statement in statements]
        return self._exchange(statements[-1], (SET_CALLER, caller_of(self._call)), *asked)[1:]

    def _exchange(self, traced: str, *statements: Statement) -> list[Result]:
        """One round trip, under a span that shows the statement it is made for."""
        seconds = max(0.0, self._call.remaining_seconds())
        with spanned(self._tracer, traced):
            return exchange(self._link, statements, seconds_max=seconds)


class Transaction(Rows):
    """Reads and writes that commit together, with the answer under the `request_id` and the evidence intents."""

    def __init__(self, link: Link, call: Call, tracer: trace.Tracer, *, schema: str) -> None:
        super().__init__(link, call, tracer)
        self._schema = schema
        self._answer: bytes | None = None
        self._last: list[Statement] = []

    def execute(self, statement: LiteralString, **parameters: Any) -> int:
        """Runs a statement and tells how many rows it touched."""
        return self._run([statement], parameters)[0].count

    def locked(self, lock: LiteralString, statement: LiteralString, **parameters: Any) -> dict[str, Any] | None:
        """The first row of a statement that runs behind a lock, in its round trip; None where there is nothing to lock.

        A statement of its own sees everything that was written by those whom the lock had to wait for.
        """
        held, found = self.each(lock, statement, **parameters)
        return None if held is None else found

    def last(self, statement: LiteralString, **parameters: Any) -> None:
        """Runs a statement with the commit, in its round trip: one that leaves nothing to read or decide."""
        self._last.append((statement, parameters))

    def answer(self, message: Answer) -> Answer:
        """Keeps `message` as the answer to this request for 48 hours, and hands it back."""
        self._answer = message.SerializeToString(deterministic=True)
        return message

    def intend(self, kind: str, subject: str, digest: bytes, parties: Sequence[str]) -> None:
        """Commits, with this transaction, that a leaf of the evidence log is owed: see `evidence/v1/leaf.proto`."""
        salt = secrets.token_bytes(16)
        leaf = Leaf.of(kind, subject, digest, parties, salt=salt, time=datetime.now(UTC))
        self.last(INTEND, leaf=leaf.canonical(), salt=salt, trace_id=self._call.trace_id)

    def notify(self, channel: str, payload: str = "") -> None:
        """Wakes those who listen on `channel`, when the transaction commits."""
        self.last(NOTIFY, channel=channel, payload=payload)

    def begin(self) -> None:
        """Opens the transaction, names the caller and claims the `request_id`, in one round trip; raises Answered."""
        statements: list[Statement] = [("BEGIN", {}), (SET_CALLER, caller_of(self._call))]
        if not self._call.request_id:
            self._exchange("BEGIN", *statements)
            return
        claim = (CLAIM_REQUEST.format(schema=self._schema), self._key())
        if self._exchange("BEGIN", *statements, claim)[-1].one() is None:
            self._raise_answered()

    def commit(self) -> None:
        """Runs what was kept for the end, stores the answer and commits, in one round trip."""
        statements = list(self._last)
        if self._call.request_id and self._answer is not None:
            store = STORE_ANSWER.format(schema=self._schema)
            statements.append((store, self._key() | {"answer": self._answer}))
        self._exchange("COMMIT", *statements, ("COMMIT", {}))

    def _run(self, statements: Sequence[LiteralString], parameters: dict[str, Any]) -> list[Result]:
        return self._exchange(statements[-1], *[(statement, parameters) for statement in statements])

    def _raise_answered(self) -> None:
        """The request was made before: gives the same answer to the same request, and refuses another one."""
        find = FIND_ANSWER.format(schema=self._schema)
        found = self._exchange(find, (find, self._key()))[0].one()
        if found is None or found["answer"] is None or bytes(found["request_digest"]) != self._call.request_digest:
            reused = Violation("request_id", "was used for another request")
            raise Invalid(reused, reason="REQUEST_ID_REUSED")
        raise Answered(bytes(found["answer"]))

    def _key(self) -> dict[str, Any]:
        """What a repetition is recognised by."""
        return {
            "organisation": self._call.organisation,
            "caller": self._call.principal.subject,
            "method": self._call.method,
            "request_id": self._call.request_id,
            "request_digest": self._call.request_digest,
        }


def caller_of(call: Call) -> dict[str, Any]:
    """The parameters of SET_CALLER.

    PostgreSQL gives up a little before the call's deadline, so that the caller hears why. A deadline that has passed
    leaves one millisecond: zero would mean none.
    """
    seconds = call.remaining_seconds() - MARGIN_SECONDS
    return {
        "organisation": call.organisation,
        "operator": "true" if call.principal.is_operator else "false",
        "milliseconds": str(max(1, int(seconds * 1000))),
    }


@contextlib.contextmanager
def spanned(tracer: trace.Tracer, statement: str) -> Iterator[None]:
    """A span of one statement where the call is traced. Its text has no values: they are parameters."""
    if not trace.get_current_span().is_recording():
        yield
        return
    operation = statement.split(None, 1)[0].upper()
    attributes = {
        "db.system.name": "postgresql",
        "db.operation.name": operation,
        "db.query.text": " ".join(statement.split()),
    }
    with tracer.start_as_current_span(
        f"postgresql {operation}",
        kind=trace.SpanKind.CLIENT,
        attributes=attributes,
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        try:
            yield
        except Error as error:  # its text may hold values: only its code goes into the span
            span.set_attribute("error.type", error.sqlstate or type(error).__name__)
            span.set_status(trace.StatusCode.ERROR)
            raise
