"""The machine: Python, system, rights, texts, open files, memory."""

import locale
import os
import platform
import pwd
import resource
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from verbund.doctor.findings import Finding, ok, problem, warning
from verbund.doctor.subject import Subject
from verbund.embedded.users import SYSTEM_USER, caller

PYTHON_MIN = (3, 11)
GLIBC_MIN = (2, 31)  # Envoy's wheel is built for it
MACHINES = ("x86_64", "aarch64")
FILES_MIN, FILES_WANTED = 256, 4096
MIB = 1024 * 1024
MESH_MIB, MESH_MIB_WANTED = 600, 1024  # an idle mesh takes up to 500
RUNNING_MIB_WANTED = 128
CAPABILITIES = {"CHOWN": 0, "KILL": 5, "SETGID": 6, "SETUID": 7}  # linux/capability.h


def python(_subject: Subject) -> Iterator[Finding]:
    """The interpreter."""
    says = f"{platform.python_implementation()} {platform.python_version()} ({sys.executable})"
    if sys.version_info < PYTHON_MIN:
        yield problem("python", says, remedy="install Python 3.11 or later, and Verbund into it.")
    else:
        yield ok("python", says)


def system(_subject: Subject) -> Iterator[Finding]:
    """Whether PostgreSQL and Envoy are made for it; the client needs no more than Python."""
    library, version = platform.libc_ver()
    says = f"{platform.system()} {platform.release()}, {platform.machine()}, {library or 'no glibc'} {version}".rstrip()
    fits = platform.system() == "Linux" and platform.machine() in MACHINES
    fits = fits and library == "glibc" and tuple(int(part) for part in version.split(".")[:2]) >= GLIBC_MIN
    if not fits:
        remedy = f"run the mesh on Linux ({' or '.join(MACHINES)}) with glibc 2.31 or later; a client runs here."
        yield warning("system", says, remedy=remedy)
    elif not os.access("/proc/self/stat", os.R_OK):
        yield problem("system", f"{says}; /proc cannot be read", remedy="mount it: `mount -t proc proc /proc`.")
    else:
        yield ok("system", says)


def rights(_subject: Subject) -> Iterator[Finding]:
    """Who would run the parts. Root hands them to another user, and needs the right to."""
    user = caller()
    status = status_of_process()
    if user.uid != 0:
        closed = " (no_new_privs: sudo and su do not work from here)" if status.get("NoNewPrivs") == "1" else ""
        yield ok("rights", f"you are {user.name}, who would run every part{closed}")
        return
    held = int(status.get("CapEff", "0"), 16)
    lacking = [name for name, bit in CAPABILITIES.items() if not held >> bit & 1]
    if lacking:
        says = f"you are root without the right to become another user (CAP_{', CAP_'.join(lacking)})"
        remedy = "start the container with these capabilities, or as an ordinary user: PostgreSQL does not run as root."
        yield problem("rights", says, who="The operator of this machine", remedy=remedy)
    elif not user_exists(SYSTEM_USER) and not shutil.which("useradd", path=f"{os.environ.get('PATH', '')}:/usr/sbin"):
        says = f"you are root, there is no user {SYSTEM_USER!r}, and no useradd to make one with"
        remedy = f"make a user named {SYSTEM_USER!r}, or run the mesh as an ordinary user."
        yield problem("rights", says, who="The operator of this machine", remedy=remedy)
    else:
        yield ok("rights", f"you are root; the parts run as {SYSTEM_USER!r}")


def user_exists(name: str) -> bool:
    """Whether the machine has the user."""
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def status_of_process() -> dict[str, str]:
    """What the kernel says of this process."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return {}
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def texts(_subject: Subject) -> Iterator[Finding]:
    """Whether names and texts survive: files, terminal and locale in UTF-8."""
    encodings = {
        "file names": sys.getfilesystemencoding(),
        "output": sys.stdout.encoding or "ascii",
        "locale": locale.getpreferredencoding(do_setlocale=False),
    }
    wrong = [f"{what} {name}" for what, name in encodings.items() if name.lower().replace("-", "") != "utf8"]
    if wrong:
        yield warning("locale", f"not in UTF-8: {', '.join(wrong)}", remedy="export LC_ALL=C.UTF-8")
    else:
        yield ok("locale", "UTF-8")


def open_files(_subject: Subject) -> Iterator[Finding]:
    """How many connections there can be at once, in the end."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    says = f"{soft} open files a process" if soft != resource.RLIM_INFINITY else "open files without limit"
    room = FILES_WANTED if hard == resource.RLIM_INFINITY else max(min(hard, 65_536), 1)
    remedy = f"run `ulimit -n {max(room, FILES_WANTED)}` before the mesh is started (LimitNOFILE= in systemd)."
    if soft == resource.RLIM_INFINITY or soft >= FILES_WANTED:
        yield ok("open-files", says)
    elif soft < FILES_MIN:
        yield problem("open-files", f"{says}: too few to start", remedy=remedy)
    else:
        yield warning("open-files", f"{says}: fewer clients than the gateway would take", remedy=remedy)


def memory(subject: Subject) -> Iterator[Finding]:
    """Whether a mesh fits."""
    available = available_mib()
    if available is None:
        return
    says = f"{available:,} MiB are free"
    remedy = "end other programs, or give the machine or the container more memory."
    if subject.ready is not None:
        if available < RUNNING_MIB_WANTED:
            yield warning("memory", f"{says} beside the running mesh", remedy=remedy)
        else:
            yield ok("memory", f"{says} beside the running mesh")
    elif available < MESH_MIB:
        yield problem("memory", f"{says}; a mesh takes {MESH_MIB}", remedy=remedy)
    elif available < MESH_MIB_WANTED:
        yield warning("memory", f"{says}; a mesh takes {MESH_MIB}, and more under load", remedy=remedy)
    else:
        yield ok("memory", says)


def available_mib(root: Path = Path("/")) -> int | None:
    """What is free, by the machine and by the container's own limit."""
    free = []
    try:
        lines = (line.split() for line in (root / "proc/meminfo").read_text().splitlines())
        free += [int(line[1]) * 1024 for line in lines if line[0] == "MemAvailable:"]
        group = root / "sys/fs/cgroup"
        free.append(int((group / "memory.max").read_text()) - int((group / "memory.current").read_text()))
    except (OSError, ValueError):  # no limit, or none that is told
        pass
    return max(0, min(free)) // MIB if free else None


CHECKS = (python, system, rights, texts, open_files, memory)
