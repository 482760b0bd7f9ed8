"""Watches: streams that stay open and hold no worker.

They stand on one experimental attribute of grpcio, `experimental_non_blocking`, which hands a handler a function to
send with, and lets its thread go: see docs/adr/0005. Nothing outside this file, streams.py and server.py knows of it.
"""

import queue
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from enum import Enum
from typing import Any, TypeVar

import grpc
import structlog
from google.protobuf.message import Message
from grpc_status import rpc_status

from verbund.serving.call import Call, Principal
from verbund.serving.refusals import Down, Exhausted, Refusal
from verbund.serving.status import status_of

QUEUE_MAX = 1000  # messages that a slow reader may be behind
SLOW_SECONDS = 10.0  # how long one message may wait for its reader
SWEEP_SECONDS = 0.5
RESUME_SECONDS = 0.1
log = structlog.get_logger(__name__)
Method = TypeVar("Method", bound=Callable[..., None])


def watching(method: Method) -> Method:
    """Marks a servicer's method `def Watch(self, request, call, stream)` that returns at once and goes on sending."""
    method.watching = True  # type: ignore[attr-defined]
    return method


class EndCause(Enum):
    """Why the service ends a watch."""

    TOKEN = "token"  # noqa: S105 - it expired, or was revoked
    DRAIN = "drain"
    AGE = "age"


class Stream:
    """The sending side of a watch. `send` waits until the message is with the transport."""

    def __init__(self, context: grpc.ServicerContext, send: Callable[[bytes | None], None]) -> None:
        self._context = context
        self._send = send
        self.ended = False  # by the service, not by the reader
        self._lock = threading.Lock()

    @property
    def active(self) -> bool:
        """Whether the reader is still there."""
        return bool(self._context.is_active())

    def on_close(self, callback: Callable[[], None]) -> None:
        """Calls `callback` once the stream has ended, at once where it has."""
        if not self._context.add_callback(callback):
            callback()

    def send(self, message: bytes) -> bool:
        """Sends one serialised message; False where the reader has gone."""
        self._send(message)
        return self.active

    def claim(self) -> bool:
        """Whether whoever asks is the one to end the stream: a second status would be an error."""
        with self._lock:
            first, self.ended = not self.ended, True
            return first

    def end(self, refusal: Refusal | None = None, trace_id: str = "") -> None:
        """Ends the stream, as it should or with a refusal, unless it has ended."""
        if not self.claim():
            return
        if refusal is not None:
            status: Any = rpc_status.to_status(status_of(refusal, trace_id=trace_id))
            self._context.set_code(status.code)
            self._context.set_details(status.details)
            self._context.set_trailing_metadata(status.trailing_metadata)
        self._send(None)

    def cut(self, refusal: Refusal | None = None) -> None:
        """Breaks the stream off; `refusal` is the cause as far as our own records go."""
        if refusal is not None:
            if not self.claim():
                return
            self._context.set_code(rpc_status.to_status(status_of(refusal)).code)
        self._context.cancel()


class Watch:
    """One open watch: what is offered is sent in order, by one thread at a time."""

    def __init__(self, call: Call, stream: Stream, senders: "Senders") -> None:
        self.call = call
        self.opened = time.monotonic()
        self.position: Any = None  # the owner's: what the last offered message names, for the end message
        self._stream = stream
        self._senders = senders
        self.waiting_bytes = 0  # of the messages that its reader has not taken yet
        self._queue: deque[bytes | None] = deque()
        self._lock = threading.Lock()
        self._sending = False
        self._sending_since = 0.0
        self._ended = False
        self._refusal: Refusal | None = None

    @property
    def active(self) -> bool:
        """Whether more may be offered."""
        return not self._ended and self._stream.active

    @property
    def waiting(self) -> int:
        """How many messages its reader has not taken yet."""
        return len(self._queue)

    def offer(self, message: Message | bytes) -> None:
        """Queues a message. A reader who is too far behind is refused: it resumes from the last token it has."""
        body = message if isinstance(message, bytes) else message.SerializeToString()
        with self._lock:
            if self._ended:
                return
            if len(self._queue) >= QUEUE_MAX:
                self._clear()
                self._refusal = Exhausted(limit="watch backlog")
                self._finish()
            else:
                self._queue.append(body)
                self.waiting_bytes += len(body)
            self._start()

    def end(self, last: Message | bytes) -> None:
        """Queues the last message, and ends the stream after it."""
        self.offer(last)
        with self._lock:
            self._finish()
            self._start()

    def on_close(self, callback: Callable[[], None]) -> None:
        """Calls `callback` once the stream has ended."""
        self._stream.on_close(callback)

    def slow(self, now: float) -> bool:
        """Whether one message has been waiting for its reader too long."""
        return self._sending and now - self._sending_since > SLOW_SECONDS

    def cut(self) -> None:
        """Breaks the stream off."""
        with self._lock:
            self._ended = True
            self._clear()
        self._stream.cut()

    def _finish(self) -> None:
        if not self._ended:
            self._ended = True
            self._queue.append(None)

    def _clear(self) -> None:
        self._queue.clear()
        self.waiting_bytes = 0

    def _start(self) -> None:
        if not self._sending and self._queue:
            self._sending = True
            self._sending_since = time.monotonic()
            self._senders.put(self)

    def send_all(self) -> None:
        """Sends what is queued, until nothing is."""
        while True:
            with self._lock:
                if not self._queue:
                    self._sending = False
                    return
                message = self._queue.popleft()
                self.waiting_bytes -= len(message or b"")
                self._sending_since = time.monotonic()
            if message is None:
                self._stream.end(self._refusal, self.call.trace_id)
            elif not self._stream.send(message):
                with self._lock:
                    self._ended = True
                    self._clear()


