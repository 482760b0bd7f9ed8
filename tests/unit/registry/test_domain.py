"""The registry's rules without server and database: periods, audiences, changes, tokens, ids."""

import contextlib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from verbund.feeds.cursors import Cursor
from verbund.registry.audience import EVERY_MEMBER, NO_ONE, Audience
from verbund.registry.changes.domain import Change
from verbund.registry.changes.messages import TOKENS
from verbund.registry.projects.domain import Project, readable_id
from verbund.registry.projects.query import WORDS_MAX, Words
from verbund.registry.records import span_of
from verbund.registry.v1 import change_service_pb2 as changes
from verbund.registry.v1 import project_service_pb2 as pb
from verbund.registry.v1.types_pb2 import LocalizedText
from verbund.resources.names import OrganisationName
from verbund.serving.call import Call
from verbund.serving.refusals import Invalid

AT = datetime(2026, 11, 23, 9, tzinfo=UTC)
OWNER = OrganisationName("organisations/a")
CREATED, UPDATED = changes.CHANGE_TYPE_CREATED, changes.CHANGE_TYPE_UPDATED
DELETED, HIDDEN = changes.CHANGE_TYPE_DELETED, changes.CHANGE_TYPE_HIDDEN
AUDIENCES = st.sampled_from(
    [EVERY_MEMBER, Audience.of(["organisations/a"]), Audience.of(["organisations/a", "organisations/b"])]
)
NEWEST = Cursor(2**64 - 1, 0)


def project(**fields: object) -> Project:
    """A new project."""
    fields.setdefault("title", LocalizedText(de="Titel"))
    given_ = pb.CreateProjectRequest(project_id="p", project=pb.Project(**fields))  # type: ignore[arg-type]
    return Project.created(given_, owner=OWNER, at=AT)


@given(st.dates(min_value=datetime(1, 1, 1).date()))  # noqa: DTZ001 - a date
def test_a_date_means_the_days_it_can_mean(date: object) -> None:
    """A day means itself; its month and year contain it, and are no longer than a month and a year."""
    text = str(date)
    day, month, year = span_of(text), span_of(text[:7]), span_of(text[:4])
    assert day == (date, date)
    assert month is not None
    assert year is not None
    assert year[0] <= month[0] <= date <= month[1] <= year[1]  # type: ignore[operator]
    assert (month[1] - month[0]).days < 31
    assert (year[1] - year[0]).days < 366


@pytest.mark.parametrize("text", ["0000", "2022-00", "2022-13", "2022-02-29", "2022-04-31"])
def test_what_is_in_no_calendar_means_nothing(text: str) -> None:
    """Years, months and days that do not exist."""
    assert span_of(text) is None


@given(before=AUDIENCES, after=AUDIENCES, kind=st.sampled_from([CREATED, UPDATED, DELETED]), who=st.sampled_from("abc"))
def test_nobody_is_told_of_what_they_could_not_see(
    before: Audience, after: Audience, kind: "changes.ChangeType.ValueType", who: str
) -> None:
    """Content goes to those who see the resource after the change, news of its end to those who saw it before."""
    if kind == CREATED:
        before = NO_ONE
    if kind == DELETED:
        after = NO_ONE
    change = Change("projects/a.p", kind, AT, OWNER, OWNER, (), before, after, b"")
    organisation = f"organisations/{who}"
    saw, sees = before.includes(organisation), after.includes(organisation)
    expected = {
        (False, False): None,
        (False, True): CREATED,
        (True, True): UPDATED,
        (True, False): DELETED if kind == DELETED else HIDDEN,
    }
    assert change.told(organisation) == expected[saw, sees]


def test_an_audience_is_what_the_visibility_says() -> None:
    """Internal: the owner. Shared: the owner and parties that are members. Public: every member."""
    parties = [pb.Party(organisation="organisations/b", title="B", roles=[4]), pb.Party(title="GmbH", roles=[4])]  # type: ignore[list-item]
    seen = {
        visibility: {who for who in ("a", "b", "c") if made.audience.includes(f"organisations/{who}")}
        for visibility in pb.Visibility.values()
        for made in [project(visibility=visibility, parties=parties)]
    }
    assert seen == {0: {"a"}, 1: {"a"}, 2: {"a", "b"}, 3: {"a", "b", "c"}}
    assert not EVERY_MEMBER.includes("")


def test_a_repetition_is_no_update() -> None:
    """An update with the same content gives the record itself back, so that nothing is stored or told."""
    before = project(description=LocalizedText(en="Text"))
    call = Call.internal("test", organisation=OWNER)
    mask = pb.UpdateProjectRequest().update_mask
    assert before.updated(before.content, mask, call=call, at=AT) is before
    cleared = before.updated(pb.Project(description=LocalizedText()), mask, call=call, at=AT)
    assert not cleared.content.HasField("description")
    assert cleared.revision > before.revision
    assert Change.updated(before, cleared, call).changed_paths == ("description.en",)


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**63 - 1))
def test_a_resume_token_names_its_cursor(transaction: int, position: int) -> None:
    """Whatever the cursor, and never one that is newer than the feed."""
    cursor = Cursor(transaction, position)
    assert TOKENS.cursor_of(TOKENS.token_of(cursor), newest=max(cursor, NEWEST)) == cursor
    if cursor > Cursor(0, 0):
        with pytest.raises(Invalid):
            TOKENS.cursor_of(TOKENS.token_of(cursor), newest=Cursor(0, 0))


@given(st.text(max_size=60) | st.binary(max_size=40).map(lambda body: body.hex()))
def test_no_other_text_is_a_resume_token(text: str) -> None:
    """Garbage is CURSOR_INVALID, never a crash."""
    with pytest.raises(Invalid) as caught:
        TOKENS.cursor_of(text, newest=NEWEST)
    assert caught.value.reason == "CURSOR_INVALID"


@given(st.integers(0, 30), st.integers(0, 255))
def test_a_changed_resume_token_is_refused(at: int, byte: int) -> None:
    """No single character can be exchanged."""
    token = TOKENS.token_of(Cursor(799, 12))
    changed = token[:at] + chr(byte) + token[at + 1 :] if at < len(token) else token + chr(byte)
    with contextlib.suppress(Invalid):  # base64 ignores some characters and the last bits
        assert TOKENS.cursor_of(changed, newest=NEWEST) == Cursor(799, 12)


@given(st.text(max_size=200))
def test_a_query_becomes_bounded_words(query: str) -> None:
    """At most sixteen, each once, and nothing in them that a tsquery could take for an operator."""
    words = Words.of(query)
    assert len(words.plain) == len(set(words.plain)) <= WORDS_MAX
    assert not any(set(word) & set("'\\&|!():*<> \0") for word in words.plain)


def test_chosen_ids_can_be_names() -> None:
    """They have the form that the proto asks for, and do not repeat."""
    ids = {readable_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(len(chosen) == 14 and chosen.replace("-", "").isalnum() for chosen in ids)
