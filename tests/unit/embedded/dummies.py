"""Supervises parts that do nothing, to try the supervisor alone: `python -m tests.unit.embedded.dummies SCENARIO HOME`.

Prints a line for everything that happens, like `verbund up`.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from verbund.embedded import home as homes
from verbund.embedded import lock
from verbund.embedded.part import Layer, Part
from verbund.embedded.supervisor import Supervisor
from verbund.failure import Failure
from verbund.settings import SettingError

Run = Callable[[int], object]


class Printer:
    """Says what the supervisor says."""

    def ready(self, name: str, seconds: float, *, done: bool) -> None:
        """Prints it."""
        assert seconds >= 0
        print(f"{'done' if done else 'ready'} {name}", flush=True)

    def ended(self, name: str, how: str, delay_seconds: float) -> None:
        """Prints it."""
        print(f"ended {name}: {how} ({'later' if delay_seconds > 0 else 'at once'})", flush=True)

    def trouble(self, what: str) -> None:
        """Prints it."""
        print(f"trouble: {what}", flush=True)


def serve(ready_fd: int, *, after_seconds: float = 0.0, deaf: bool = False) -> None:
    """Becomes ready, and waits to be stopped."""
    if deaf:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(after_seconds)
    os.write(ready_fd, b"1")
    while True:
        signal.pause()


def report_stop(ready_fd: int, *, file: Path, name: str) -> None:
    """Writes down when it is asked to stop."""

    def stop(_number: int, _frame: object) -> None:
        time.sleep(0.1)
        with file.open("a") as lines:
            lines.write(f"{name}\n")
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, stop)
    serve(ready_fd)


def leave_daemon(ready_fd: int) -> None:
    """Starts a process that leaves its family, as daemons do."""
    if os.fork() == 0:
        os.setsid()
        if os.fork():
            os._exit(0)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        while True:
            signal.pause()
    serve(ready_fd)


def fail(_ready_fd: int) -> None:
    """Says why it cannot, and ends."""
    print("the disk is made of cheese", flush=True)
    raise SystemExit(7)


def refuse_setting(_ready_fd: int) -> None:
    """Has a setting that cannot be."""
    raise SettingError("VERBUND_CHEESE_HOLES takes a whole number, not 'many'")


def is_open(number: int) -> bool:
    """Whether a file descriptor is."""
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def describe_itself(ready_fd: int, *, file: Path) -> None:
    """Writes down what it has inherited."""
    names = [os.readlink(f"/proc/self/fd/{number}") for number in range(3, 64) if is_open(number)]  # noqa: PTH115
    handlers = [str(signal.getsignal(number)) for number in (signal.SIGTERM, signal.SIGINT)]
    file.write_text("\n".join([str(os.read(0, 1)), str(os.getsid(0) == os.getpid()), *handlers, *names]))
    serve(ready_fd)


def always_fail_later(ready_fd: int) -> None:
    """Becomes ready, and ends at once."""
    os.write(ready_fd, b"1")
    raise SystemExit(3)


def part(name: str, run: Run, *after: str, layer: Layer = Layer.SERVICE, **more: object) -> Part:
    """A part with patience for tests."""
    return Part(name=name, run=run, layer=layer, after=after, stop_seconds_max=0.5, **more)  # type: ignore[arg-type]


def scenarios(home: Path) -> dict[str, list[Part]]:
    """What can be tried."""
    out = home.parent / "out"
    return {
        "order": [
            part("third", serve, "second"),
            part("second", lambda _: None, "first", once=True),
            part("first", partial(serve, after_seconds=0.2)),
        ],
        "restart": [part("worker", serve)],
        "failing": [part("steady", serve), part("broken", fail, attempts_max=2)],
        "setting": [part("cheese", refuse_setting, attempts_max=1)],
        "once-failing": [part("steady", serve), part("broken", fail, once=True)],
        "slow": [part("slow", partial(serve, after_seconds=60), attempts_max=1, start_seconds_max=0.3)],
        "deaf": [part("deaf", partial(serve, deaf=True))],
        "layers": [
            part("store", partial(report_stop, file=out, name="store"), layer=Layer.STORE),
            part("edge", partial(report_stop, file=out, name="edge"), layer=Layer.GATEWAY),
            part("service", partial(report_stop, file=out, name="service")),
        ],
        "daemon": [part("parent", leave_daemon)],
        "inherit": [part("child", partial(describe_itself, file=out), "other"), part("other", serve)],
        "restless": [part("restless", always_fail_later)],
        "probe": [part("silent", lambda _: signal.pause(), probe=out.exists)],
    }


def main(scenario: str, place: str) -> int:
    """Runs a scenario until it is stopped."""
    home = homes.prepare(Path(place))
    with lock.hold(home) as held:
        for name in lock.clear(home, patience_seconds=0.5):
            print(f"cleared {name}", flush=True)
        supervisor = Supervisor(home, Printer(), inherited=[held])
        try:
            home.user.become()
            supervisor.add(*scenarios(Path(place))[scenario])
            supervisor.run_until(supervisor.all_ready)
            print("all ready", *(f"{name}={pid}" for name, pid in supervisor.pids().items()), flush=True)
            supervisor.run_until(lambda: False)
        except Failure as failure:
            print(failure, flush=True)
            return failure.code
        finally:
            supervisor.stop()
            print("stopped", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
