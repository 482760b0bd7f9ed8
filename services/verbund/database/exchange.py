"""One round trip to PostgreSQL: several statements sent together, their results read together.

This is libpq's pipeline mode through psycopg's own binding of it; psycopg adapts the values. Its high-level pipeline
does the same at five times the CPU, which was a fifth of a call (docs/performance.md). What is sent between two
transactions is one implicit transaction: it commits as a whole, or not at all.
"""

import functools
import itertools
import re
import select
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import abc, errors
from psycopg.adapt import PyFormat, Transformer
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGconn, PGresult

PREPARED_MAX = 500  # statements that one connection keeps; the parameters' types are part of one
GRACE_SECONDS = 1.0  # PostgreSQL ends a late statement itself; who does not answer after that is gone
PARAMETER = re.compile(r"%\((\w+)\)s|%%")

Statement = tuple[str, dict[str, Any]]


class Link(psycopg.Connection[Any]):
    """A connection that remembers what it has prepared."""

    def __init__(self, pgconn: PGconn, *args: Any, **kwargs: Any) -> None:
        super().__init__(pgconn, *args, **kwargs)
        self.prepared: dict[tuple[str, tuple[int, ...]], bytes] = {}
        self.names = itertools.count()
        self.sound_since = time.monotonic()  # when it was made, or last found alive
        self._readable = select.poll()
        self._readable.register(pgconn.socket, select.POLLIN)

    def ended(self) -> bool:
        """Whether the server has ended it while it was idle: on such a connection it says nothing but its farewell."""
        return bool(self._readable.poll(0))

    def read(self, deadline: float) -> None:
        """Waits for the server and takes in what it says; raises OperationalError where it says nothing in time."""
        if not self._readable.poll(max(0.0, deadline - time.monotonic()) * 1000):
            raise psycopg.OperationalError("PostgreSQL did not answer in time")
        self.pgconn.consume_input()


@dataclass(frozen=True, slots=True)
class Command:
    """What was sent: a statement with what adapts its values, the preparation of one, or neither."""

    transformer: abc.Transformer | None = None
    prepared: tuple[tuple[str, tuple[int, ...]], bytes] | None = None


class Result:
    """What one statement answered."""

    def __init__(self, transformer: abc.Transformer, result: PGresult) -> None:
        self._transformer = transformer
        self._result = result
        transformer.set_pgresult(result)

    def one(self) -> dict[str, Any] | None:
        """The first row, or None."""
        found = self.all(limit=1)
        return found[0] if found else None

    def all(self, *, limit: int | None = None) -> list[dict[str, Any]]:
        """Every row, by the names of its columns."""
        result = self._result
        names = [(result.fname(column) or b"").decode() for column in range(result.nfields)]
        count = result.ntuples if limit is None else min(limit, result.ntuples)
        return self._transformer.load_rows(0, count, lambda values: dict(zip(names, values, strict=True)))

    @property
    def count(self) -> int:
        """How many rows the statement touched."""
        return self._result.command_tuples or 0


def exchange(link: Link, statements: Sequence[Statement], *, seconds_max: float) -> list[Result]:
    """Runs the statements in order, in one round trip; raises the error of the first that failed."""
    pgconn = link.pgconn
    pgconn.enter_pipeline_mode()
    try:
        sent = [command for statement in statements for command in send(link, statement)]
        pgconn.pipeline_sync()
        received = receive(link, time.monotonic() + seconds_max + GRACE_SECONDS)
        pgconn.exit_pipeline_mode()
    except BaseException:
        link.close()  # half an exchange: nobody can tell what comes next on this connection
        raise
    return settle(link, sent, received)


def send(link: Link, statement: Statement) -> Iterator[Command]:
    """Sends one statement, prepared where this connection has not yet seen it with parameters of these types."""
    text, parameters = statement
    compiled, names = compile_statement(text)
    transformer = Transformer(link)
    values = [parameters[name] for name in names]
    dumped = transformer.dump_sequence(values, [PyFormat.AUTO] * len(values)) if values else ()
    types = transformer.types or ()
    key = (text, tuple(types))
    name = link.prepared.get(key)
    if name is None:
        if len(link.prepared) >= PREPARED_MAX:
            link.prepared.clear()
            link.pgconn.send_query_params(b"DEALLOCATE ALL", None)
            yield Command()
        name = b"v%d" % next(link.names)
        link.pgconn.send_prepare(name, compiled, types)
        yield Command(prepared=(key, name))
    link.pgconn.send_query_prepared(name, dumped, transformer.formats)
    yield Command(transformer=transformer)


def settle(link: Link, sent: Sequence[Command], received: Sequence[PGresult]) -> list[Result]:
    """The statements' results, in order; remembers what was prepared, and raises the first error."""
    answers = []
    for command, result in zip(sent, received, strict=False):  # after an error the rest was not carried out
        if result.status == ExecStatus.FATAL_ERROR:
            error = errors.error_from_result(result)
            if isinstance(error, (errors.FeatureNotSupported, errors.InvalidSqlStatementName)):
                link.close()  # the schema has outgrown a plan, or somebody took our statements away
            raise error
        if command.prepared is not None:
            key, name = command.prepared
            link.prepared[key] = name
        elif command.transformer is not None:
            answers.append(Result(command.transformer, result))
    return answers


@functools.lru_cache(maxsize=PREPARED_MAX)  # filters of lists are statements without end
def compile_statement(text: str) -> tuple[bytes, tuple[str, ...]]:
    """The statement with `$1` for `%(name)s`, and the parameters' names in that order."""
    names: list[str] = []

    def number(match: re.Match[str]) -> str:
        if match[0] == "%%":
            return "%"
        name = match[1]
        if name not in names:
            names.append(name)
        return f"${names.index(name) + 1}"

    return PARAMETER.sub(number, text).encode(), tuple(names)


def receive(link: Link, deadline: float) -> list[PGresult]:
    """The results up to the end of the pipeline; raises OperationalError where the server is gone."""
    pgconn = link.pgconn
    results: list[PGresult] = []
    if flush(pgconn, deadline):
        link.read(deadline)  # nothing was read yet: there is more to come
    while True:
        while pgconn.is_busy():
            link.read(deadline)
        result = pgconn.get_result()
        if result is None:
            continue
        if result.status == ExecStatus.PIPELINE_SYNC:
            return results
        if result.status != ExecStatus.PIPELINE_ABORTED:
            results.append(result)
        pgconn.get_result()  # None: a statement has one result; nothing is waited for


def flush(pgconn: PGconn, deadline: float) -> bool:
    """Sends what is queued, reading what comes meanwhile, so that neither side waits for the other for ever.

    Whether nothing was read: what goes in one piece is not answered before.
    """
    if not pgconn.flush():
        return True
    waiting = select.poll()
    waiting.register(pgconn.socket, select.POLLIN | select.POLLOUT)
    while pgconn.flush():
        if not waiting.poll(max(0.0, deadline - time.monotonic()) * 1000):
            raise psycopg.OperationalError("PostgreSQL did not take the statement in time")
        pgconn.consume_input()
    return False
