"""The one unprivileged user that runs every part: the caller, or a system user where the caller is root."""

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from verbund.failure import EnvironmentFailure

SYSTEM_USER = "verbund"


@dataclass(frozen=True, slots=True)
class ServiceUser:
    """A user of the machine, as the kernel and as PostgreSQL's peer authentication know it."""

    name: str
    uid: int
    gid: int

    def become(self) -> None:
        """Gives root up for good. Without effect where the process is not root, or is to stay so."""
        if os.geteuid() == 0 and self.uid != 0:
            os.setgroups([])
            os.setresgid(self.gid, self.gid, self.gid)
            os.setresuid(self.uid, self.uid, self.uid)

    @contextmanager
    def acting(self) -> Iterator[None]:
        """Touches files with this user's rights only: what the user has put there cannot lead root astray."""
        if os.geteuid() != 0 or self.uid == 0:
            yield
            return
        groups, gid = os.getgroups(), os.getegid()
        os.setgroups([])
        os.setegid(self.gid)
        os.seteuid(self.uid)
        try:
            yield
        finally:
            os.seteuid(0)
            os.setegid(gid)
            os.setgroups(groups)

    def may(self, path: Path, mode: int) -> bool:
        """Whether this user has the rights `mode` (os.R_OK, os.X_OK …) on `path`, by the kernel's own answer."""
        with self.acting():
            return os.access(path, mode, effective_ids=True)


def user_of(uid: int) -> ServiceUser:
    """The user with the number `uid`; containers run with numbers that have no name, so that is no error."""
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        return ServiceUser(str(uid), uid, os.getegid())
    return ServiceUser(entry.pw_name, entry.pw_uid, entry.pw_gid)


def caller() -> ServiceUser:
    """Who runs this process."""
    return user_of(os.geteuid())


def system_user() -> ServiceUser:
    """The user `verbund`, made where the machine does not have it yet. Only root calls this."""
    try:
        return user_of(pwd.getpwnam(SYSTEM_USER).pw_uid)
    except KeyError:
        make_system_user()
    return user_of(pwd.getpwnam(SYSTEM_USER).pw_uid)


def make_system_user() -> None:
    """Makes the user `verbund`, who can neither log in nor has a home."""
    program = shutil.which("useradd", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if program is None:
        raise EnvironmentFailure(
            "PostgreSQL does not run as root, and this machine has no useradd to make another user with.",
            remedy=f"make a user named {SYSTEM_USER!r}, or run the command as an ordinary user.",
        )
    options = ["--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]
    made = subprocess.run(
        [program, *options, "--shell", "/usr/sbin/nologin", SYSTEM_USER], capture_output=True, text=True, check=False
    )
    already_there = 9  # two first starts at the same moment
    if made.returncode not in (0, already_there):
        raise EnvironmentFailure(
            f"The user {SYSTEM_USER!r}, who is to run the services, could not be made: {made.stderr.strip()}",
            remedy=f"make a user named {SYSTEM_USER!r}, or run the command as an ordinary user.",
        )
