"""The supervisor keeps its promises for parts that do nothing."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.home import ROOT, end_with_test, place

WAIT_SECONDS_MAX = 20.0


class Supervised:
    """A supervisor in a process of its own, and what it said."""

    def __init__(self, home: Path, scenario: str) -> None:
        self.home = home
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.unit.embedded.dummies", scenario, str(home)],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=end_with_test,  # noqa: PLW1509 - it is one system call
        )

    def hear(self, start: str) -> str:
        """Reads on until a line that starts with `start`, and returns it."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            if line.startswith(start):
                return self.lines[-1]
        return pytest.fail(f"it never said {start!r}, but:\n" + "\n".join(self.lines))

    def pids(self) -> dict[str, int]:
        """The parts' processes, as soon as all are ready."""
        pairs = (pair.split("=") for pair in self.hear("all ready").split()[2:])
        return {name: int(pid) for name, pid in pairs}

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Stops it; the exit code."""
        self.process.send_signal(number)
        output, _ = self.process.communicate(timeout=WAIT_SECONDS_MAX)
        self.lines += output.splitlines()
        return self.process.returncode


Start = Callable[[str], Supervised]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a scenario, repeatedly in the same home."""
    begun: list[Supervised] = []
    with place() as home:

        def start(scenario: str) -> Supervised:
            begun.append(Supervised(home, scenario))
            return begun[-1]

        yield start
        for supervised in begun:
            if supervised.process.poll() is None:
                supervised.end()
            assert supervised.process.stdout is not None
            supervised.process.stdout.close()


def runs(pid: int) -> bool:
    """Whether a process is there, and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def is_gone(pid: int) -> bool:
    """Whether a process ends within the time that tests have."""
    end = time.monotonic() + WAIT_SECONDS_MAX
    while runs(pid) and time.monotonic() < end:
        time.sleep(0.02)
    return not runs(pid)


def test_parts_start_when_what_they_need_is_ready(start: Start) -> None:
    """A part waits until the part before it has said that it is ready, or has ended well where it does one thing."""
    supervised = start("order")
    supervised.hear("all ready")
    assert supervised.lines[:3] == ["ready first", "done second", "ready third"]


def test_a_killed_part_is_forked_again_at_once(start: Start) -> None:
    """A part that was ready and is killed comes back by itself, in a new process."""
    supervised = start("restart")
    before = supervised.pids()["worker"]
    os.kill(before, signal.SIGKILL)
    assert supervised.hear("ended") == "ended worker: was ended by SIGKILL (at once)"
    supervised.hear("ready worker")
    assert supervised.end() == 0


def test_a_part_that_keeps_ending_waits_longer(start: Start) -> None:
    """The second end in a row is answered with a pause: a part that cannot run must not eat the machine."""
    supervised = start("restless")
    assert supervised.hear("ended").endswith("(at once)")
    assert supervised.hear("ended").endswith("(later)")


@pytest.mark.parametrize("scenario", ["failing", "once-failing"])
def test_a_part_that_cannot_start_ends_the_whole_start(start: Start, scenario: str) -> None:
    """The message holds the end of the part's log and where the rest is; the exit code is 1; nothing is left."""
    supervised = start(scenario)
    supervised.hear("stopped")
    text = "\n".join(supervised.lines)
    assert "broken ended with exit code 7" in text
    assert "the disk is made of cheese" in text
    assert str(supervised.home / "log" / "broken.log") in text
    assert supervised.process.wait(WAIT_SECONDS_MAX) == 1
    assert not (supervised.home / "processes.json").exists()


def test_a_wrong_setting_of_a_part_is_one_sentence(start: Start) -> None:
    """Whoever set it reads its name and what it takes, and no traceback."""
    supervised = start("setting")
    supervised.hear("stopped")
    text = "\n".join(supervised.lines)
    assert "VERBUND_CHEESE_HOLES takes a whole number, not 'many'" in text
    assert "Traceback" not in text


def test_a_part_that_never_becomes_ready_is_given_up(start: Start) -> None:
    """Being alive is not being ready: a part that says nothing in its time counts as failed."""
    supervised = start("slow")
    supervised.hear("slow did not become ready in time")
    assert supervised.process.wait(WAIT_SECONDS_MAX) == 1


def test_a_program_is_ready_when_its_probe_says_so(start: Start) -> None:
    """A program that cannot tell is asked, again and again, until the answer is yes."""
    supervised = start("probe")
    log = supervised.home / "log" / "silent.log"
    while not log.exists():
        time.sleep(0.01)
    (supervised.home.parent / "out").touch()
    assert supervised.hear("all ready")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_parts_stop_from_the_edge_inwards(start: Start, number: signal.Signals) -> None:
    """The gateway ends before the services, and the store last: nobody loses what they still need."""
    supervised = start("layers")
    pids = supervised.pids()
    out = supervised.home.parent / "out"
    out.touch(mode=0o666)
    out.chmod(0o666)
    assert supervised.end(number) == 0
    assert out.read_text().split() == ["edge", "service", "store"]
    assert not any(runs(pid) for pid in pids.values())


def test_a_part_that_does_not_listen_is_killed(start: Start) -> None:
    """A part that ignores the request to stop is ended by force, so that stopping always comes to an end."""
    supervised = start("deaf")
    pid = supervised.pids()["deaf"]
    assert supervised.end() == 0
    assert not runs(pid)


def test_what_a_part_has_left_behind_is_ended_too(start: Start) -> None:
    """A daemon that left its family, and ignores SIGTERM, does not outlive the supervisor."""
    supervised = start("daemon")
    group = f"-m tests.unit.embedded.dummies daemon {supervised.home}"
    supervised.pids()
    assert supervised.end() == 0
    assert not commands_with(group)


def commands_with(text: str) -> list[int]:
    """The processes whose command line holds `text`."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if text in line and runs(int(process.name)):
            found.append(int(process.name))
    return found


def test_parts_die_with_a_killed_supervisor_and_the_next_one_starts(start: Start) -> None:
    """A kill -9 of the supervisor leaves no part, not even one that is deaf for longer than the next start."""
    for scenario in ("restart", "deaf"):
        killed = start(scenario)
        pids = killed.pids()
        killed.end(signal.SIGKILL)
        again = start("restart")
        again.hear("all ready")
        assert all(is_gone(pid) for pid in pids.values())
        assert again.end() == 0


def test_a_second_supervisor_of_a_home_is_refused(start: Start) -> None:
    """One home, one supervisor: the second says who has it."""
    first = start("restart")
    first.hear("all ready")
    second = start("restart")
    second.hear("verbund.failure.EnvironmentFailure: Verbund already runs")
    assert f"(process {first.process.pid})" in second.lines[-1]


def test_a_part_inherits_nothing_of_the_supervisor(start: Start) -> None:
    """Its input is closed, its signals are the defaults, its session is its own; lock and pipes are not open in it."""
    supervised = start("inherit")
    out = supervised.home.parent / "out"
    out.touch(mode=0o666)
    out.chmod(0o666)
    supervised.hear("all ready")
    read, leads, term, interrupt, *files = out.read_text().splitlines()
    assert (read, leads) == ("b''", "True")
    assert int(term) == int(interrupt) == signal.SIG_DFL
    assert [file.partition(":")[0] for file in files] == ["pipe"], files  # on which it says that it is ready
