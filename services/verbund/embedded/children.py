"""Forking a part: what a child is given, and what it must not inherit."""

import ctypes
import gc
import os
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from verbund.failure import ExitCode, Failure
from verbund.settings import SettingError

LIBC = ctypes.CDLL(None, use_errno=True)  # loaded before the fork, and before root is given up

PR_SET_PDEATHSIG = 1
PR_GET_PDEATHSIG = 2
PR_SET_NAME = 15
PR_SET_CHILD_SUBREAPER = 36

DEFAULT_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD, signal.SIGUSR1, signal.SIGUSR2)


class Closable(Protocol):
    """Something of the supervisor's that a child closes."""

    def close(self) -> None:
        """Closes it."""


@dataclass(frozen=True, kw_only=True)
class Child:
    """How a process is to run: its work, its log, its end."""

    name: str
    run: Callable[[int], object]
    """The work. Takes the file descriptor to write one byte to when it is ready; returning ends the process."""
    become: Callable[[], None]
    """Drops to the service user."""
    log: Path | None = None
    """Where its output goes; the supervisor's own output where this is None."""
    at_parents_death: signal.Signals = signal.SIGTERM
    inherited: list[Closable] = field(default_factory=list)


def fork(child: Child, ready_fd: int) -> int:
    """Starts `child` and returns its pid. `ready_fd` stays open in both."""
    sys.stdout.flush()
    sys.stderr.flush()
    parent = os.getpid()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    pid = os.fork()
    if pid:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return pid
    os._exit(live(child, ready_fd, parent))


def live(child: Child, ready_fd: int, parent: int) -> int:
    """Runs `child` in the forked process; the exit code."""
    try:
        settle(child, parent)
        child.run(ready_fd)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except (Failure, SettingError) as failure:  # what a person can mend is said in its sentence, and nothing else
        sys.stderr.write(f"{failure}\n")
        code = ExitCode.USAGE
    except BaseException:  # noqa: BLE001 - the last frame of a process: nobody above could catch it
        traceback.print_exc()
        code = 1
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    return code


def settle(child: Child, parent: int) -> None:
    """Makes the fork a process of its own: its session, its user, its signals, its log, its end with the parent."""
    os.setsid()  # Ctrl-C reaches the supervisor alone, which stops the parts in order
    signal.set_wakeup_fd(-1)
    for number in DEFAULT_SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    for thing in child.inherited:
        thing.close()
    child.become()
    end_with_parent(child.at_parents_death, parent)  # a change of user would have cleared it
    LIBC.prctl(PR_SET_NAME, child.name.encode()[:15], 0, 0, 0)
    os.umask(0o077)
    redirect(child.log)
    gc.enable()
    signal.pthread_sigmask(signal.SIG_SETMASK, set())


def end_with_parent(number: signal.Signals, parent: int) -> None:
    """Has the kernel send `number` when the parent is gone, also when it is gone already."""
    LIBC.prctl(PR_SET_PDEATHSIG, int(number), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def redirect(log: Path | None) -> None:
    """Closes the input, and sends the output to `log`."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    if log is not None:
        output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.close(output)


def execute(program: Path, arguments: list[str], environment: dict[str, str]) -> None:
    """Replaces this process; gives back the signals that Python ignores."""
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    os.execve(program, [str(program), *arguments], environment)  # noqa: S606 - no shell wanted
