"""A real PostgreSQL for tests: one cluster a session, one database a test, made from a template in milliseconds."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from verbund.database.migrate import migrate
from verbund.embedded import programs, users


@dataclass(slots=True)
class Cluster:
    """A PostgreSQL on a Unix socket, whose superuser is `postgres`. Not durable: it never waits for the disk."""

    directory: Path
    binaries: Path
    user: users.ServiceUser
    server: subprocess.Popen[bytes] | None = None

    def initialise(self) -> None:
        """Makes the cluster's files."""
        options = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync", "--locale=C.UTF-8"]
        subprocess.run(
            [str(self.binaries / "initdb"), "-D", str(self.directory / "data"), *options],
            check=True,
            capture_output=True,
            cwd=self.directory,
            **self.as_user(),
        )

    def start(self) -> None:
        """Starts the server and waits until it answers."""
        options = ["fsync=off", "listen_addresses=", f"unix_socket_directories={self.directory}", "max_connections=300"]
        command = [str(self.binaries / "postgres"), "-D", str(self.directory / "data")]
        command += [part for option in options for part in ("-c", option)]
        with (self.directory / "log").open("ab") as log:
            self.server = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.directory, **self.as_user())
        self.wait()

    def stop(self) -> None:
        """Stops the server at once: connections that a test left open do not hold it."""
        if self.server is not None:
            self.server.send_signal(signal.SIGINT)
            self.server.wait(timeout=60)
            self.server = None

    def as_user(self) -> dict[str, Any]:
        """How to start a program that does not run as root."""
        return {"user": self.user.uid, "group": self.user.gid, "extra_groups": []} if os.geteuid() == 0 else {}

    def wait(self, seconds_max: float = 60.0) -> None:
        """Returns when the server answers."""
        end = time.monotonic() + seconds_max
        while True:
            try:
                psycopg.connect(self.dsn("postgres"), connect_timeout=2).close()
            except psycopg.OperationalError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)
            else:
                return

    def dsn(self, database: str, role: str = "postgres") -> str:
        """The connection string of a database, as `role`."""
        return f"postgresql:///{database}?host={self.directory}&user={role}"

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
    """A new cluster, stopped and deleted afterwards."""
    user = users.system_user() if os.geteuid() == 0 else users.caller()
    directory = Path(tempfile.mkdtemp(prefix="verbund-pg-", dir="/tmp"))
    os.chown(directory, user.uid, user.gid)
    made = Cluster(directory, programs.find(user).postgres, user)
    try:
        made.initialise()
        made.start()
        yield made
    finally:
        made.stop()
        shutil.rmtree(directory, ignore_errors=True)


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
    yield f"postgresql:///{name}?host={postgres.directory}"
    postgres.drop(name)
