"""What the document and its pages are made of."""

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from verbund.console.http import matches, takes_gzip
from verbund.console.openapi.comments import comments_of, text_of
from verbund.console.openapi.constraints import portable
from verbund.console.openapi.paths import alternatives_of, patterns_of
from verbund.console.openapi.schemas import at_most_one
from verbund.console.pages.markup import Markup, element, prose
from verbund.console.settings import ConsoleSettings

A = "[a-z]([a-z0-9-]{0,61}[a-z0-9])?"


def test_comments_stand_under_full_names() -> None:
    """Source info names things by numbers; the document needs their names."""
    file = FileDescriptorProto(name="a.proto", package="a.v1")
    message = file.message_type.add(name="Outer")
    message.field.add(name="text")
    message.nested_type.add(name="Inner").enum_type.add(name="Kind").value.add(name="KIND_ONE")
    for path, comment in {(4, 0): "Outer.\n", (4, 0, 2, 0): " A\n text.\n", (4, 0, 3, 0, 4, 0, 2, 0): "One."}.items():
        file.source_code_info.location.add(path=path, leading_comments=comment)
    found = comments_of(FileDescriptorSet(file=[file]))
    assert found == {"a.v1.Outer": "Outer.", "a.v1.Outer.text": "A text.", "a.v1.Outer.Inner.Kind.KIND_ONE": "One."}


def test_comments_keep_their_paragraphs() -> None:
    """Lines are joined, an empty one parts."""
    assert text_of(" One\n two.\n\n Three.\n") == "One two.\n\nThree."


@pytest.mark.parametrize(
    ("pattern", "parts", "expected"),
    [
        (f"^organisations/{A}/systems/{A}$", ["organisations", "*", "systems", "*"], {1: f"^{A}$", 3: f"^{A}$"}),
        (f"^$|^projects/{A}$", ["projects", "*"], {1: f"^{A}$"}),
        (f"^(projects/{A}|strategies/{A})$", ["strategies", "*"], {1: f"^{A}$"}),
        (f"^(projects/x|projects/{A}/y/{A})$", ["projects", "*", "y", "*"], {1: f"^{A}$", 3: f"^{A}$"}),
        ("^anything$", ["projects", "*"], {}),
        ("", ["*"], {}),
    ],
)
def test_a_part_of_a_name_has_a_pattern_of_its_own(pattern: str, parts: list[str], expected: dict[int, str]) -> None:
    """It is taken from the alternative of the same form; without one there is none."""
    assert patterns_of(pattern, parts) == expected


def test_alternatives_within_parentheses_stay_whole() -> None:
    """A bar within parentheses or brackets parts nothing."""
    assert alternatives_of("^a(b|c)[|]d$|^e$") == ["a(b|c)[|]d", "e"]


def test_a_class_that_not_everybody_knows_is_replaced() -> None:
    """Characters that are none stay excluded."""
    assert portable(r"^\P{C}*$") == r"^[^\x00-\x1f\x7f-\x9f]*$"


def test_of_a_oneof_one_at_most() -> None:
    """Neither of two is right, and one of two; not both."""
    assert at_most_one(["a", "b"])["oneOf"][-1] == {"not": {"anyOf": [{"required": ["a"]}, {"required": ["b"]}]}}


def test_text_never_becomes_markup() -> None:
    """What a comment says is shown, whatever it says."""
    assert element("p", "<b>&", title='"x"') == '<p title="&quot;x&quot;">&lt;b&gt;&amp;</p>'
    assert prose("See `a<b`.\n- one\n- `two`\n\nEnd <i>.") == (
        "<p>See <code>a&lt;b</code>.</p><ul><li>one</li><li><code>two</code></li></ul><p>End &lt;i&gt;.</p>"
    )
    assert isinstance(element("p"), Markup)


@pytest.mark.parametrize(
    ("header", "taken"),
    [("gzip", True), ("br, GZIP;q=0.5", True), ("*", True), ("", False), ("identity", False), ("gzip;q=0, br", False)],
)
def test_compressed_only_for_those_who_can_read_it(header: str, taken: bool) -> None:
    """Accept-Encoding decides."""
    assert takes_gzip(header) == taken


@pytest.mark.parametrize(
    ("header", "matched"),
    [('"a"', True), ('W/"a"', True), ('"b", "a"', True), ("*", True), ("", False), ('"b"', False)],
)
def test_conditions(header: str, matched: bool) -> None:
    """If-None-Match compares weakly, and takes lists."""
    assert matches(header, '"a"') == matched


def test_settings_refuse_a_time_before_now() -> None:
    """A browser cannot be told to keep a page for less than nothing."""
    with pytest.raises(ValueError, match="CACHE_SECONDS"):
        ConsoleSettings(cache_seconds=-1)
