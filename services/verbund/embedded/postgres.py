"""PostgreSQL below the home: one cluster, reachable by a Unix socket, its roles bound to the service user.

Only a guest, a program that knows no Unix sockets, has a way in over loopback, and it leads to its own database.
"""

import ctypes
import os
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

from verbund.embedded.children import PR_SET_PDEATHSIG, execute
from verbund.embedded.home import Home
from verbund.embedded.part import Layer, Part

DATABASE = "verbund"
PORT = 5432  # as far as nothing else is said it only is part of the socket's name
ADMINISTRATOR = "postgres"

CONFIGURATION = """\
# Written by `verbund up` at every start. Put settings of your own into ../postgresql.local.conf.
{listen}
unix_socket_directories = '{run}'
unix_socket_permissions = 0700
max_connections = 120
shared_buffers = 64MB
timezone = 'UTC'
jit = off
dynamic_shared_memory_type = {shared_memory}
# Processes that nothing here uses.
max_logical_replication_workers = 0
io_method = sync
# Nothing that a client sent stands in the log: no statement, no value, no key of a violated constraint.
log_timezone = 'UTC'
log_line_prefix = '%m [%p] %q%u '
log_min_error_statement = panic
log_error_verbosity = terse
log_parameter_max_length_on_error = 0
log_checkpoints = off
idle_in_transaction_session_timeout = 60s
include_if_exists = '../postgresql.local.conf'
"""

# Who reaches the socket is who the kernel says they are; the map lets that user and root be every role.
HOST_BASED_ACCESS = "local all all peer map=verbund\n"
# A program that knows no Unix sockets comes in over loopback: as its own role, to its own database, and no other way.
GUEST_ACCESS = """\
host {guest} {guest} 127.0.0.1/32 scram-sha-256
local {database} {guest} reject
"""
PEERS = 'verbund "{user}" all\nverbund root all\n'

INITDB = ("--username=postgres", "--auth=peer", "--encoding=UTF8", "--no-instructions", "--no-locale")
LOCALE = ("--locale-provider=builtin", "--builtin-locale=C.UTF-8")


def dsn(home: Home, *, user: str | None = None) -> str:
    """The connection string of the mesh's database; each service adds its role."""
    role = f"&user={user}" if user else ""
    return f"postgresql:///{DATABASE}?host={quote(str(home.run), safe='/')}{role}"


@dataclass(frozen=True, slots=True)
class Guest:
    """A program beside the mesh that keeps its data here: a database of its own, and a role of the same name."""

    name: str
    port: int


def part(home: Home, binaries: Path, guest: Guest | None = None) -> Part:
    """The server as a part of the mesh."""
    return Part(
        name="postgres",
        layer=Layer.STORE,
        run=lambda _ready: run(home, binaries, guest),
        probe=lambda: answers(home),
        stop_signal=signal.SIGINT,  # fast: ends connections, writes everything down
        hurry_signal=signal.SIGQUIT,  # at once: the next start recovers
        parting_signal=signal.SIGINT,
        start_seconds_max=600.0,  # recovery after a crash is not to be cut short
        stop_seconds_max=20.0,
    )


def run(home: Home, binaries: Path, guest: Guest | None = None) -> None:
    """Makes the cluster where there is none, configures it, and becomes the server."""
    environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
    if not home.postgres.exists():
        make_cluster(home, binaries, environment)
    write_configuration(home, guest)
    execute(binaries / "postgres", ["-D", str(home.postgres)], environment)


def make_cluster(home: Home, binaries: Path, environment: dict[str, str]) -> None:
    """A new cluster with an empty database: beside its place first, so that a half-made one never counts."""
    fresh = home.postgres.with_name("postgres.new")
    shutil.rmtree(fresh, ignore_errors=True)
    call([str(binaries / "initdb"), "-D", str(fresh), *INITDB, *LOCALE], environment)
    single = [str(binaries / "postgres"), "--single", "-D", str(fresh), "template1"]
    call(single, environment, statements=f"CREATE DATABASE {DATABASE}\n")
    fresh.rename(home.postgres)


def call(command: list[str], environment: dict[str, str], statements: str = "") -> None:
    """Runs one of PostgreSQL's programs to its end, which comes at once if this process dies."""
    prctl = ctypes.CDLL(None).prctl
    subprocess.run(
        command,
        input=statements.encode(),
        env=environment,
        preexec_fn=lambda: prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0),
        check=True,
    )


def write_configuration(home: Home, guest: Guest | None = None) -> None:
    """Writes the three files that PostgreSQL reads; the user's own settings stand in postgresql.local.conf."""
    listen, access = "listen_addresses = ''", HOST_BASED_ACCESS
    if guest:
        listen = f"listen_addresses = '127.0.0.1'\nport = {guest.port}"
        access = GUEST_ACCESS.format(guest=guest.name, database=DATABASE) + access
        name_socket(home, guest.port)
    content = CONFIGURATION.format(listen=listen, run=home.run, shared_memory=shared_memory())
    (home.postgres / "postgresql.conf").write_text(content)
    (home.postgres / "pg_hba.conf").write_text(access)
    (home.postgres / "pg_ident.conf").write_text(PEERS.format(user=home.user.name))


def name_socket(home: Home, port: int) -> None:
    """Lets the mesh find the socket under the name that it always has: the port is part of the real one."""
    if port != PORT:
        link = home.run / f".s.PGSQL.{PORT}"
        link.unlink(missing_ok=True)
        link.symlink_to(f".s.PGSQL.{port}")


def make_database(home: Home, name: str, password: str) -> None:
    """A guest's role and database where they are missing, and its password. The server learns a digest only."""
    with psycopg.connect(dsn(home, user=ADMINISTRATOR), autocommit=True) as connection:
        role = sql.Identifier(name)
        verifier = connection.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256").decode()
        if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [name]).fetchone():
            connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(role))
        connection.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(role, sql.Literal(verifier)))
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
            connection.execute(sql.SQL("CREATE DATABASE {0} OWNER {0}").format(role))
            connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(role))


def shared_memory() -> str:
    """Where queries that run in parallel share memory: containers may lack /dev/shm."""
    return "posix" if os.access("/dev/shm", os.W_OK) else "mmap"  # noqa: S108 - it is only looked at


def answers(home: Home) -> bool:
    """Whether the server takes a query."""
    try:
        with psycopg.connect(dsn(home, user=ADMINISTRATOR), connect_timeout=2) as connection:
            connection.execute("SELECT 1")
    except psycopg.OperationalError:
        return False
    return True


def postmaster(home: Home) -> int | None:
    """The pid of a server that still runs on the home's cluster; forgets a pid that is another process's by now.

    PostgreSQL refuses to start where the recorded pid lives, and after a crash that may be one of our own workers.
    """
    record = home.postgres / "postmaster.pid"
    try:
        pid = int(record.read_text().split("\n", 1)[0])
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (OSError, ValueError):
        record.unlink(missing_ok=True)
        return None
    if os.fsencode(home.postgres) in command.split(b"\0"):
        return pid
    record.unlink(missing_ok=True)
    return None
