"""What `verbund up` says to the person at the terminal."""

import contextlib
import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

import click

from verbund.embedded import home as homes
from verbund.embedded.home import Home


class Progress:
    """One line for each thing that happened."""

    def __init__(self, home: Home, *, out: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._home = home
        self._out = out
        self._clock = clock
        self._begun = clock()
        self._trouble = ""
        self._say(f"Verbund starts in {home.named}")

    def _say(self, line: str) -> None:
        """Prints a line; a closed terminal is no reason to stop anything."""
        with contextlib.suppress(OSError):
            click.echo(line, file=self._out)

    def note(self, line: str) -> None:
        """Something takes its time."""
        self._say(f"  {line}")

    def cleared(self, name: str) -> None:
        """An earlier run was killed and left a process."""
        self._say(f"  {name:<14} left by an earlier run, ended")

    def ready(self, name: str, seconds: float, *, done: bool) -> None:
        """A part is ready, or has done its one thing."""
        self._say(f"  {name:<14} {'done ' if done else 'ready'}  {seconds:5.2f} s")

    def ended(self, name: str, how: str, delay_seconds: float) -> None:
        """A part ended by itself."""
        when = f"in {delay_seconds:.1f} s" if delay_seconds >= 0.1 else "at once"  # noqa: PLR2004 - as it is shown
        self._say(f"  {name:<14} {how}, starts again {when}; see {self._home.log / f'{name}.log'}")

    def trouble(self, what: str) -> None:
        """Something could not be written; said once until it is something else."""
        if what != self._trouble:
            self._trouble = what
            self._say(f"  {what}; it is tried again")

    def all_ready(self, url: str) -> None:
        """Everything is ready."""
        self._say(f"Ready after {self._clock() - self._begun:.1f} s: {url}")

    def next_steps(self, url: str, *, has_people: bool) -> None:
        """What can be tried while the mesh runs; lines to copy, and where people sign in."""
        command = sys.argv[0] if Path(sys.argv[0]).name == "verbund" else "verbund"
        if self._home.named != homes.choose({}, None):
            command = f"VERBUND_HOME={shlex.quote(str(self._home.named))} {command}"
        ca = shlex.quote(str(self._home.named / "tls" / "ca.pem"))
        self._say("Try next, in another terminal:")
        self._say(f'  curl --cacert {ca} -H "Authorization: Bearer $({command} token)" {url}/v1/organisations')
        self._say(f"  {command} trace --list")
        self._say(f"The manual for developers: {url}/docs")
        if has_people:
            self._say(f"In a browser, which warns until it trusts {self._home.named / 'tls' / 'ca.pem'}:")
            self._say(f"  {url}/console/")
            self._say(f"  Who can sign in, and with which password, stands under “people” in {self._home.ready}.")
            self._say("  Nobody can before the first tour: `verbund tour` registers where they sign in.")
        self._say("Ctrl-C stops the mesh.")

    def stopping(self) -> None:
        """The end begins."""
        self._say("Stopping.")

    def stopped(self) -> None:
        """Nothing is left."""
        self._say("Stopped; nothing is left running.")
