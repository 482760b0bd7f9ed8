"""The first operator: made once, by hand, and by nobody else."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner
from joserfc.jwk import ECKey
from verbund.database.database import Database
from verbund.failure import Failure
from verbund.identity.bootstrap import OperatorExists, bootstrap
from verbund.identity.commands import identity
from verbund.identity.keys.sealing import create_key_encryption_file
from verbund.serving.refusals import Invalid

from tests.integration.identity.mesh import public

KEY = ECKey.generate_key("P-256")


@pytest.fixture
def jobs(database_dsn: str) -> Iterator[Database]:
    database = Database(database_dsn, role="identity_jobs", schema="identity", pool_size=8)
    yield database
    database.close()


def made(database: Database, *, system: str = "administration", key: str = "") -> str:
    return bootstrap(
        database, organisation="senatskanzlei", title="Senatskanzlei", system=system, public_key=key or public(KEY)
    )


def rows(dsn: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(dsn, user="postgres") as connection:
        return connection.execute(statement.encode()).fetchall()


def test_the_first_operator_is_made_once(jobs: Database, database_dsn: str) -> None:
    """Eight at the same time make one, and each change owes the log one leaf."""
    with ThreadPoolExecutor(8) as pool:
        names = set(pool.map(lambda _: made(jobs), range(8)))
    assert names == {"organisations/senatskanzlei/systems/administration"}
    found = rows(database_dsn, "SELECT name, roles, state FROM identity.systems")
    assert found == [(names.pop(), ["operator", "admin"], "active")]
    assert rows(database_dsn, "SELECT count(*) FROM evidence.intents") == [(2,)]


def test_another_operator_is_refused(jobs: Database) -> None:
    """By another key or another name: whoever reaches the command must not take the mesh over."""
    made(jobs)
    for attempt in ({"key": public(ECKey.generate_key("P-256"))}, {"system": "other"}):
        with pytest.raises(OperatorExists, match="organisations/senatskanzlei/systems/administration"):
            made(jobs, **attempt)


def test_a_suspended_operator_is_an_operator(jobs: Database, database_dsn: str) -> None:
    """Suspending the operator does not open the way for another."""
    made(jobs)
    with psycopg.connect(database_dsn, user="postgres") as connection:
        connection.execute("UPDATE identity.systems SET state = 'suspended', suspend_time = now()")
    with pytest.raises(OperatorExists):
        made(jobs, system="other")


def test_a_private_key_makes_no_operator(jobs: Database, database_dsn: str) -> None:
    """Nothing is left of the attempt."""
    with pytest.raises(Invalid):
        made(jobs, key=json.dumps(KEY.as_dict(private=True)))
    assert rows(database_dsn, "SELECT name FROM identity.organisations") == []


@pytest.fixture
def environment(database_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variables that the commands read."""
    create_key_encryption_file(tmp_path / "key-encryption.json")
    monkeypatch.setenv("VERBUND_DATABASE_DSN", database_dsn)
    monkeypatch.setenv("VERBUND_IDENTITY_PUBLISH_DIR", str(tmp_path))
    monkeypatch.setenv("VERBUND_IDENTITY_KEY_ENCRYPTION_FILE", str(tmp_path / "key-encryption.json"))


@pytest.mark.usefixtures("environment")
def test_the_command_makes_an_operator(tmp_path: Path) -> None:
    """And says, when it is another, what to do instead."""
    file = tmp_path / "key.json"
    file.write_text(public(KEY))
    arguments = ["bootstrap", "--organisation=senatskanzlei", "--title=Senatskanzlei", f"--public-key={file}"]
    ran = CliRunner().invoke(identity, [*arguments, "--system=administration", "--json"])
    name = "organisations/senatskanzlei/systems/administration"
    assert (ran.exit_code, json.loads(ran.output)) == (0, {"system": name, "clientId": name})
    ran = CliRunner().invoke(identity, [*arguments, "--system=other"])
    assert isinstance(ran.exception, Failure)
    assert "through the API" in str(ran.exception)


@pytest.mark.usefixtures("environment")
def test_the_command_begins_one_rotation_at_a_time(database_dsn: str) -> None:
    """The second says that a key waits already."""
    ran = [CliRunner().invoke(identity, ["rotate-keys", "--json"]) for _ in range(2)]
    assert [json.loads(each.output)["begun"] for each in ran] == [True, False]
    assert rows(database_dsn, "SELECT count(*), min(state) FROM identity.signing_keys") == [(1, "published")]
