"""A real PostgreSQL for tests: one cluster a session, one database a test, made from a template in milliseconds."""

import os
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from verbund.database.migrate import migrate
from verbund.embedded import programs, users


@dataclass(frozen=True, slots=True)
class Cluster:
    """A running PostgreSQL on a Unix socket, whose superuser is `postgres`."""

    socket_directory: Path

    def dsn(self, database: str, role: str = "postgres") -> str:
        """The connection string of a database, as `role`."""
        return f"postgresql:///{database}?host={self.socket_directory}&user={role}"

    def create(self, *, template: str) -> str:
        """A new database that is a copy of `template`; its name."""
        name = f"test_{uuid.uuid4().hex[:12]}"
        self.administer(sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY"), name, template)
        return name

    def drop(self, name: str) -> None:
        """Drops a database and whoever is still connected to it."""
        self.administer(sql.SQL("DROP DATABASE {} WITH (FORCE)"), name)

    def administer(self, statement: sql.SQL, *names: str) -> None:
        """Runs one statement on the cluster."""
        with psycopg.connect(self.dsn("postgres"), autocommit=True) as connection:
            connection.execute(statement.format(*map(sql.Identifier, names)))


@contextmanager
def cluster() -> Iterator[Cluster]:
    """A new cluster, stopped and deleted afterwards. Not durable: tests of durability start their own."""
    user = users.system_user() if os.geteuid() == 0 else users.caller()
    binaries = programs.find(user).postgres
    directory = Path(tempfile.mkdtemp(prefix="verbund-pg-", dir="/tmp"))  # noqa: S108 - sockets need a short path
    os.chown(directory, user.uid, user.gid)
    as_user = {"user": user.uid, "group": user.gid, "extra_groups": []} if os.geteuid() == 0 else {}
    data = directory / "data"
    initdb = [str(binaries / "initdb"), "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"]
    subprocess.run([*initdb, "--locale=C.UTF-8"], check=True, capture_output=True, cwd=directory, **as_user)  # type: ignore[call-overload]
    options = ["fsync=off", "listen_addresses=", f"unix_socket_directories={directory}", "max_connections=300"]
    command = [str(binaries / "postgres"), "-D", str(data), *[part for option in options for part in ("-c", option)]]
    with (directory / "log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, cwd=directory, **as_user)  # type: ignore[call-overload]
    try:
        found = Cluster(directory)
        wait(found)
        yield found
    finally:
        server.terminate()
        server.send_signal(2)  # fast shutdown: connections that a test left open do not hold it
        server.wait(timeout=20)
        shutil.rmtree(directory, ignore_errors=True)


def wait(found: Cluster, seconds_max: float = 20.0) -> None:
    """Returns when the cluster answers."""
    end = time.monotonic() + seconds_max
    while True:
        try:
            psycopg.connect(found.dsn("postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)
        else:
            return


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    """The session's cluster, with a migrated database `template`."""
    with cluster() as found:
        found.administer(sql.SQL("CREATE DATABASE {}"), "template")
        migrate(found.dsn("template"))
        yield found


@pytest.fixture
def database_dsn(postgres: Cluster) -> Iterator[str]:
    """A migrated database of the test's own: a connection string without a role."""
    name = postgres.create(template="template")
    yield f"postgresql:///{name}?host={postgres.socket_directory}"
    postgres.drop(name)
