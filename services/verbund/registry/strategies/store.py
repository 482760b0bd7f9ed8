"""The tables `strategies` and `measures`: one method, one visible statement."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import psycopg.errors as pg

from verbund.database.rows import Rows, Transaction
from verbund.registry.audience import EVERY_MEMBER
from verbund.registry.records import Record
from verbund.registry.strategies.domain import Measure, Strategy
from verbund.resources import pages
from verbund.resources.names import MeasureName, StrategyName
from verbund.serving.refusals import Absent, Exists, Stale, StateForbids

FIND_STRATEGY = "SELECT body, revision FROM registry.strategies WHERE name = %(name)s"
LOCK_STRATEGY = "SELECT body, revision FROM registry.strategies WHERE name = %(name)s FOR UPDATE"
LIST_STRATEGIES = """
    SELECT body, revision FROM (
        SELECT name, body, revision, sum(octet_length(body)) OVER (ORDER BY name) - octet_length(body) AS before
        FROM (
            SELECT name, body, revision FROM registry.strategies WHERE name > %(after)s ORDER BY name LIMIT %(size)s
        ) AS page
    ) AS measured
    WHERE before < %(bytes)s
    ORDER BY name
"""
INSERT_STRATEGY = """
    INSERT INTO registry.strategies (name, owner, revision, body) VALUES (%(name)s, %(owner)s, %(revision)s, %(body)s)
"""
UPDATE_STRATEGY = """
    UPDATE registry.strategies SET revision = %(revision)s, body = %(body)s
    WHERE name = %(name)s AND revision = %(revision_before)s
"""
DELETE_STRATEGY = "DELETE FROM registry.strategies WHERE name = %(name)s"

FIND_MEASURE = "SELECT body, revision FROM registry.measures WHERE name = %(name)s"
LOCK_MEASURE = "SELECT body, revision FROM registry.measures WHERE name = %(name)s FOR UPDATE"
LIST_MEASURES = """
    SELECT body, revision FROM (
        SELECT name, body, revision, sum(octet_length(body)) OVER (ORDER BY name) - octet_length(body) AS before
        FROM (
            SELECT name, body, revision FROM registry.measures WHERE strategy = %(strategy)s AND name > %(after)s
            ORDER BY name LIMIT %(size)s
        ) AS page
    ) AS measured
    WHERE before < %(bytes)s
    ORDER BY name
"""
INSERT_MEASURE = """
    INSERT INTO registry.measures (name, strategy, owner, revision, body)
    VALUES (%(name)s, %(strategy)s, %(owner)s, %(revision)s, %(body)s)
"""
UPDATE_MEASURE = """
    UPDATE registry.measures SET revision = %(revision)s, body = %(body)s
    WHERE name = %(name)s AND revision = %(revision_before)s
"""
DELETE_MEASURE = "DELETE FROM registry.measures WHERE name = %(name)s"


class StrategyStore:
    """Strategies in PostgreSQL."""

    def find(self, rows: Rows, name: StrategyName) -> Strategy:
        """A strategy; raises Absent."""
        return strategy_of(rows.one(FIND_STRATEGY, name=name), name)

    def lock(self, tx: Transaction, name: StrategyName) -> Strategy:
        """The same, locked until the transaction ends where the caller owns it: nobody locks another's row."""
        row = tx.one(LOCK_STRATEGY, name=name)
        return self.find(tx, name) if row is None else strategy_of(row, name)

    def list(self, rows: Rows, *, after: str, size: int) -> Sequence[Strategy]:
        """Strategies by name."""
        found = rows.all(LIST_STRATEGIES, after=after, size=size, bytes=pages.BYTES_MAX)
        return [strategy_of(row, "") for row in found]

    def insert(self, tx: Transaction, strategy: Strategy) -> None:
        """Records a strategy; raises Exists."""
        with constraints_refused(strategy):
            tx.execute(INSERT_STRATEGY, **columns_of(strategy))

    def save(self, tx: Transaction, before: Strategy, strategy: Strategy) -> None:
        """Stores a strategy's new form; raises Stale."""
        if tx.execute(UPDATE_STRATEGY, revision_before=before.revision, **columns_of(strategy)) != 1:
            raise Stale(strategy.name)

    def delete(self, tx: Transaction, strategy: Strategy) -> None:
        """Deletes a strategy; raises StateForbids where measures or projects name it."""
        with constraints_refused(strategy):
            if tx.execute(DELETE_STRATEGY, name=strategy.name) != 1:
                raise Stale(strategy.name)


