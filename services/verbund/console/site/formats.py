"""Times, periods and sizes as people write them in German and in English."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from google.protobuf.timestamp_pb2 import Timestamp

MONTHS = {
    "de": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember".split(),  # noqa: SIM905 - a line
    "en": "January February March April May June July August September October November December".split(),  # noqa: SIM905 - a line
}
UNITS = {
    "de": {60: ("Minute", "Minuten"), 3600: ("Stunde", "Stunden"), 86400: ("Tag", "Tagen")},
    "en": {60: ("minute", "minutes"), 3600: ("hour", "hours"), 86400: ("day", "days")},
}
SHORT_CHARACTERS_MAX = 4
SOON = timedelta(days=3)
SIZES = ((1024**3, "GB"), (1024**2, "MB"), (1024, "kB"))


@dataclass(frozen=True, slots=True)
class Formats:
    """How a person reads values: in their language, at the place's clock."""

    language: str
    zone: ZoneInfo
    now: datetime

    def moment(self, time: datetime) -> str:
        """23. November 2026, 14:30 Uhr."""
        local = time.astimezone(self.zone)
        clock = f"{local:%H:%M}"
        return f"{self.day(local)}, {clock} Uhr" if self.language == "de" else f"{self.day(local)}, {clock}"

    def day(self, time: datetime) -> str:
        """23. November 2026."""
        month = MONTHS[self.language][time.month - 1]
        return f"{time.day}. {month} {time.year}" if self.language == "de" else f"{time.day} {month} {time.year}"

    def is_soon(self, time: datetime) -> bool:
        """Whether little is left until then, or nothing."""
        return time - self.now < SOON

    def relative(self, time: datetime) -> str:
        """In 3 Tagen, vor 2 Stunden; cut, so that nobody believes to have more time than they have."""
        seconds = (time - self.now).total_seconds()
        distance = abs(seconds)
        if distance < min(UNITS[self.language]):
            return "jetzt" if self.language == "de" else "now"
        unit = max(length for length in UNITS[self.language] if length <= distance)
        count = int(distance // unit)
        text = f"{count} {UNITS[self.language][unit][count != 1]}"
        if self.language == "de":
            return f"in {text}" if seconds > 0 else f"vor {text}"
        return f"in {text}" if seconds > 0 else f"{text} ago"

    def date(self, text: str) -> str:
        """A date as exact as it is known: `2022-03-01`, `2022-03` or `2022`."""
        parts = [int(part) for part in text.split("-")]
        year, month = str(parts[0]), MONTHS[self.language][parts[1] - 1] if len(parts) > 1 else ""
        day = f"{parts[2]}{'.' if self.language == 'de' else ''}" if len(parts) == 3 else ""  # noqa: PLR2004 - a whole date
        return " ".join(part for part in (day, month, year) if part)

    @staticmethod
    def kind(media_type: str) -> str:
        """PDF, PNG: a media type by its short name, where it has one."""
        subtype = media_type.partition(";")[0].rpartition("/")[2]
        return subtype.upper() if len(subtype) <= SHORT_CHARACTERS_MAX and subtype.isalnum() else media_type

    def size(self, size_bytes: int) -> str:
        """1,5 MB: in steps of 1,024."""
        for unit, name in SIZES:
            if size_bytes >= unit:
                text = f"{size_bytes / unit:.1f}"
                return f"{text.replace('.', ',') if self.language == 'de' else text} {name}"
        return f"{size_bytes} {'Byte' if self.language == 'de' else 'bytes'}"


def time_of(stamp: Timestamp) -> datetime:
    """A time of the wire."""
    return stamp.ToDatetime(UTC)
