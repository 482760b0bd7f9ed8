"""The feed of a worker: reads each new entry once, and hands it to every watch that may see it.

One thread listens and reads; another brings resuming watches up to date. An entry is converted once for each thing that
callers are told of it, however many watch; while nobody watches, nothing is read.
"""

import contextlib
import dataclasses
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

import structlog
from google.protobuf.message import Message

from verbund.database.database import Database
from verbund.database.rows import Rows
from verbund.feeds.cursors import Cursor
from verbund.feeds.reading import Rest, horizon
from verbund.serving.call import Call
from verbund.serving.refusals import Refusal
from verbund.serving.watches import QUEUE_MAX, EndCause, Watch

PAGE = 200
PAGE_BYTES_MAX = 4 * 1024 * 1024
BACKLOG_BYTES_MAX = 256 * 1024  # of a page that is read for one watch alone, and of what it waits for before the next
WAITING_BYTES_MAX = 4 * 1024 * 1024  # of entries that many watches share
RECENT_MAX = 500  # entries kept in memory, so that a watch can join between two readings
RECENT_BYTES_MAX = 8 * 1024 * 1024
RETRY_SECONDS = 1.0
GAP_SECONDS = 0.01  # between two readings, so that many entries are read together
WAIT_SECONDS_MIN = 0.002  # while an entry waits for an older transaction to end
WAIT_SECONDS_MAX = 0.1
CALL_SECONDS = 10.0
log = structlog.get_logger(__name__)


class Published(Protocol):
    """An entry, and what it looks like to those who are told of it."""

    @property
    def cursor(self) -> Cursor:
        """Where it stands in the feed."""

    @property
    def resource(self) -> str:
        """The resource that it is about."""

    @property
    def size(self) -> int:
        """About how many bytes it takes in memory."""

    def shows(self, organisation: str) -> bool:
        """Whether callers of an organisation see the resource after it."""

    def message(self, organisation: str) -> bytes | None:
        """The message for callers of an organisation; None where they may not know."""


Entry = TypeVar("Entry")
Item = TypeVar("Item", bound=Published)


class Source(Protocol[Entry]):
    """The table of what happened."""

    def feed(self, rows: Rows, after: Cursor, *, size: int, bytes_max: int) -> tuple[list[Entry], Rest]:
        """The settled entries after a cursor, in the feed's order, for those who may see everything."""

    def backlog(self, rows: Rows, after: Cursor, *, size: int, bytes_max: int) -> tuple[list[Entry], Rest]:
        """The same for one caller."""


class Follower(ABC, Generic[Item]):
    """A watch of the feed: which entries it is for, and how far it has come."""

    def __init__(self, call: Call, after: Cursor) -> None:
        self.call = call
        self.after = after
        self.watch: Watch | None = None
        self._lock = threading.Lock()
        self._ended = False

    @abstractmethod
    def wants(self, published: Item) -> bool:
        """Whether an entry is one that the watch asked for."""

    @abstractmethod
    def first_message(self) -> Message:
        """The watch stands, and goes on from `after`."""

    @abstractmethod
    def last_message(self, cause: EndCause) -> Message:
        """The watch ends, and can be gone on with from `after`."""

    def begin(self, watch: Watch) -> None:
        """Offers the first message."""
        with self._lock:
            self.watch = watch
            watch.offer(self.first_message())

    def take(self, published: Item, latest: Item | None = None) -> None:
        """Offers an entry that comes after what the watch has, if it is for it.

        What the `latest` entry of the resource withdrew is not shown again; of it comes that it went.
        """
        with self._lock:
            if self._ended or self.watch is None or published.cursor <= self.after:
                return
            self.after = published.cursor
            if not self.wants(published):
                return
            organisation = self.call.organisation
            message = published.message(organisation)
            withdrawn = latest is not None and published.shows(organisation) and not latest.shows(organisation)
            if message is not None and not withdrawn:
                self.watch.offer(message)

    def skip(self, to: Cursor) -> None:
        """Nothing up to here is for this watch."""
        with self._lock:
            self.after = max(self.after, to)

    def end(self, cause: EndCause) -> Message:
        """The last message. No entry is offered after it, so its token names exactly what was."""
        with self._lock:
            self._ended = True
            return self.last_message(cause)

    @property
    def active(self) -> bool:
        """Whether it still takes changes."""
        return not self._ended and self.watch is not None and self.watch.active

    def has_room(self, count: int, *, bytes_max: int = WAITING_BYTES_MAX) -> bool:
        """Whether so many entries fit behind what its reader has not yet taken, and a page of new ones."""
        if self.watch is None or self.watch.waiting_bytes >= bytes_max:
            return False
        return self.watch.waiting + count + PAGE < QUEUE_MAX


