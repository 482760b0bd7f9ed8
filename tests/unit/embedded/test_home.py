"""Where a home may lie, and whose it is."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from verbund.embedded import home as homes
from verbund.embedded import lock, users
from verbund.failure import EnvironmentFailure, ExitCode

from tests.support.home import place

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a home to another user")
NOBODY = 65534


def test_the_home_is_chosen_by_option_then_variable_then_default(tmp_path: Path) -> None:
    """--data-dir goes before VERBUND_HOME, and that before ~/.local/share/verbund."""
    environment = {"VERBUND_HOME": "/var/mesh", "HOME": "/home/ada"}
    assert homes.choose(environment, tmp_path) == tmp_path
    assert homes.choose(environment, None) == Path("/var/mesh")
    assert homes.choose({"HOME": "/home/ada"}, None) == Path("/home/ada/.local/share/verbund")
    assert homes.choose({"VERBUND_HOME": "mesh"}, None) == Path.cwd() / "mesh"


def test_a_home_is_private() -> None:
    """The home and all in it are 0700 of the user who runs the parts, who is not root."""
    with place() as path:
        home = homes.prepare(path)
        for directory in (home.path, home.run, *(home.path / folder for folder in homes.FOLDERS)):
            found = directory.stat()
            assert (stat.S_IMODE(found.st_mode), found.st_uid) == (0o700, home.user.uid), directory
        assert home.user.uid != 0


def test_a_home_can_be_prepared_again() -> None:
    """The second start finds the same home, and leaves what is in it."""
    with place() as path:
        first = homes.prepare(path)
        (first.keys / "one.json").write_text("{}")
        assert homes.prepare(path) == first
        assert (first.keys / "one.json").exists()


def test_a_directory_with_other_content_is_refused() -> None:
    """Nobody's documents are made private to a service user: a directory that is no home must be empty."""
    with place() as path:
        path.mkdir()
        (path / "thesis.odt").touch()
        with pytest.raises(EnvironmentFailure, match="not empty") as refused:
            homes.prepare(path)
        assert refused.value.code == ExitCode.ENVIRONMENT
        assert "--data-dir" in refused.value.remedy


@pytest.mark.parametrize(
    ("path", "inside"),
    [
        (Path("/var/lib/mesh"), True),
        (Path("/srv") / ("x" * 100), False),  # a socket's path has 107 bytes
        (Path("/srv") / ("ü" * 40), False),  # bytes, not letters
        (Path("/srv/with, comma"), False),  # libpq takes a list of hosts
    ],
)
def test_sockets_lie_where_their_paths_are_short_enough(path: Path, *, inside: bool) -> None:
    """The runtime directory is below the home where that fits, and a short private one otherwise."""
    run = homes.runtime_directory(path, 1000)
    assert (run == path / "run") is inside
    assert len(os.fsencode(run)) + homes.SOCKET_NAME_BYTES_MAX <= homes.SOCKET_PATH_BYTES_MAX
    assert homes.PLAIN_PATH.fullmatch(str(run))


def test_a_runtime_directory_of_somebody_else_is_refused(tmp_path: Path) -> None:
    """A directory that somebody has put in the place of ours, or a link there, is not used."""
    target = tmp_path / "target"
    target.mkdir()
    link = tmp_path / "link"
    link.symlink_to(target)
    with pytest.raises(EnvironmentFailure, match="belongs to somebody else"):
        homes.make_private(link, users.caller())
    with pytest.raises(EnvironmentFailure, match="belongs to somebody else"):
        homes.make_private(target, users.ServiceUser("other", os.geteuid() + 1, os.getegid()))


def test_a_home_is_locked_once() -> None:
    """The lock names the process that has it, and is free again when its file is closed."""
    with place() as path:
        home = homes.prepare(path)
        with lock.hold(home), pytest.raises(EnvironmentFailure, match=f"process {os.getpid()}"):
            lock.hold(home)
        lock.hold(home).close()


def test_another_process_with_the_same_number_is_left_alone() -> None:
    """A recorded pid that belongs to another process by now is not touched: its start time tells."""
    with place() as path:
        home = homes.prepare(path)
        with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as innocent:
            lock.record(home, [("worker", innocent.pid)])
            record = home.processes.read_text()
            home.processes.write_text(record.replace("@", "0@"))
            assert lock.clear(home) == []
            assert innocent.poll() is None
            home.processes.write_text(record)
            assert lock.clear(home) == ["worker"]


@as_root
def test_as_root_the_parts_belong_to_a_user_without_rights() -> None:
    """Where root calls, the home is the system user's, who can reach it."""
    with place() as path:
        home = homes.prepare(path)
        assert home.user.name == users.SYSTEM_USER
        assert home.path.stat().st_uid == home.user.uid != 0
        assert home.user.may(home.run, os.W_OK | os.X_OK)


@as_root
def test_as_root_a_home_behind_a_closed_door_lies_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Below /root the system user could not reach its files: the path becomes a link to a place where it can."""
    with place() as shared:
        monkeypatch.setattr(homes, "SHARED_ROOT", shared)
        tmp_path.chmod(0o700)
        named = tmp_path / "deep" / "home"
        home = homes.prepare(named)
        assert named.is_symlink()
        assert home.path.parent == shared
        assert home.user.may(home.keys, os.R_OK | os.W_OK | os.X_OK)
        assert homes.prepare(named) == home


@as_root
def test_as_root_an_ordinary_users_home_stays_theirs() -> None:
    """Root starting somebody's mesh (sudo) runs it as that user, and takes nothing away from them."""
    with place() as path:
        path.mkdir()
        os.chown(path, NOBODY, NOBODY)
        home = homes.prepare(path)
        assert home.user.uid == NOBODY
        assert home.keys.stat().st_uid == NOBODY


@as_root
def test_an_ordinary_user_prepares_a_home_of_their_own() -> None:
    """Without root nothing needs root: a real other user makes a home, and is refused somebody else's."""
    with place() as path:
        path.parent.chmod(0o777)
        assert prepare_as_nobody(path) == ""
        assert path.stat().st_uid == NOBODY
        other = path.parent / "other"
        homes.prepare(other)
        assert "belongs to verbund, not to you" in prepare_as_nobody(other)


def prepare_as_nobody(path: Path) -> str:
    """What preparing a home says in another user's process; empty where it succeeds. Everything is imported before."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        users.ServiceUser("nobody", NOBODY, NOBODY).become()
        try:
            homes.prepare(path)
        except EnvironmentFailure as failure:
            os.write(write, failure.what.encode())
        finally:
            os._exit(0)
    os.close(write)
    os.waitpid(pid, 0)
    with os.fdopen(read) as answer:
        return answer.read()
