"""Times of resources (AIP-142)."""

from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp


def timestamp(at: datetime) -> Timestamp:
    """A time as protos have it."""
    stamp = Timestamp()
    stamp.FromDatetime(at)
    return stamp
