"""The time as identity's parts are handed it, so that tests can hold and turn it."""

from collections.abc import Callable
from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

Clock = Callable[[], datetime]


def wall_clock() -> datetime:
    """The time now, with its zone."""
    return datetime.now(UTC)


def timestamp(at: datetime) -> Timestamp:
    """A time as protos have it."""
    stamp = Timestamp()
    stamp.FromDatetime(at)
    return stamp
