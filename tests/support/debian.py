"""Programs of Debian's that a test needs: installed once, where that is possible."""

import fcntl
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.support.lacking import lacking

INSTALL_SECONDS_MAX = 600


def program(package: str, *names: str) -> Path:
    """The first of the programs that is there, installed with its package where none is; else the test is skipped."""
    lock = Path(tempfile.gettempdir(), f"verbund-debian-{os.getuid()}.lock")
    with lock.open("w") as file:  # released when it is closed; programs that are started do not inherit it
        fcntl.flock(file, fcntl.LOCK_EX)
        return found(*names) or installed(package, *names)


def found(*names: str) -> Path | None:
    """Where one of the programs is installed already."""
    return next((Path(path) for path in map(shutil.which, names) if path), None)


def installed(package: str, *names: str) -> Path:
    """Installs a package; the program that it brings."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        lacking(f"{names[0]} is not installed, and only root can install it, with apt-get")
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for command in (("update",), ("install", "-y", "--no-install-recommends", package)):
        done = subprocess.run(
            ["apt-get", *command],
            env=environment,
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS_MAX,
            check=False,
        )
        if done.returncode:
            lacking(f"{package} cannot be installed here: {done.stderr.strip().splitlines()[-1:]}")
    return found(*names) or lacking(f"apt-get has installed {package}, but there is no program {names[0]}")
