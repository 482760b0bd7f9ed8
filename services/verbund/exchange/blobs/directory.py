"""Contents in a local directory, each under its SHA-256: `sha256/ab/cd…`.

What is placed there is on the disk: its bytes, its name, and the directory that holds the name.
"""

import contextlib
import ctypes
import errno
import fcntl
import hashlib
import os
import re
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

import structlog

from verbund.files import sync_directory
from verbund.serving.refusals import Exhausted

LIBC = ctypes.CDLL(None, use_errno=True)
SYNC_FILE_RANGE_WRITE = 2  # linux/fs.h: begin to write, and do not wait
PUSH_BYTES = 8 * 1024 * 1024
FREE_CHECK_BYTES = 4 * 1024 * 1024  # of each upload: what all of them write unseen must fit in what is left free
LOCKING_SECONDS = 2.0  # more than any process needs from making a file to locking it
RETRY_SECONDS = 10.0
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
HEXADECIMAL = "0123456789abcdef"
DIGEST = re.compile(r"[0-9a-f]{64}")

log = structlog.get_logger(__name__)


class Damaged(Exception):  # noqa: N818 - says what is the case
    """A content is not there, or shorter or longer than it was when it was placed: a fault of the mesh."""


class BlobDirectory:
    """The contents of all deliveries. Several processes may use one directory."""

    def __init__(self, root: Path, *, free_bytes_min: int) -> None:
        self._root = root
        self._incoming = root / "incoming"
        self._placed = root / "sha256"
        self._free_bytes_min = free_bytes_min

    def prepare(self) -> None:
        """Makes the directories, so that no placing has to, and removes what killed processes left; raises OSError."""
        for directory in (self._root, self._incoming, self._placed):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for first in HEXADECIMAL:
            for second in HEXADECIMAL:
                (self._placed / f"{first}{second}").mkdir(mode=0o700, exist_ok=True)
        for directory in (self._placed, self._root, self._root.parent):
            sync_directory(directory)
        self.sweep_incoming()

    @contextlib.contextmanager
    def incoming(self) -> Iterator["Incoming"]:
        """A content on its way in; what was not placed is gone at the end. Raises Exhausted where there is no room."""
        with full_refused():
            self.check_room()
            path = self._incoming / secrets.token_hex(16)
            handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)  # says that its writer lives
            yield Incoming(self, handle, path)
        finally:
            path.unlink(missing_ok=True)
            os.close(handle)

    def check_room(self) -> None:
        """Raises Exhausted where the disk is nearly full: what else lives on it needs the rest."""
        state = os.statvfs(self._incoming)
        if state.f_bavail * state.f_frsize < self._free_bytes_min:
            raise full()

    def path_of(self, digest: str) -> Path:
        """Where a content lies; `digest` is its SHA-256 in hexadecimal digits."""
        if not DIGEST.fullmatch(digest):
            raise ValueError("not a SHA-256 in hexadecimal digits")
        return self._placed / digest[:2] / digest[2:]

    @contextlib.contextmanager
    def open(self, digest: str, size_bytes: int) -> Iterator["Blob"]:
        """A content, to be read; raises Damaged where it is not there with this size."""
        blob = Blob(self.path_of(digest), size_bytes)
        try:
            yield blob
        finally:
            blob.close()

    def old(self, prefix: str, *, age_seconds: float) -> Iterator[str]:
        """The digests of the contents below a prefix of two digits that were placed longer ago than this."""
        before = time.time() - age_seconds
        with os.scandir(self._placed / prefix) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):
                    if entry.stat(follow_symlinks=False).st_mtime < before:
                        yield prefix + entry.name

    def remove(self, digest: str, *, age_seconds: float) -> bool:
        """Removes a content, unless it was placed again meanwhile."""
        path = self.path_of(digest)
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_mtime < time.time() - age_seconds:
                path.unlink()
                return True
        return False

    def sweep_incoming(self) -> int:
        """Removes what processes that were killed left half written, and tells how many files that was."""
        found = 0
        with os.scandir(self._incoming) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):  # its writer lives, or it is gone
                    if entry.stat().st_mtime < time.time() - LOCKING_SECONDS:
                        remove_unlocked(Path(entry.path))
                        found += 1
        return found


class Incoming:
    """A content while it comes in: counted and hashed as it is written."""

    def __init__(self, directory: BlobDirectory, handle: int, path: Path) -> None:
        self._directory = directory
        self._handle = handle
        self._path = path
        self._digest = hashlib.sha256()
        self._checked = 0
        self._pushed = 0
        self.size_bytes = 0

    @property
    def digest(self) -> str:
        """The SHA-256 of what was written, in hexadecimal digits."""
        return self._digest.hexdigest()

    def write(self, data: bytes) -> None:
        """Takes the next bytes; raises Exhausted where there is no room for them."""
        with full_refused():
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(self._handle, rest) :]
        self._digest.update(data)
        self.size_bytes += len(data)
        if self.size_bytes - self._pushed >= PUSH_BYTES:
            self._push()
        if self.size_bytes - self._checked >= FREE_CHECK_BYTES:
            self._directory.check_room()
            self._checked = self.size_bytes

    def _push(self) -> None:
        """Has the disk begin with what came since the last time, so that `sync` waits for the rest only.

        It promises nothing, and its failure means nothing: `sync` says what is on the disk.
        """
        size = self.size_bytes - self._pushed
        LIBC.sync_file_range(self._handle, ctypes.c_int64(self._pushed), ctypes.c_int64(size), SYNC_FILE_RANGE_WRITE)
        self._pushed = self.size_bytes

    def sync(self) -> None:
        """Waits until the bytes are on the disk; raises Exhausted where there is no room."""
        with full_refused():
            os.fsync(self._handle)

    def place(self) -> None:
        """Gives the content, synced before, its name for good; one that is there already is replaced by its like."""
        target = self._directory.path_of(self.digest)
        with full_refused():
            self._path.rename(target)
            sync_directory(target.parent)


class Blob:
    """A content, read in ranges. Any thread may read."""

    def __init__(self, path: Path, size_bytes: int) -> None:
        self._handle = -1
        try:
            self._handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise Damaged(f"{path} is not there") from None
        self.size_bytes = size_bytes
        found = os.fstat(self._handle).st_size
        if found != size_bytes:
            self.close()
            raise Damaged(f"{path} has {found} bytes instead of {size_bytes}")

    def read(self, offset: int, size: int) -> bytes:
        """Exactly these bytes; raises Damaged where they are not all there."""
        parts = []
        while size > 0:
            part = os.pread(self._handle, size, offset)
            if not part:
                raise Damaged("a content ended before its end")
            parts.append(part)
            offset, size = offset + len(part), size - len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def pieces(self, start: int, end: int, size: int) -> Iterator[bytes]:
        """The bytes from `start` up to `end` in pieces of this size."""
        for offset in range(start, end, size):
            yield self.read(offset, min(size, end - offset))

    def close(self) -> None:
        """Lets go of the file."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


def full() -> Exhausted:
    """The refusal for want of room."""
    return Exhausted(limit="storage", retry_seconds=RETRY_SECONDS, reason="STORAGE_FULL")


@contextlib.contextmanager
def full_refused() -> Iterator[None]:
    """Raises Exhausted where the disk or the quota is full."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            log.warning("storage full", cause=errno.errorcode[error.errno or 0])
            raise full() from None
        raise


def remove_unlocked(path: Path) -> None:
    """Removes a file that no living process writes; raises OSError where one does."""
    handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink()
    finally:
        os.close(handle)
