"""Times of resources."""

from datetime import UTC, datetime, timedelta, timezone

from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as some
from verbund.resources.times import timestamp

ZONES = some.sampled_from([UTC, timezone(timedelta(hours=2)), timezone(-timedelta(hours=11, minutes=30))])


@given(some.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=ZONES))  # noqa: DTZ001 - the zones are given
def test_a_time_is_what_protobuf_makes_of_it(at: datetime) -> None:
    """To the microsecond, in any zone, before 1970 too."""
    made = Timestamp()
    made.FromDatetime(at)
    assert timestamp(at) == made