class MeasureStore:
    """Measures in PostgreSQL."""

    def find(self, rows: Rows, name: MeasureName) -> Measure:
        """A measure; raises Absent."""
        return measure_of(rows.one(FIND_MEASURE, name=name), name)

    def lock(self, tx: Transaction, name: MeasureName) -> Measure:
        """The same, locked until the transaction ends where the caller owns it: nobody locks another's row."""
        row = tx.one(LOCK_MEASURE, name=name)
        return self.find(tx, name) if row is None else measure_of(row, name)

    def list(self, rows: Rows, strategy: StrategyName, *, after: str, size: int) -> Sequence[Measure]:
        """A strategy's measures by name."""
        found = rows.all(LIST_MEASURES, strategy=strategy, after=after, size=size, bytes=pages.BYTES_MAX)
        return [measure_of(row, "") for row in found]

    def insert(self, tx: Transaction, measure: Measure, strategy: Strategy) -> None:
        """Records a measure of a strategy; raises Exists, and Absent where the strategy was deleted meanwhile."""
        with constraints_refused(measure):
            tx.execute(INSERT_MEASURE, strategy=strategy.name, **columns_of(measure))

    def save(self, tx: Transaction, before: Measure, measure: Measure) -> None:
        """Stores a measure's new form; raises Stale."""
        if tx.execute(UPDATE_MEASURE, revision_before=before.revision, **columns_of(measure)) != 1:
            raise Stale(measure.name)

    def delete(self, tx: Transaction, measure: Measure) -> None:
        """Deletes a measure; raises StateForbids where projects name it."""
        with constraints_refused(measure):
            if tx.execute(DELETE_MEASURE, name=measure.name) != 1:
                raise Stale(measure.name)


@contextlib.contextmanager
def constraints_refused(record: Record[Any]) -> Iterator[None]:
    """The database decides races; what its constraints refuse is refused to the caller."""
    try:
        yield
    except (pg.UniqueViolation, pg.ForeignKeyViolation) as error:
        match error.diag.constraint_name:
            case "strategies_pkey" | "measures_pkey":
                raise Exists(record.name) from None
            case "measures_strategy_fkey" if isinstance(record, Measure):
                raise Absent(record.name.rpartition("/measures/")[0]) from None
            case "measures_strategy_fkey":
                raise StateForbids(record.name, type="HAS_MEASURES", description="It still has measures.") from None
            case "projects_strategy_fkey" | "projects_measure_fkey":
                raise StateForbids(record.name, type="HAS_PROJECTS", description="Projects still name it.") from None
        raise


def columns_of(record: Record[Any]) -> dict[str, Any]:
    """What is stored of a strategy or measure."""
    return {"name": record.name, "owner": record.owner, "revision": record.revision, "body": record.body}


def strategy_of(row: dict[str, Any] | None, name: str) -> Strategy:
    """A row as the domain has it; raises Absent where there is none."""
    if row is None:
        raise Absent(name)
    return Strategy(body=bytes(row["body"]), revision=row["revision"], audience=EVERY_MEMBER)


def measure_of(row: dict[str, Any] | None, name: str) -> Measure:
    """A row as the domain has it; raises Absent where there is none."""
    if row is None:
        raise Absent(name)
    return Measure(body=bytes(row["body"]), revision=row["revision"], audience=EVERY_MEMBER)