class Feed(Generic[Entry, Item]):
    """Reads entries as the jobs role, and hands them out. `start` it; `close` ends it."""

    def __init__(
        self,
        jobs: Database,
        service: Database,
        source: Source[Entry],
        publish: Callable[[Entry], Item],
        *,
        channel: str,
        look_seconds: float,
    ) -> None:
        self._jobs = jobs
        self._service = service
        self._source = source
        self._published = publish
        self._channel = channel
        self._look_seconds = look_seconds
        self._lock = threading.Lock()  # of everything below
        self._followers: set[Follower[Item]] = set()
        self._recent: deque[Item] = deque()
        self._recent_bytes = 0
        self._floor = self._reached = Cursor(0, 0)  # what lies between them is in `recent`
        self._lagging: deque[Follower[Item]] = deque()
        self._reading = threading.Lock()
        self._attention = threading.Event()  # for the thread that looks after watches
        self._listening = threading.Event()
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._listen, name="feed", daemon=True),
            threading.Thread(target=self._attend, name="feed-backlog", daemon=True),
        ]

    def start(self) -> None:
        """Starts to listen."""
        for thread in self._threads:
            thread.start()

    def ready(self) -> bool:
        """Whether watches can be taken."""
        return self._listening.is_set()

    def close(self) -> None:
        """Stops reading; a NOTIFY of its own wakes the listening thread."""
        self._stopping.set()
        self._attention.set()
        with contextlib.suppress(Refusal), self._jobs.transaction(Call.internal(f"{self._channel}.feed.close")) as tx:
            tx.notify(self._channel)
        for thread in self._threads:
            thread.join(timeout=self._look_seconds + RETRY_SECONDS)

    def follow(self, follower: Follower[Item], settled: Cursor) -> None:
        """Brings a watch up to date and keeps it so. `settled`: nothing commits before it any more."""
        with self._lock:
            if not self._followers and settled > self._reached:  # nobody watched, so what is kept is outdated
                self._recent.clear()
                self._recent_bytes = 0
                self._floor = self._reached = settled
        if not self._join(follower):
            self._lagging.append(follower)
        if follower.watch is not None:
            follower.watch.on_close(lambda: self._leave(follower))
        self._attention.set()

    def _join(self, follower: Follower[Item]) -> bool:
        """Takes a watch in if everything after its cursor is at hand: nothing is missed, and nothing comes twice."""
        with self._lock:
            if follower.after < self._floor:
                return False
            missing = [published for published in self._recent if published.cursor > follower.after]
            if not follower.has_room(len(missing)):
                return False
            latest = {published.resource: published for published in missing}
            for published in missing:
                follower.take(published, latest[published.resource])
            if follower.active:
                self._followers.add(follower)
        return True

    def _leave(self, follower: Follower[Item]) -> None:
        with self._lock:
            self._followers.discard(follower)

    def _listen(self) -> None:
        """Reads when woken, and every few seconds whether woken or not. Ends with `close`."""
        with contextlib.closing(self._jobs.listen(self._channel, wait_seconds=self._look_seconds)) as woken:
            for _ in woken:
                self._listening.set()
                if self._stopping.is_set():
                    return
                self._look()
                self._stopping.wait(GAP_SECONDS)

    def _look(self) -> None:
        """Reads what is new, if anybody watches; what fails is made up for by the next look."""
        if not self._followers or not self._reading.acquire(blocking=False):
            return
        try:
            self._read_new()
        except Refusal as refusal:
            log.warning("feed waits", reason=refusal.reason)
        except Exception:
            log.exception("feed failed")
        finally:
            self._reading.release()

    def _read_new(self) -> None:
        """Publishes every entry that can be read, and waits for those that an older transaction holds back."""
        pause = WAIT_SECONDS_MIN
        while not self._stopping.is_set():
            with self._jobs.read(Call.internal(f"{self._channel}.feed", deadline_seconds=CALL_SECONDS)) as rows:
                entries, rest = self._source.feed(rows, self._reached, size=PAGE, bytes_max=PAGE_BYTES_MAX)
            self._publish([self._published(entry) for entry in entries])
            if rest is Rest.NOTHING:
                return
            if rest is Rest.UNSETTLED:
                self._stopping.wait(pause)
                pause = min(pause * 2, WAIT_SECONDS_MAX)

    def _publish(self, items: list[Item]) -> None:
        """Hands entries to the watches, and keeps the latest."""
        for published in items:
            with self._lock:
                if published.cursor <= self._reached:
                    continue  # the first watch after a pause began further on
                self._reached = published.cursor
                self._keep(published)
                behind = [follower for follower in self._followers if not follower.has_room(0)]
                self._followers.difference_update(behind)
                for follower in self._followers:
                    follower.take(published)
            if behind:  # a reader slower than the entries reads the rest from the table, as fast as it can
                self._lagging.extend(behind)
                self._attention.set()

    def _keep(self, published: Item) -> None:
        self._recent.append(published)
        self._recent_bytes += published.size
        while len(self._recent) > RECENT_MAX or self._recent_bytes > RECENT_BYTES_MAX:
            dropped = self._recent.popleft()
            self._recent_bytes -= dropped.size
            self._floor = dropped.cursor

    def _attend(self) -> None:
        """Reads for watches that have just joined, and the backlogs of others, a page each in turn, until they can."""
        while not self._stopping.is_set():
            self._attention.wait()
            self._attention.clear()
            self._look()
            while self._lagging and not self._stopping.is_set():
                progress = [self._advance(follower) for follower in self._turn()]
                if not any(progress):
                    self._stopping.wait(WAIT_SECONDS_MAX)

    def _turn(self) -> list[Follower[Item]]:
        """The first lagging watch of each organisation: however many one has, another's does not wait for them."""
        waiting = [self._lagging.popleft() for _ in range(len(self._lagging))]
        first = {follower.call.organisation: follower for follower in reversed(waiting)}
        self._lagging.extendleft(each for each in reversed(waiting) if each is not first[each.call.organisation])
        return list(first.values())

    def _advance(self, follower: Follower[Item]) -> bool:
        """Gives a lagging watch its next page; tells whether that led anywhere."""
        if not follower.active:
            return True
        moved = False
        try:
            moved = follower.has_room(PAGE, bytes_max=BACKLOG_BYTES_MAX) and self._read_backlog(follower)
        except Refusal as refusal:
            log.warning("backlog waits", reason=refusal.reason)
        except Exception:
            log.exception("backlog failed")
        if not (moved and self._join(follower)):
            self._lagging.append(follower)
        elif not self._stopping.is_set():
            self._look()
        return moved

    def _read_backlog(self, follower: Follower[Item]) -> bool:
        """One page of what the caller may see, read as the caller under row-level security."""
        call = dataclasses.replace(follower.call, deadline=time.monotonic() + CALL_SECONDS)
        with self._service.read(call) as rows:
            settled, _ = horizon(rows)
            entries, rest = self._source.backlog(rows, follower.after, size=PAGE, bytes_max=BACKLOG_BYTES_MAX)
        for entry in entries:
            follower.take(self._published(entry))
        if rest is not Rest.MORE:
            follower.skip(settled)  # whatever is left before it is not for this caller
        return True
