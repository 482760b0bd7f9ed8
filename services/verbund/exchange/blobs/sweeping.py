"""Removes contents that no document names any more, and what was left half written. Nothing acknowledged is touched.

An upload places its content and inserts its document in one transaction that holds the lock of the digest: whoever
holds that lock either sees the document, or removes the content before it is placed.
"""

import itertools
import math
import random

import structlog

from verbund.database.database import Database
from verbund.exchange.blobs.directory import HEXADECIMAL, BlobDirectory
from verbund.exchange.documents.store import DocumentStore, Removed
from verbund.serving.call import Call

JOB = "exchange.blobs.sweep"
REMOVED_JOB = "exchange.blobs.removed"
BATCH = 500
BATCHES_MAX = 100  # of one round; the next round goes on
ANY_AGE = -math.inf
PREFIXES = tuple(f"{first}{second}" for first in HEXADECIMAL for second in HEXADECIMAL)

log = structlog.get_logger(__name__)


class BlobSweep:
    """A job: each round looks at every content once, in an order of its own."""

    def __init__(self, database: Database, documents: DocumentStore, blobs: BlobDirectory, keep_seconds: float) -> None:
        self._database = database
        self._documents = documents
        self._blobs = blobs
        self._keep_seconds = keep_seconds

    def run(self) -> None:
        """One round."""
        left = self._blobs.sweep_incoming()
        removed = sum(self._sweep(prefix) for prefix in random.sample(PREFIXES, len(PREFIXES)))
        if left or removed:
            log.info("swept", removed=removed, half_written=left)

    def _sweep(self, prefix: str) -> int:
        """Removes what nobody names below a prefix, and tells how much that was."""
        removed = 0
        old = self._blobs.old(prefix, age_seconds=self._keep_seconds)
        while digests := list(itertools.islice(old, BATCH)):
            with self._database.read(Call.internal(JOB)) as rows:
                named = self._documents.named(rows, digests)
            removed += sum(self._remove(digest) for digest in digests if digest not in named)
        return removed

    def _remove(self, digest: str) -> bool:
        """Removes one content under the lock of its digest, unless a document names it by now."""
        with self._database.transaction(Call.internal(JOB)) as tx:
            self._documents.lock_content(tx, digest)
            if self._documents.named(tx, [digest]):
                return False
            return self._blobs.remove(digest, age_seconds=self._keep_seconds)


class RemovedSweep:
    """A job: takes the contents of removed documents off the disk where no other document has them, and gives their
    room back.
    """

    def __init__(self, database: Database, documents: DocumentStore, blobs: BlobDirectory) -> None:
        self._database = database
        self._documents = documents
        self._blobs = blobs

    def run(self) -> None:
        """One round."""
        for _ in range(BATCHES_MAX):
            with self._database.read(Call.internal(REMOVED_JOB)) as rows:
                removed = self._documents.removed(rows, size=BATCH)
            for each in removed:
                self._release(each)
            if len(removed) < BATCH:
                return

    def _release(self, removed: Removed) -> None:
        """One document's. Room is given back after the content is gone: whoever dies between does it again."""
        with self._database.transaction(Call.internal(REMOVED_JOB)) as tx:
            self._documents.lock_content(tx, removed.sha256)
            if not self._documents.named(tx, [removed.sha256]):
                self._blobs.remove(removed.sha256, age_seconds=ANY_AGE)
            self._documents.release(tx, removed)
