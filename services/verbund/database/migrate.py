"""Numbered migrations, area by area, under an advisory lock.

`NNNN_pre_name.sql` runs before new code is started, and old code goes on with what it leaves; `NNNN_post_name.sql` runs
when no old code is left. Each file is one transaction as the area's owner, recorded with its SHA-256: a file that was
changed after it ran is refused.
"""

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import psycopg
from psycopg import sql

# In the order of their dependencies: every area may call evidence.intend.
AREAS = ("evidence", "identity", "exchange", "registry")
EXTENSIONS = ("pg_trgm", "unaccent")  # of PostgreSQL's own contrib; in the schema public, where every role finds them
LOCK = 7_236_501  # one migration at a time in one database
LOCK_TIMEOUT = "5s"  # a lock that is not to be had must not queue everybody behind us
STATEMENT_TIMEOUT = "15min"
CONNECT_SECONDS_MAX = 2
FILE_NAME = re.compile(r"(\d{4})_(pre|post)_([a-z0-9_]+)\.sql")


class MigrationError(Exception):
    """A migration cannot run. The message says which, and why."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file."""

    area: str
    number: int
    phase: str
    name: str
    text: str

    @property
    def digest(self) -> str:
        """The SHA-256 of the file, in hexadecimal digits."""
        return hashlib.sha256(self.text.encode()).hexdigest()


@cache  # `verbund up` reads them before it gives up the rights that reading them may take
def migrations_of(area: str) -> tuple[Migration, ...]:
    """The files of an area, by number; raises MigrationError where names or numbers are amiss."""
    found = []
    directory = files(f"verbund.{area}").joinpath("migrations")
    for entry in directory.iterdir() if directory.is_dir() else ():
        if not entry.name.endswith(".sql"):
            continue
        match = FILE_NAME.fullmatch(entry.name)
        if not match:
            raise MigrationError(f"{area}/migrations/{entry.name} is not named NNNN_pre_name.sql or NNNN_post_name.sql")
        found.append(Migration(area, int(match[1]), match[2], match[3], entry.read_text()))
    found.sort(key=lambda migration: migration.number)
    if [migration.number for migration in found] != list(range(1, len(found) + 1)):
        raise MigrationError(f"the migrations of {area} are not numbered 0001, 0002, … without a gap")
    return tuple(found)


def migrate(
    dsn: str, *, phases: tuple[str, ...] = ("pre", "post"), report: Callable[[Migration], None] = lambda _: None
) -> int:
    """Runs what has not run yet, and tells how many files that were. `dsn` names a role that may create roles."""
    with psycopg.connect(dsn, autocommit=True, application_name="verbund-migrate") as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", (LOCK,))
        for extension in EXTENSIONS:
            connection.execute(sql.SQL("CREATE EXTENSION IF NOT EXISTS {}").format(sql.Identifier(extension)))
        for area in AREAS:
            prepare(connection, area)
        connection.execute(
            "CREATE TABLE IF NOT EXISTS public.migrations (area text, number int, name text NOT NULL,"
            " digest text NOT NULL, run_time timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (area, number))"
        )
        connection.execute("REVOKE ALL ON public.migrations FROM PUBLIC")
        count = 0
        for migration in pending(connection, phases):
            run(connection, migration)
            report(migration)
            count += 1
        for area in AREAS[1:]:
            allow_intents(connection, area)
        return count


def outstanding(dsn: str) -> list[Migration]:
    """The files that have not run yet, looked at only; raises MigrationError where a run one was changed."""
    with psycopg.connect(dsn, autocommit=True, connect_timeout=CONNECT_SECONDS_MAX) as connection:
        connection.execute("SET default_transaction_read_only = on")
        return list(pending(connection, ("pre", "post")))


def prepare(connection: psycopg.Connection[Any], area: str) -> None:
    """Makes the area's schema and its roles: the owner changes the schema, the service works in it, jobs sweep it."""
    for role, login in ((f"{area}_owner", "NOLOGIN"), (f"{area}_service", "LOGIN"), (f"{area}_jobs", "LOGIN")):
        if connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,)).fetchone() is None:
            connection.execute(sql.SQL("CREATE ROLE {} {}").format(sql.Identifier(role), sql.SQL(login)))
    names = {kind: sql.Identifier(f"{area}_{kind}") for kind in ("owner", "service", "jobs")}
    for statement in (
        "GRANT {owner} TO CURRENT_USER",
        "CREATE SCHEMA IF NOT EXISTS {schema} AUTHORIZATION {owner}",
        "GRANT USAGE ON SCHEMA {schema} TO {service}, {jobs}",
        "ALTER ROLE {service} SET search_path = {schema}, public",
        "ALTER ROLE {jobs} SET search_path = {schema}, public",
    ):
        connection.execute(sql.SQL(statement).format(schema=sql.Identifier(area), **names))


def pending(connection: psycopg.Connection[Any], phases: tuple[str, ...]) -> Iterator[Migration]:
    """The files that have not run yet, up to the first of another phase; raises MigrationError where a run one was
    changed.
    """
    for area in AREAS:
        done = dict(
            connection.execute("SELECT number, digest FROM public.migrations WHERE area = %s", (area,)).fetchall()
        )
        for migration in migrations_of(area):
            if migration.number in done:
                if done[migration.number] != migration.digest:
                    raise MigrationError(
                        f"{area}/migrations/{migration.number:04} was changed after it ran; write a new one"
                    )
            elif migration.phase in phases:
                yield migration
            else:
                break


def run(connection: psycopg.Connection[Any], migration: Migration) -> None:
    """Runs one file as its area's owner, and records it, in one transaction."""
    with connection.transaction():
        connection.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(LOCK_TIMEOUT))
        connection.execute(sql.SQL("SET LOCAL statement_timeout = {}").format(STATEMENT_TIMEOUT))
        connection.execute(sql.SQL("SET LOCAL search_path = {}, public").format(sql.Identifier(migration.area)))
        connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(f"{migration.area}_owner")))
        try:
            connection.execute(migration.text.encode())
        except psycopg.Error as error:
            raise MigrationError(
                f"{migration.area}/{migration.number:04}_{migration.phase}_{migration.name}: {error}"
            ) from error
        connection.execute("RESET ROLE")
        connection.execute(
            "INSERT INTO public.migrations (area, number, name, digest) VALUES (%s, %s, %s, %s)",
            (migration.area, migration.number, migration.name, migration.digest),
        )


def allow_intents(connection: psycopg.Connection[Any], area: str) -> None:
    """Lets an area's service and jobs commit evidence intents: the one crossing between schemas."""
    for kind in ("service", "jobs"):
        role = sql.Identifier(f"{area}_{kind}")
        connection.execute(sql.SQL("GRANT USAGE ON SCHEMA evidence TO {}").format(role))
        connection.execute(sql.SQL("GRANT EXECUTE ON FUNCTION evidence.intend(bytea, bytea, text) TO {}").format(role))
