"""The pages' words are whole in both languages, and values are written as people write them."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from verbund.console.site import language
from verbund.console.site.formats import Formats
from verbund.exchange.v1 import delivery_service_pb2 as exchange
from verbund.registry.v1 import project_service_pb2 as registry

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
GERMAN, ENGLISH = (Formats(each, ZoneInfo("Europe/Berlin"), NOW) for each in language.LANGUAGES)


def test_both_languages_say_the_same() -> None:
    """The same keys, with as many values put in."""
    german, english = (language.WORDS[each] for each in language.LANGUAGES)
    assert list(german) == list(english)
    assert {key: text.count("%s") for key, text in german.items()} == {
        key: text.count("%s") for key, text in english.items()
    }


@pytest.mark.parametrize(
    ("kind", "prefix", "key"),
    [
        (exchange.DeliveryState, "DELIVERY_STATE_", "state_"),
        (exchange.NextAction, "NEXT_ACTION_", "action_"),
        (exchange.TimelineEvent, "TIMELINE_EVENT_", "event_"),
        (exchange.RejectionReason, "REJECTION_REASON_", "reason_"),
        (registry.ProjectStatus, "PROJECT_STATUS_", "phase_"),
    ],
)
def test_every_value_has_words(kind: type, prefix: str, key: str) -> None:
    """A state that the protos gain cannot break a page unnoticed."""
    names = kind.keys()  # type: ignore[attr-defined] # protobuf's enums
    assert {key + name.removeprefix(prefix) for name in names} <= set(language.WORDS["de"])


def test_every_role_has_words() -> None:
    """Of a party: it has one role at least."""
    names = [name for name, number in registry.PartyRole.items() if number]
    assert {"role_" + name.removeprefix("PARTY_ROLE_") for name in names} <= set(language.WORDS["de"])


def test_times_are_those_of_the_place() -> None:
    """By the clock on the wall; what is left is never rounded up."""
    assert GERMAN.moment(NOW) == "23. November 2026, 13:00 Uhr"
    assert ENGLISH.moment(NOW) == "23 November 2026, 13:00"
    left = {
        timedelta(seconds=59): ("jetzt", "now"),
        timedelta(minutes=1): ("in 1 Minute", "in 1 minute"),
        timedelta(hours=47, minutes=59): ("in 1 Tag", "in 1 day"),
        timedelta(days=-2): ("vor 2 Tagen", "2 days ago"),
        timedelta(hours=-3): ("vor 3 Stunden", "3 hours ago"),
    }
    for distance, (german, english) in left.items():
        assert (GERMAN.relative(NOW + distance), ENGLISH.relative(NOW + distance)) == (german, english)


def test_values_are_as_exact_as_they_are_known() -> None:
    """Dates of a year, a month, a day; sizes; kinds of documents."""
    assert [GERMAN.date(text) for text in ("2022", "2022-03", "2022-03-01")] == ["2022", "März 2022", "1. März 2022"]
    assert ENGLISH.date("2022-03-01") == "1 March 2022"
    assert [GERMAN.size(size) for size in (5, 1536, 3 * 1024**3)] == ["5 Byte", "1,5 kB", "3,0 GB"]
    assert [GERMAN.kind(media) for media in ("application/pdf", "application/vnd.ms-excel")] == [
        "PDF",
        "application/vnd.ms-excel",
    ]
