"""The leaf of the evidence log, as `evidence/v1/leaf.proto` settles it.

Imports neither gRPC nor the database driver.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

VERSION = 1


@dataclass(frozen=True, slots=True)
class Leaf:
    """What happened, when, to which digest, between which parties; names only as salted hashes."""

    kind: str
    time: datetime
    subject: str
    digest: str
    parties: tuple[str, ...]

    @classmethod
    def of(  # noqa: D102 - the class says it
        cls, kind: str, subject: str, digest: bytes, parties: Sequence[str], *, salt: bytes, time: datetime
    ) -> "Leaf":
        hashed = tuple(salted(salt, party) for party in parties)
        return cls(kind, time, salted(salt, subject), f"sha256:{digest.hex()}", hashed)

    def canonical(self) -> bytes:
        """The leaf's bytes: JSON in the canonical form of RFC 8785, which for ASCII keys and no numbers but 1 is
        this.
        """
        stated = {
            "digest": self.digest,
            "parties": list(self.parties),
            "subject": self.subject,
            "time": self.time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "type": self.kind,
            "v": VERSION,
        }
        return json.dumps(stated, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def salted(salt: bytes, name: str) -> str:
    """The hash that stands for a name; whoever knows salt and name can check it, nobody else can tell."""
    return f"sha256:{hashlib.sha256(salt + name.encode()).hexdigest()}"
