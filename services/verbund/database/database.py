"""The two doors to PostgreSQL: `database.read(call)` and `database.transaction(call)`.

Both tell PostgreSQL on whose behalf they act before any statement runs, so that row-level security holds whatever the
statement says. Driver errors become refusals here and nowhere else.
"""

import contextlib
import time
from collections.abc import Generator, Iterator
from typing import Any

import psycopg
import psycopg.conninfo
from opentelemetry import trace
from psycopg import sql
from psycopg_pool import ConnectionPool, PoolTimeout

from verbund.database.exchange import Link
from verbund.database.rows import Rows, Transaction
from verbund.database.translation import refusal_of
from verbund.serving.call import Call
from verbund.serving.refusals import Late

WAIT_SECONDS_MAX = 2.0  # for a connection; longer than that means that PostgreSQL is down or we are overrun
RECONNECT_SECONDS = 0.5


class Database:
    """The database as one role of one service sees it. Thread-safe."""

    def __init__(self, dsn: str, *, role: str, schema: str, pool_size: int = 16) -> None:
        self._schema = schema
        self._tracer = trace.get_tracer("verbund.database")
        self._dsn = psycopg.conninfo.make_conninfo(dsn, user=role, application_name=role)
        self._pool = ConnectionPool(
            self._dsn,
            connection_class=Link,
            kwargs={"autocommit": True, "connect_timeout": 2},
            min_size=1,
            max_size=pool_size,
            timeout=WAIT_SECONDS_MAX,
            max_waiting=pool_size * 16,
            reconnect_timeout=WAIT_SECONDS_MAX,
            name=role,
            open=True,
        )
        self._lost = 0.0  # when a connection last broke

    def close(self) -> None:
        """Closes every connection."""
        self._pool.close(timeout=WAIT_SECONDS_MAX)

    def ready(self) -> bool:
        """Whether PostgreSQL answers."""
        try:
            with self._pool.connection(timeout=WAIT_SECONDS_MAX) as connection:
                connection.execute("SELECT 1")
        except (psycopg.Error, PoolTimeout):
            return False
        return True

    @contextlib.contextmanager
    def read(self, call: Call) -> Iterator[Rows]:
        """Statements that change nothing, each one implicit transaction and one round trip."""
        with self._connection(call) as connection:
            yield Rows(connection, call, self._tracer)

    @contextlib.contextmanager
    def transaction(self, call: Call) -> Iterator[Transaction]:
        """Statements that commit together; raises Answered where the call's `request_id` was answered before."""
        with self._connection(call) as connection:
            transaction = Transaction(connection, call, self._tracer, schema=self._schema)
            try:
                transaction.begin()
                yield transaction
                transaction.commit()
            except BaseException:
                with contextlib.suppress(psycopg.Error):  # a connection that cannot roll back is closed by the pool
                    connection.execute("ROLLBACK")
                raise

    def listen(self, channel: str, *, wait_seconds: float) -> Generator[None]:
        """Yields when listening stands, at every NOTIFY on `channel` and at least every `wait_seconds`; never ends.

        It reconnects by itself and yields then too, so whoever reads after each yield misses nothing.
        """
        while True:
            try:
                with psycopg.Connection[Any].connect(self._dsn, autocommit=True, connect_timeout=2) as connection:
                    connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
                    yield
                    while True:
                        for _ in connection.notifies(timeout=wait_seconds, stop_after=1):
                            pass
                        yield
            except psycopg.Error:
                time.sleep(RECONNECT_SECONDS)

    @contextlib.contextmanager
    def _connection(self, call: Call) -> Iterator[Link]:
        """A pooled connection for one call; what the driver raises becomes a refusal."""
        remaining = call.remaining_seconds()
        if remaining <= 0:
            raise Late
        try:
            # Not the pool's context manager, which would commit or roll back: the doors did.
            connection = self._take(min(remaining, WAIT_SECONDS_MAX))
            try:
                yield connection
            finally:
                self._pool.putconn(connection)
        except (psycopg.Error, PoolTimeout) as error:
            if isinstance(error, psycopg.OperationalError) and connection_lost(error):
                self._lost = time.monotonic()  # the other idle connections may be as dead as this one
            refusal = refusal_of(error, call)
            raise refusal from (None if refusal is error else error)

    def _take(self, seconds: float) -> Link:
        """A connection of the pool; after one broke, those that died with it are thrown away.

        They are looked at and never asked: a PostgreSQL that hangs would not answer.
        """
        while True:  # each turn makes the pool smaller, and an empty one makes a connection or raises
            link = self._pool.getconn(timeout=seconds)
            if link.sound_since >= self._lost:
                return link
            if not link.ended():
                link.sound_since = time.monotonic()
                return link
            link.close()
            self._pool.putconn(link)


def connection_lost(error: psycopg.OperationalError) -> bool:
    """Whether the connection itself broke: the server gave no SQLSTATE, or one of class 57P (operator intervention)."""
    return error.sqlstate is None or error.sqlstate.startswith("57P")
