"""The home directory: whose it is, who may enter, how much room there is, whether sockets fit."""

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from verbund.doctor.findings import Finding, ok, problem, warning
from verbund.doctor.subject import Subject
from verbund.embedded.home import MARKER, Home, runtime_directory
from verbund.embedded.users import user_of

MIB = 1024 * 1024
FREE_MIB_MIN, FREE_MIB_WANTED = 256, 2048
FREE_FILES_WANTED = 10_000
PRIVATE = 0o700
ANOTHER = "choose another one with --data-dir or VERBUND_HOME."


def home(subject: Subject) -> Iterator[Finding]:
    """Whether it can be used, or made."""
    found = subject.home
    if found is None:
        yield place_of_new(subject.named)
    elif not subject.mine:
        says = f"{found.named} belongs to {found.user.name}, not to you: what is in it cannot be looked at"
        yield problem("home", says, remedy=f"run this as {found.user.name} or as root, or {ANOTHER}")
    elif not stat.S_ISDIR(found.path.stat().st_mode):
        yield problem("home", f"{found.named} is no directory", remedy=ANOTHER)
    else:
        yield from existing(found)


def place_of_new(named: Path) -> Finding:
    """A home that is made at the first start."""
    if os.path.lexists(named):
        return problem("home", f"{named} leads nowhere, or cannot be reached by you", remedy=ANOTHER)
    parent = next(folder for folder in named.parents if folder.exists())
    if not os.access(parent, os.W_OK | os.X_OK):
        return problem("home", f"{named} cannot be made: {parent} is closed to you", remedy=ANOTHER)
    return ok("home", f"{named} is not there yet; `verbund up` makes it")


def existing(found: Home) -> Iterator[Finding]:
    """A home as it stands."""
    status = found.path.stat()
    mode = stat.S_IMODE(status.st_mode)
    content = set(os.listdir(found.path))  # noqa: PTH208 - names are enough
    if content and MARKER not in content:
        yield problem("home", f"{found.named} holds something else, and is no home of Verbund", remedy=ANOTHER)
    elif status.st_uid == 0 and content:
        remedy = f"give it to another user (chown -R verbund {found.path}), or {ANOTHER}"
        yield problem("home", f"{found.named} belongs to root, and PostgreSQL does not run as root", remedy=remedy)
    elif not os.access(found.path, os.W_OK | os.X_OK):
        yield problem("home", f"{found.named} cannot be written to", remedy="mount it writable (mount -o remount,rw).")
    elif content and mode != PRIVATE:
        remedy = f"chmod 700 {found.path}; whoever can enter it is the mesh. `verbund up` does it too."
        yield problem("home", f"{found.named} is open to others (mode {mode:04o})", remedy=remedy)
    else:
        yield ok("home", f"{found.named} of {found.user.name}, closed to others")
    yield from loose_keys(found)


def loose_keys(found: Home) -> Iterator[Finding]:
    """Private keys that others could read if the door were open."""
    files = [*found.keys.glob("*.json"), *found.tls.glob("*.key")] if found.keys.is_dir() else []
    loose = [path.name for path in files if stat.S_IMODE(path.stat().st_mode) & 0o077]
    if loose:
        says = f"private keys can be read by others: {', '.join(sorted(loose))}"
        yield warning("keys", says, remedy=f"chmod 600 the files in {found.keys} and {found.tls}.")


def space(subject: Subject) -> Iterator[Finding]:
    """Room for data, and for files."""
    path = subject.named
    while not path.exists():
        path = path.parent
    free = shutil.disk_usage(path).free // MIB
    room = os.statvfs(path)
    says = f"{free:,} MiB are free at {path}"
    who, remedy = "The operator of this machine", "delete what is not needed, or put the home on a larger volume."
    if free < FREE_MIB_MIN:
        yield problem("disk", f"{says}: writes will be refused", who=who, remedy=remedy)
    elif free < FREE_MIB_WANTED:
        yield warning("disk", says, who=who, remedy=remedy)
    elif room.f_files and room.f_favail < FREE_FILES_WANTED:
        yield warning("disk", f"{says}, but only {room.f_favail} more files can be made", who=who, remedy=remedy)
    else:
        yield ok("disk", says)


def sockets(subject: Subject) -> Iterator[Finding]:
    """Where the sockets lie: their paths have a bound, so a long home's lie elsewhere."""
    uid = subject.home.user.uid if subject.home else os.geteuid()
    run = runtime_directory(subject.home.path if subject.home else subject.named, uid)
    inside = run.parent in (subject.named, subject.home.path if subject.home else subject.named)
    if not inside and run.exists() and run.lstat().st_uid != uid:
        says = f"{run}, where the sockets are to lie, belongs to {user_of(run.lstat().st_uid).name}"
        yield problem("sockets", says, who="The operator of this machine", remedy=f"remove {run}, or {ANOTHER}")
    elif not inside:
        yield ok("sockets", f"they lie in {run}: the home's own path is too long or needs quoting")
    else:
        yield ok("sockets", f"they fit into {run}")


CHECKS = (home, space, sockets)
