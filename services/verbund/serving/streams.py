"""Streams that hold a thread while they last: uploads and downloads. Watches hold none: see watches.py.

A worker has threads of their own for them, bounded, so that however slow and many they are, calls find theirs free.
"""

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

from verbund.serving.call import Call, Principal
from verbund.serving.refusals import Exhausted, Late, Refusal, Unauthenticated
from verbund.serving.rpc import Behaviour, Gone, Rpc
from verbund.serving.settings import ServingSettings
from verbund.serving.watches import Stream

DOORS = 4  # threads beyond the streams' own, in which one too many is refused
SWEEP_SECONDS = 0.25
RETRY_SECONDS = 2.0


class Pace:
    """Whether the other side keeps up. Only the time counts in which we wait for it: our own disk may be slow.

    It has `window_seconds` to lose; each byte wins back the time that it may take.
    """

    def __init__(self, *, bytes_per_second_min: int, window_seconds: float, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._bytes_per_second_min = bytes_per_second_min
        self._window_seconds = window_seconds
        self._left_seconds = window_seconds
        self._waiting_since: float | None = None

    def wait(self) -> None:
        """From now on we wait."""
        self._waiting_since = self._clock()

    def moved(self, size: int) -> None:
        """What we waited for has come, or gone."""
        won = size / self._bytes_per_second_min
        self._left_seconds = min(self._window_seconds, self._left_seconds - self._waited() + won)
        self._waiting_since = None

    def too_slow(self) -> bool:
        """Whether it has lost all its time."""
        return self._waited() >= self._left_seconds

    def _waited(self) -> float:
        since = self._waiting_since
        return 0.0 if since is None else self._clock() - since


def pace_of(settings: ServingSettings) -> Pace:
    """The pace that the settings ask for."""
    return Pace(
        bytes_per_second_min=settings.stream_bytes_per_second_min,
        window_seconds=settings.stream_pace_seconds,
        clock=time.monotonic,
    )


class Flow:
    """One open stream: what comes and goes is counted, and it can be ended from outside."""

    def __init__(self, call: Call, stream: Stream, pace: Pace, *, taking: bool) -> None:
        self.call = call
        self._stream = stream
        self._pace = pace
        self._taking = taking

    def received(self, bodies: Iterator[bytes]) -> Iterator[bytes]:
        """The messages as they come; raises Gone where the caller went away, or the stream was ended."""
        while True:
            self._pace.wait()
            try:
                body = next(bodies, None)
                if body is None:
                    # A stream that was cut off may look ended for a moment, and half a file whole. Whoever asks again
                    # is answered after gRPC has learnt the truth: it handles what it learns in order.
                    next(bodies, None)
            except grpc.RpcError:
                raise Gone from None
            self._pace.moved(len(body or b""))
            if self._stream.ended:
                raise Gone
            if body is None:
                return
            self._check()
            yield body

    def send(self, body: bytes) -> None:
        """Sends one message; raises Gone where the caller went away."""
        self._pace.wait()
        active = self._stream.send(body)
        self._pace.moved(len(body))
        if not active or self._stream.ended:
            raise Gone
        self._check()

    def overdue(self, *, revoked: bool) -> Refusal | None:
        """Why the stream is to end, where it is."""
        if revoked:
            return Unauthenticated("TOKEN_INVALID")
        if self.call.remaining_seconds() <= 0:
            return Late()
        if self._pace.too_slow():
            return Exhausted(limit="stream pace", retry_seconds=RETRY_SECONDS, reason="STREAM_TOO_SLOW")
        return None

    def end(self, refusal: Refusal) -> None:
        """Ends it while its own thread waits for the caller.

        Who sends nothing hears why. Who takes nothing would not: the reason would stand behind what it does not take.
        """
        if self._taking:
            self._stream.end(refusal, self.call.trace_id)
        else:
            self._stream.cut(refusal)

    def _check(self) -> None:
        """Raises the refusal of a stream that is too slow or too long."""
        if refusal := self.overdue(revoked=False):
            raise refusal


class Places:
    """A number of places, of which one organisation has at most half: its streams cannot hold up everybody's."""

    def __init__(self, total_max: int) -> None:
        self._total_max = total_max
        self._per_organisation_max = max(1, total_max // 2)
        self._taken = 0
        self._organisations: Counter[str] = Counter()
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def place(self, organisation: str) -> Iterator[None]:
        """Holds a place; raises Exhausted where none is free."""
        with self._lock:
            if self._taken >= self._total_max:
                raise Exhausted(limit="streams", retry_seconds=RETRY_SECONDS)
            if self._organisations[organisation] >= self._per_organisation_max:
                raise Exhausted(limit="streams per organisation", retry_seconds=RETRY_SECONDS)
            self._taken += 1
            self._organisations[organisation] += 1
        try:
            yield
        finally:
            with self._lock:
                self._taken -= 1
                self._organisations[organisation] -= 1
                if not self._organisations[organisation]:
                    del self._organisations[organisation]


class Streams:
    """The interceptor that gives each stream its place, and looks after all of them. One a worker."""

    def __init__(self, settings: ServingSettings, revoked: Callable[[Principal], bool]) -> None:
        self._settings = settings
        self._revoked = revoked
        self._open: set[Flow] = set()
        self._places = Places(settings.streams_max)
        self._lock = threading.Lock()
        self._sweeper: threading.Thread | None = None
        self.pool = ThreadPoolExecutor(settings.streams_max + DOORS, thread_name_prefix="stream")

    def wrap(self, rpc: Rpc, behaviour: Behaviour) -> Behaviour:
        """Calls `behaviour(request, call, flow)` for a stream that has a place; raises Exhausted otherwise."""
        if not rpc.holding:
            return behaviour

        def placed(request: Any, call: Call, stream: Stream) -> None:
            flow = Flow(call, stream, pace_of(self._settings), taking=rpc.takes_stream)
            with self._places.place(call.organisation), self._watched(flow):
                behaviour(flow.received(request) if rpc.takes_stream else request, call, flow)

        return placed

    @contextlib.contextmanager
    def _watched(self, flow: Flow) -> Iterator[None]:
        """Has the sweeper look after the stream."""
        with self._lock:
            self._open.add(flow)
            if self._sweeper is None:
                self._sweeper = threading.Thread(target=self._sweep, name="stream-sweeper", daemon=True)
                self._sweeper.start()
        try:
            yield
        finally:
            with self._lock:
                self._open.discard(flow)

    def close(self) -> None:
        """Lets the threads end with what they do."""
        self.pool.shutdown(wait=False)

    def _sweep(self) -> None:
        """Ends what is too slow, too long or revoked, until nothing is open."""
        while True:
            time.sleep(SWEEP_SECONDS)
            with self._lock:
                if not self._open:
                    self._sweeper = None
                    return
                flows = list(self._open)
            for flow in flows:
                refusal = flow.overdue(revoked=self._revoked(flow.call.principal))
                if refusal is not None:
                    flow.end(refusal)


def holding(behaviour: Behaviour, pool: ThreadPoolExecutor) -> Behaviour:
    """The behaviour of a stream as grpcio wants it, in the streams' own threads.

    Both kinds are registered as streams of answers that are sent by a function: on the wire one answer is a stream of
    one, and only so can a stream be ended with a reason while its thread waits for the caller.
    """

    def opened(request: Any, context: grpc.ServicerContext, send: Callable[[bytes | None], None]) -> None:
        stream = Stream(context, send)
        try:
            behaviour(request, context, stream)
        except Gone:
            return
        except Exception:
            if stream.claim():
                raise
            return  # it was ended from outside meanwhile: it has its status
        stream.end()

    opened.experimental_non_blocking = True  # type: ignore[attr-defined]
    opened.experimental_thread_pool = pool  # type: ignore[attr-defined]
    return opened


def carried_out(rpc: Rpc, method: Callable[..., Any]) -> Behaviour:
    """The servicer's method, with its answer or its answers sent."""

    def carried(request: Any, call: Call, flow: Flow) -> None:
        if not rpc.gives_stream:
            flow.send(serialise(method(request, call)))
            return
        with contextlib.closing(method(request, call)) as answers:
            for answer in answers:
                flow.send(serialise(answer))

    return carried


def serialise(answer: Any) -> bytes:
    """The answer as bytes; a servicer that has the bytes already gives them as they are."""
    return answer if isinstance(answer, bytes) else bytes(answer.SerializeToString())
