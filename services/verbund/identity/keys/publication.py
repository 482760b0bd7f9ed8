"""Publishes the public keys and the revocations as files: whoever verifies tokens reads them and needs no service.

Writers take turns by a lock on a file beside them, read the database while they hold it, and replace whole files. So
what a writer puts in place is never older than what lies there, and a writer killed at any moment leaves whole files
that the next one brings up to date.
"""

import contextlib
import fcntl
import json
import os
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from verbund.clock import Clock
from verbund.database.database import Database
from verbund.files import sync_directory
from verbund.identity.keys.domain import MARGIN, KeyState
from verbund.identity.keys.store import KeyStore
from verbund.serving.call import Call
from verbund.serving.refusals import Refusal

JWKS = "jwks.json"
REVOCATIONS = "revocations.json"
LOCK = ".publication.lock"
# While something is suspended, tokens issued at any time are refused: 9999-12-31.
FOREVER = 253_402_300_799
SOON_SECONDS = 1.0
POLL_SECONDS = 0.01
DEADLINE_SECONDS = 5.0


class Publisher:
    """Keeps the files equal to the database."""

    def __init__(
        self, *, database: Database, keys: KeyStore, directory: Path, token_life: timedelta, clock: Clock
    ) -> None:
        self._database = database
        self._keys = keys
        self._directory = directory
        self._kept = token_life + MARGIN  # after that, what is revoked has expired
        self._clock = clock
        self._turn = threading.Lock()
        self._published = False

    def ready(self) -> bool:
        """Whether a published key signs, so that tokens can be issued and verified."""
        return self._published

    def publish(self) -> bool:
        """Brings the files up to date; False where another writer has its turn, who may have read too early."""
        with self._turn, turn(self._directory / LOCK) as mine:
            if mine:
                self._publish()
            return mine

    def keep(self) -> None:
        """One round of the job that keeps the files equal: where another writer has its turn, the next one does."""
        self.publish()

    def publish_soon(self) -> None:
        """Publishes now where that is possible within a moment; otherwise the job that publishes will soon do it."""
        until = time.monotonic() + SOON_SECONDS
        with contextlib.suppress(Refusal, OSError):  # the change is committed: its answer must not depend on this
            while not self.publish() and time.monotonic() < until:
                time.sleep(POLL_SECONDS)

    def _publish(self) -> None:
        """With the turn: reads, writes what differs, and notes which keys are published now."""
        now = self._clock()
        call = Call.internal("identity.publish", deadline_seconds=DEADLINE_SECONDS)
        with self._database.read(call) as rows:
            found = self._keys.published(rows, now=now, kept_since=now - self._kept)
        keys = [row for row in found if row["kind"] == "key"]
        write_jwks(self._directory / JWKS, keys)
        entries = [entry_of(row, self._kept) for row in found if row["kind"] != "key"]
        write_revocations(self._directory / REVOCATIONS, entries, now=now)
        fresh = [row["value"] for row in keys if row["since"] is None]
        if fresh:
            with self._database.transaction(call) as tx:
                self._keys.mark_published(tx, fresh, at=self._clock())
        self._published = any(row["state"] == KeyState.SIGNING for row in keys)


def write_jwks(path: Path, keys: list[dict[str, Any]]) -> None:
    """The public keys as a JWK Set (RFC 7517), where they differ from what lies there."""
    content = json.dumps({"keys": [json.loads(row["jwk"]) for row in keys]}, indent=1).encode()
    if not path.exists() or path.read_bytes() != content:
        replace(path, content)


def write_revocations(path: Path, entries: list[dict[str, Any]], *, now: datetime) -> None:
    """The revocations, where they differ from what lies there; their version goes up with every change."""
    present = read_present(path)
    if present is not None and present["entries"] == entries:
        return
    version = max(int(now.timestamp() * 1000), (present["version"] if present else 0) + 1)
    replace(path, json.dumps({"version": version, "entries": entries}, indent=1).encode())


def read_present(path: Path) -> dict[str, Any] | None:
    """What lies there; None where there is nothing that can be read."""
    try:
        present = json.loads(path.read_bytes())
        return {"version": int(present["version"]), "entries": list(present["entries"])}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def entry_of(row: dict[str, Any], kept: timedelta) -> dict[str, Any]:
    """A revocation: tokens of `value` issued up to `before` are refused; after `expires` none of them lives."""
    if row["state"] is None:  # of a token or a person that nothing brings back
        before = expires = int(row["until"].timestamp())
    elif row["until"] is None:
        before = expires = FOREVER  # it is left out when the last token has expired: none is issued meanwhile
    else:
        before, expires = int(row["until"].timestamp()), int((row["until"] + kept).timestamp())
    return {"kind": row["kind"], "value": row["value"], "before": before, "expires": expires}


def replace(path: Path, content: bytes) -> None:
    """Puts a whole file in place, on the disk too. Writers take turns, so one temporary name is enough."""
    new = path.with_name(f".{path.name}.new")
    with new.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    sync_directory(path.parent)


@contextlib.contextmanager
def turn(path: Path) -> Iterator[bool]:
    """Whether it is our turn among the processes of this machine. A process that dies gives its turn back."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield locked(descriptor)
    finally:
        os.close(descriptor)


def locked(descriptor: int) -> bool:
    """Takes the file's lock where nobody has it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
