"""Whether the gateway's port is free, and who has it if not."""

import socket
from pathlib import Path

from verbund.failure import EnvironmentFailure


def check(host: str, port: int, setting: str, command: str = "verbund up") -> None:
    """Raises EnvironmentFailure where somebody listens on the port; `command` is what is started with another.

    Envoy shares its port (SO_REUSEPORT), so a second gateway of the same user would silently take half the requests.
    """
    if is_free(host, port):
        return
    owner = owner_of(port)
    whose = f"process {owner[0]} ({owner[1]})" if owner else "another process, which only its user or root can name"
    stop = f"stop it (kill {owner[0]})" if owner else "stop it"
    raise EnvironmentFailure(
        f"Port {port} ({setting}) is in use by {whose}.",
        remedy=f"{stop}, or choose another port: {setting}={free_port(host)} {command}",
    )


def is_free(host: str, port: int) -> bool:
    """Whether the port could be listened on alone."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # the last gateway's closed connections
        try:
            probe.bind((host, port))
            probe.listen()
        except OSError:
            return False
    return True


def free_port(host: str) -> int:
    """A port that nobody uses at this moment."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def owner_of(port: int) -> tuple[int, str] | None:
    """The pid and the name of the process that listens on `port`, where this user may see it."""
    wanted = {f"socket:[{inode}]" for inode in listening_inodes(port)}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(link in wanted for link in links(process / "fd")):
                return int(process.name), (process / "comm").read_text().strip()
        except OSError:
            continue
    return None


def links(directory: Path) -> list[str]:
    """What the open files of a process are."""
    found = []
    for link in directory.iterdir():
        try:
            found.append(str(link.readlink()))
        except FileNotFoundError:
            continue
    return found


def listening_inodes(port: int) -> set[str]:
    """The sockets that listen on `port`, by the kernel's table."""
    listening, found = "0A", set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == listening and int(fields[1].rpartition(":")[2], 16) == port:
                found.add(fields[9])
    return found
