"""Migrations: numbered, guarded, and in sum what each area's schema.sql says."""

import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from verbund.database import migrate as module
from verbund.database.migrate import AREAS, Migration, MigrationError, migrate, prepare

from tests.support.postgres import Cluster


@pytest.fixture
def empty_dsn(postgres: Cluster) -> Iterator[str]:
    name = postgres.create(template="template0")
    yield postgres.dsn(name)
    postgres.drop(name)


def dump(postgres: Cluster, dsn: str, area: str) -> str:
    """The area's schema as PostgreSQL itself writes it, without what varies by run."""
    command = [str(postgres.binaries / "pg_dump"), "--schema-only", f"--schema={area}", dsn]
    written = subprocess.run(command, check=True, capture_output=True, text=True, **postgres.as_user()).stdout
    return "\n".join(line for line in written.splitlines() if not line.startswith(("--", "\\restrict", "\\unrestrict")))


@pytest.mark.parametrize("area", AREAS)
def test_the_migrations_sum_up_to_the_schema(postgres: Cluster, empty_dsn: str, area: str) -> None:
    """Whoever reads schema.sql reads what runs."""
    migrated = postgres.create(template="template")
    with psycopg.connect(empty_dsn, autocommit=True) as connection:
        for extension in module.EXTENSIONS:
            connection.execute(sql.SQL("CREATE EXTENSION IF NOT EXISTS {}").format(sql.Identifier(extension)))
        for each in AREAS[: AREAS.index(area) + 1]:
            prepare(connection, each)
        connection.execute(sql.SQL("SET search_path = {}, public").format(sql.Identifier(area)))
        connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(f"{area}_owner")))
        connection.execute(files(f"verbund.{area}").joinpath("schema.sql").read_bytes())
        connection.execute("RESET ROLE")
        if area != AREAS[0]:
            assert area  # evidence.intend is granted by migrate itself, in the evidence schema
        else:
            for each in AREAS[1:]:
                prepare(connection, each)
                module.allow_intents(connection, each)
    assert dump(postgres, empty_dsn, area) == dump(postgres, postgres.dsn(migrated), area)
    postgres.drop(migrated)


def test_a_second_run_does_nothing(postgres: Cluster, empty_dsn: str) -> None:
    """Migrating twice, or four times at once, runs each file once."""
    assert postgres
    with ThreadPoolExecutor(4) as pool:
        counts = list(pool.map(lambda _: migrate(empty_dsn), range(4)))
    assert sorted(counts)[:3] == [0, 0, 0]
    assert max(counts) >= len(AREAS)


def test_a_file_that_was_changed_after_it_ran_is_refused(
    postgres: Cluster, empty_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What ran stays what it was; a mistake is mended by a new file."""
    assert postgres
    migrate(empty_dsn)
    known = module.migrations_of

    def changed(area: str) -> list[Migration]:
        return [Migration(m.area, m.number, m.phase, m.name, m.text + "\n-- changed") for m in known(area)]

    monkeypatch.setattr(module, "migrations_of", changed)
    with pytest.raises(MigrationError, match="was changed after it ran"):
        migrate(empty_dsn)


def test_post_migrations_wait_until_asked_for(
    postgres: Cluster, empty_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`pre` stops before the first `post`, so that old code goes on; `post` then runs the rest in order."""
    assert postgres
    steps = [
        Migration("evidence", 1, "pre", "one", "CREATE TABLE one (id int)"),
        Migration("evidence", 2, "post", "two", "CREATE TABLE two (id int)"),
        Migration("evidence", 3, "pre", "three", "CREATE TABLE three (id int)"),
    ]
    monkeypatch.setattr(module, "AREAS", ("evidence",))
    monkeypatch.setattr(module, "migrations_of", lambda _: steps)
    assert migrate(empty_dsn, phases=("pre",)) == 1
    assert migrate(empty_dsn) == 2


def test_a_failing_file_leaves_nothing(postgres: Cluster, empty_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each file is one transaction, and its name is in the error."""
    assert postgres
    broken = [Migration("evidence", 1, "pre", "broken", "CREATE TABLE one (id int); SELECT nonsense")]
    monkeypatch.setattr(module, "AREAS", ("evidence",))
    monkeypatch.setattr(module, "migrations_of", lambda _: broken)
    with pytest.raises(MigrationError, match="evidence/0001_pre_broken"):
        migrate(empty_dsn)
    with psycopg.connect(empty_dsn) as connection:
        assert connection.execute("SELECT to_regclass('evidence.one')").fetchone() == (None,)


def test_an_areas_files_are_numbered_without_a_gap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gap means that somebody's file is missing."""
    directory = tmp_path / "migrations"
    directory.mkdir()
    (directory / "0002_pre_second.sql").write_text("SELECT 1")
    monkeypatch.setattr(module, "files", lambda _: tmp_path)
    module.migrations_of.cache_clear()  # what other tests read
    with pytest.raises(MigrationError, match="not numbered"):
        module.migrations_of("evidence")
    (directory / "second.sql").write_text("SELECT 1")
    with pytest.raises(MigrationError, match="not named"):
        module.migrations_of("evidence")


@pytest.mark.parametrize("area", AREAS[1:])
def test_every_table_is_closed_to_other_organisations(postgres: Cluster, area: str) -> None:
    """Row-level security is on and forced on every table with an organisation's data, and no service owns a table."""
    name = postgres.create(template="template")
    with psycopg.connect(postgres.dsn(name)) as connection:
        tables = connection.execute(
            "SELECT relname, relrowsecurity AND relforcerowsecurity, pg_get_userbyid(relowner) FROM pg_class"
            " WHERE relnamespace = %s::regnamespace AND relkind IN ('r', 'p')",
            (area,),
        ).fetchall()
        logins = connection.execute(
            "SELECT rolname FROM pg_roles WHERE rolname LIKE %s AND (rolbypassrls OR rolsuper)", (f"{area}%",)
        ).fetchall()
    postgres.drop(name)
    open_tables = {table for table, closed, _ in tables if not closed}
    assert open_tables <= OPEN_TABLES.get(area, set()), "add row-level security, or say here why not"
    assert {owner for *_, owner in tables} <= {f"{area}_owner"}
    assert logins == []


# Tables that hold nothing of an organisation.
OPEN_TABLES: dict[str, set[str]] = {"identity": {"signing_keys"}}