class Senders:
    """The threads that send. An executor makes a future for each message, and half as much CPU again."""

    def __init__(self, threads: int) -> None:
        self._waiting: queue.SimpleQueue[Watch | None] = queue.SimpleQueue()
        self._threads = [threading.Thread(target=self._send, name="watch", daemon=True) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    def put(self, watch: Watch) -> None:
        """Has what the watch has queued sent, soon."""
        self._waiting.put(watch)

    def stop(self) -> None:
        """Ends each thread after what was put before."""
        for _ in self._threads:
            self._waiting.put(None)

    def _send(self) -> None:
        while (watch := self._waiting.get()) is not None:
            try:
                watch.send_all()
            except Exception:
                log.exception("watch broken")
                watch.cut()


class Watches:
    """All open watches of a worker: bounded, and ended in time with a message that says where to go on."""

    def __init__(
        self,
        *,
        end: Callable[[Watch, EndCause], Message],
        accepts: Callable[[Principal], bool],
        total_max: int,
        per_organisation_max: int,
        seconds_max: float,
        threads: int = 4,
    ) -> None:
        self._end = end
        self._accepts = accepts
        self._total_max = total_max
        self._per_organisation_max = per_organisation_max
        self._seconds_max = seconds_max
        self._threads = threads
        # Each organisation has its own: readers who are slow hold up nobody else's.
        self._senders: dict[str, Senders] = {}
        self._open: set[Watch] = set()
        self._organisations: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._sweeper = threading.Thread(target=self._sweep, name="watch-sweeper", daemon=True)
        self._sweeper.start()

    def open(self, call: Call, stream: Stream, *, position: Any = None) -> Watch:
        """A new watch, which may end at once; raises Exhausted where there are too many, and Down while draining."""
        with self._lock:
            if self._stopping.is_set():
                raise Down(retry_seconds=RESUME_SECONDS)  # another worker takes it
            if len(self._open) >= self._total_max:
                raise Exhausted(limit="watches")
            if self._organisations[call.organisation] >= self._per_organisation_max:
                raise Exhausted(limit="watches per organisation")
            if call.organisation not in self._senders:
                self._senders[call.organisation] = Senders(self._threads)
            watch = Watch(call, stream, self._senders[call.organisation])
            watch.position = position
            self._open.add(watch)
            self._organisations[call.organisation] += 1
        watch.on_close(lambda: self._forget(watch))
        return watch

    def __len__(self) -> int:
        return len(self._open)

    def drain(self, seconds_max: float) -> None:
        """Ends every watch with its last message, cuts off who does not read it in time, and takes no more."""
        self._stopping.set()
        for watch in self._current():
            watch.end(self._end(watch, EndCause.DRAIN))
        deadline = time.monotonic() + seconds_max
        while self._open and time.monotonic() < deadline:
            time.sleep(0.01)
        for watch in self._current():
            watch.cut()
        self._sweeper.join(timeout=SWEEP_SECONDS * 2)
        with self._lock:
            for senders in self._senders.values():
                senders.stop()

    def _current(self) -> list[Watch]:
        with self._lock:
            return list(self._open)

    def _forget(self, watch: Watch) -> None:
        with self._lock:
            if watch not in self._open:
                return
            self._open.discard(watch)
            organisation = watch.call.organisation
            self._organisations[organisation] -= 1
            if not self._organisations[organisation]:
                del self._organisations[organisation]
                self._senders.pop(organisation).stop()

    def _sweep(self) -> None:
        """Ends what has outlived its token or its age, and cuts off who does not read."""
        while not self._stopping.wait(SWEEP_SECONDS):
            now = time.monotonic()
            for watch in self._current():
                if watch.slow(now):
                    watch.cut()
                elif not self._accepts(watch.call.principal):
                    watch.end(self._end(watch, EndCause.TOKEN))
                elif now - watch.opened > self._seconds_max:
                    watch.end(self._end(watch, EndCause.AGE))
