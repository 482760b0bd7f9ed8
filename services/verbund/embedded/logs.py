"""The size of log files: a part writes to the end of its file, and the file is cut when it has grown."""

import os
import shutil
from pathlib import Path

KEPT = ".1"
TAIL_BYTES_MAX = 16_384


def bound(directory: Path, bytes_max: int) -> None:
    """Copies each log larger than `bytes_max` to <name>.1 and empties it.

    Parts hold their logs open for appending, so they go on in the emptied file; a line written in the moment
    between is lost, which is the price for parts that need no reopening.
    """
    for log in directory.glob("*.log"):
        if log.stat().st_size > bytes_max:
            shutil.copyfile(log, log.with_name(log.name + KEPT))
            os.truncate(log, 0)


def last_lines(log: Path, count: int = 12) -> list[str]:
    """The end of a log, for the person who has to mend what stands there."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - TAIL_BYTES_MAX))
            text = file.read().decode(errors="replace")
    except OSError:
        return []
    return [line for line in text.splitlines() if line.strip()][-count:]
