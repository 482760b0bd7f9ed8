"""The supervisor: starts parts in the order they need, notices their ends, starts them again, and stops them.

It is one thread that waits in one place. It forks, so it holds no thread, no gRPC object and no database connection.
"""

import gc
import os
import selectors
import signal
import time
from collections.abc import Callable, Iterable
from functools import partial
from types import FrameType
from typing import Protocol

from verbund.embedded import lock
from verbund.embedded.children import LIBC, PR_SET_CHILD_SUBREAPER, Child, Closable, fork
from verbund.embedded.home import Home
from verbund.embedded.logs import last_lines
from verbund.embedded.part import Part
from verbund.embedded.process import Process, State, describe
from verbund.failure import ExitCode, Failure

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PROBE_PAUSE_SECONDS = 0.02
TICK_SECONDS = 0.5
TICK_SECONDS_STARTING = 0.05


class Listener(Protocol):
    """Who is told what happens."""

    def ready(self, name: str, seconds: float, *, done: bool) -> None:
        """A part is ready, or done."""

    def ended(self, name: str, how: str, delay_seconds: float) -> None:
        """A part ended by itself and starts again after the delay."""

    def trouble(self, what: str) -> None:
        """Something beside the parts could not be done; it is tried again."""


class Supervisor:
    """Runs parts until it is stopped. `tick` is called twice a second, and more often while something starts."""

    def __init__(
        self,
        home: Home,
        listener: Listener,
        *,
        inherited: Iterable[Closable] = (),
        tick: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._home = home
        self._listener = listener
        self._clock = clock
        self._tick = tick
        self._next_tick = 0.0
        self._processes: dict[str, Process] = {}
        self._stopping = False
        self.interruptions = 0
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._selector.register(self._wake_read, selectors.EVENT_READ)
        self._inherited = [*inherited, self]
        self._listen_to_signals()

    def add(self, *parts: Part) -> None:
        """Parts to run; they start as soon as what they need is ready."""
        for part in parts:
            self._processes[part.name] = Process(part)
        self._start_possible()

    def run_until(self, condition: Callable[[], bool]) -> None:
        """Works until `condition` holds or a signal asks to stop; raises Failure where the start cannot succeed."""
        while not condition() and not self.interruptions:
            self._turn()

    def all_ready(self) -> bool:
        """Whether every part is ready or done."""
        return all(process.state in (State.READY, State.DONE) for process in self._processes.values())

    def is_done(self, name: str) -> bool:
        """Whether the one-shot part `name` has ended."""
        return self._processes[name].state is State.DONE

    def exit_code(self, name: str) -> int | None:
        """The exit code of a part that has ended."""
        return self._processes[name].exit_code

    def pids(self) -> dict[str, int]:
        """The processes that run, by part."""
        return {name: process.pid for name, process in self._processes.items() if process.pid}

    def stop(self) -> None:
        """Stops every part, the highest layer first, and whatever they left; returns when nothing is left."""
        self._stopping = True
        self._home.ready.unlink(missing_ok=True)
        layers = sorted({process.part.layer for process in self._processes.values()}, reverse=True)
        for layer in layers:
            self._stop_layer([p for p in self._processes.values() if p.part.layer == layer])
        self._end_orphans()
        lock.remove_sockets(self._home)
        self._home.processes.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Closes what only the supervisor may hold: each child calls this too."""
        self._selector.close()
        os.close(self._wake_read)
        os.close(self._wake_write)
        for process in self._processes.values():
            process.close()

    def _listen_to_signals(self) -> None:
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        for number in STOP_SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup wants the end of the terminal ignored
                signal.signal(number, self._interrupt)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)  # the byte in the pipe is the message
        LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # a dead part's own children come to us, to be ended

    def _interrupt(self, _number: int, _frame: FrameType | None) -> None:
        self.interruptions += 1

    def _turn(self) -> None:
        """Waits for the next thing to happen, and acts on it."""
        now = self._clock()
        dues = [p.due for p in self._processes.values() if p.state in (State.STARTING, State.BACKOFF)]
        soonest = min([*dues, self._next_tick], default=now)
        self._wait(max(0.0, soonest - now))
        if self._clock() >= self._next_tick:
            self._next_tick = self._clock() + (TICK_SECONDS if self.all_ready() else TICK_SECONDS_STARTING)
            self._guard(self._tick)
        self._give_up_overdue()
        self._start_possible()

    def _wait(self, seconds: float) -> None:
        for key, _ in self._selector.select(seconds):
            if key.fd == self._wake_read:
                os.read(self._wake_read, 4096)
            else:
                self._hear(key.data)
        self._reap()

    def _hear(self, process: Process) -> None:
        """A part wrote that it is ready; or its pipe is closed, and its end follows."""
        said = os.read(process.ready_fd, 1)
        self._selector.unregister(process.ready_fd)
        if not said:
            process.close()
            return
        process.ready(self._clock())
        self._listener.ready(process.part.name, process.became_ready - process.begun, done=False)

    def _start_possible(self) -> None:
        """Starts what waits only for parts that are ready by now."""
        if self._stopping or self.interruptions:
            return
        for process in self._processes.values():
            again = process.state is State.BACKOFF and self._clock() >= process.due
            if again or (process.state is State.WAITING and self._may_start(process.part)):
                self._start(process)

    def _may_start(self, part: Part) -> bool:
        needed = [self._processes.get(name) for name in part.after]
        return all(process and process.state in (State.READY, State.DONE) for process in needed)

    def _start(self, process: Process) -> None:
        """Forks a part, and its probe where it has one."""
        part = process.part
        process.ready_fd, ready_write = os.pipe2(os.O_CLOEXEC)
        gc.freeze()  # what is here now is shared with the children as long as nobody writes to it
        process.starting(self._fork(part.name, part.run, ready_write, part), self._clock())
        if part.probe:
            ask = partial(say_when_ready, part.probe)
            process.probe = self._fork(f"{part.name}-probe", ask, ready_write, part)
        os.close(ready_write)
        self._selector.register(process.ready_fd, selectors.EVENT_READ, process)
        self._guard(lambda: lock.record(self._home, self.pids().items()))

    def _guard(self, work: Callable[[], None]) -> None:
        """Does what the parts can do without: a full disk is no reason to stop them."""
        try:
            work()
        except OSError as error:
            self._listener.trouble(str(error))

    def _fork(self, name: str, run: Callable[[int], object], ready_fd: int, part: Part) -> int:
        child = Child(
            name=name,
            run=run,
            become=self._home.user.become,
            log=None if part.foreground else self._home.log / f"{part.name}.log",
            at_parents_death=part.parting_signal,
            inherited=self._inherited,
        )
        return fork(child, ready_fd)

    def _reap(self) -> None:
        """Notices every process that has ended."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for process in self._processes.values():
                if pid == process.probe:
                    process.probe = 0
                elif pid == process.pid:
                    self._ended(process, status)

    def _ended(self, process: Process, status: int) -> None:
        part = process.part
        if process.ready_fd >= 0 and process.ready_fd in self._selector.get_map():
            self._selector.unregister(process.ready_fd)
        if process.probe:
            lock.stop(process.probe, signal.SIGKILL)
        process.exit_code = os.waitstatus_to_exitcode(status)
        done = part.once and (status == 0 or part.foreground)  # who has spoken to the person needs no explanation
        process.ended(self._clock(), done=done)
        if self._stopping:
            process.state = State.STOPPED
        elif done and part.foreground:
            return
        elif done:
            self._listener.ready(part.name, process.became_ready - process.begun, done=True)
        elif part.once or (not process.was_ready and process.failures >= part.attempts_max):
            raise self._failed(process, describe(status))
        else:
            self._listener.ended(part.name, describe(status), process.due - self._clock())

    def _failed(self, process: Process, how: str) -> Failure:
        """What to tell where a part cannot be started."""
        part = process.part
        log = self._home.log / f"{part.name}.log"
        end = "\n".join(f"    {line}" for line in last_lines(log))
        why = "did not become ready in time" if process.overdue else how
        return Failure(
            f"{part.name} {why}. The end of its log:\n{end}",
            who="The operator of this machine",
            remedy=f"the whole log is {log}; then run `verbund up` again.",
            code=ExitCode.FAILED,
        )

    def _give_up_overdue(self) -> None:
        """Ends parts that have not become ready in time; the end is then noticed like any other."""
        for process in self._processes.values():
            if process.state is State.STARTING and self._clock() >= process.due:
                process.signal(signal.SIGKILL if process.overdue else process.part.hurry_signal)
                process.overdue = True
                process.due = self._clock() + process.part.stop_seconds_max

    def _stop_layer(self, processes: list[Process]) -> None:
        """Asks politely, waits, and uses force; a second signal from the person at the terminal means at once."""
        patience = self.interruptions
        for process in processes:
            process.signal(process.part.stop_signal)
            process.due = self._clock() + process.part.stop_seconds_max
        while any(process.pid for process in processes):
            for process in processes:
                hurried = self.interruptions > max(patience, 1)
                if process.pid and (hurried or self._clock() >= process.due):
                    process.signal(process.part.hurry_signal)
                    process.due = self._clock() + process.part.stop_seconds_max
                    process.part = process.part.forced()
            self._wait(0.1)

    def _end_orphans(self) -> None:
        """Ends the children that dead parts left to us: nothing outlives the supervisor."""
        children = f"/proc/self/task/{os.getpid()}/children"
        while True:
            self._reap()
            with open(children) as file:  # noqa: PTH123 - pathlib needs nothing more here
                pids = file.read().split()
            if not pids:
                return
            for pid in pids:
                lock.stop(int(pid), signal.SIGKILL)
            self._wait(0.05)


def say_when_ready(probe: Callable[[], bool], ready_fd: int) -> None:
    """Asks until the answer is yes, and says so; the supervisor ends it if that takes too long."""
    while not probe():
        time.sleep(PROBE_PAUSE_SECONDS)
    os.write(ready_fd, b"1")
