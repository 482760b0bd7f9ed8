"""The exchange's settings: the variables `VERBUND_EXCHANGE_*`."""

from dataclasses import dataclass, fields
from pathlib import Path

FREE_BYTES_MIN = 512 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeSettings:
    """Times are seconds where they do not say days, sizes bytes."""

    # Where the contents of documents lie: a directory on a disk that keeps what it says it has kept.
    blob_dir: Path
    # Database connections of one worker: as many as it carries out calls and streams at once.
    pool_size: int = 16
    # How often the feed looks for steps, woken or not.
    feed_look_seconds: float = 5.0
    # How often ended claims and expired deliveries are written down, which have ended before that, too; and how often
    # the contents of removed documents are taken off the disk.
    due_seconds: float = 5.0
    # How often old drafts and outdated answers are deleted.
    sweep_seconds: float = 300.0
    # For how many days a draft is kept that nobody changes.
    draft_days: float = 30.0
    # How many drafts an organisation may have at once.
    drafts_max: int = 1000
    # How many bytes the documents of one organisation may hold, in all that it sends: drafts, and what is long decided.
    # Choose it so that a few of them cannot fill the disk. What was submitted stays, so who reaches it needs more.
    stored_bytes_max: int = 100 * 1024 * 1024 * 1024
    # How many deliveries of one sender may wait in one mailbox of another organisation to be accepted or rejected.
    waiting_deliveries_max: int = 10_000
    # How many documents a delivery may have, and how large one may be, however much its mailbox accepts.
    documents_max: int = 100
    document_bytes_max: int = 64 * 1024 * 1024 * 1024
    # Downloads over HTTP that one worker carries out at once; of them at most half for one organisation.
    downloads_max: int = 64
    # What uploads leave free on the disk: whatever else lives there stops without room.
    free_bytes_min: int = FREE_BYTES_MIN
    # How long a content is kept that no document names: an upload in progress may be about to name it.
    content_keep_seconds: float = 3600.0

    def __post_init__(self) -> None:
        """Refuses what cannot work."""
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, int | float) and value <= 0:
                raise ValueError(f"{field.name.upper()} must be above 0")
        if not self.blob_dir.is_absolute():
            raise ValueError("BLOB_DIR must be an absolute path")
