"""Filters: what they mean, where they fail, and that nothing a caller writes becomes SQL."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from verbund.registry.projects.query import FIELDS
from verbund.resources import filters
from verbund.resources.filters import All, AnyOf, Comparison, Expression, Not
from verbund.serving.refusals import Invalid

NAMES = st.sampled_from(["owner", "strategy", "status", "period.start_date"])
VALUES = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=20)


def quoted(value: str) -> str:
    """A value as a filter writes it."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def shown(expression: Expression) -> str:
    """An expression as a filter, with every parenthesis written."""
    match expression:
        case Comparison():
            return f"{expression.name} {expression.operator} {quoted(expression.value)}"
        case Not(operand):
            return f"NOT {within(operand)}"
        case All(operands):
            return " AND ".join(within(operand) for operand in operands)
        case AnyOf(operands):
            return " OR ".join(within(operand) for operand in operands)


def within(expression: Expression) -> str:
    """An expression as part of another."""
    return shown(expression) if isinstance(expression, Comparison) else f"({shown(expression)})"


def placed(expression: Expression) -> Expression:
    """The expression without positions, so that two can be compared."""
    match expression:
        case Comparison():
            return Comparison(expression.name, expression.operator, expression.value, 0)
        case Not(operand):
            return Not(placed(operand))
        case All(operands):
            return All(tuple(placed(operand) for operand in operands))
        case AnyOf(operands):
            return AnyOf(tuple(placed(operand) for operand in operands))


COMPARISONS = st.builds(Comparison, NAMES, st.sampled_from(["=", "!=", ":", "<", "<=", ">", ">="]), VALUES, st.just(0))
EXPRESSIONS: st.SearchStrategy[Expression] = st.recursive(
    COMPARISONS,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(All, st.lists(inner, min_size=2, max_size=3).map(tuple)),
        st.builds(AnyOf, st.lists(inner, min_size=2, max_size=3).map(tuple)),
    ),
    max_leaves=10,
)


@given(EXPRESSIONS)
def test_what_is_written_is_what_is_read(expression: Expression) -> None:
    """Every expression, written as a filter, is read back as itself."""
    try:
        read = filters.parse(shown(expression))
    except Invalid as invalid:
        assert "levels" in invalid.violations[0].description  # noqa: PT017 - the one bound that these can reach
    else:
        assert read is not None
        assert placed(read) == expression


@given(st.text(max_size=300))
def test_any_text_is_read_or_refused_with_a_position(text: str) -> None:
    """Nothing but Invalid is ever raised, and it names the field and a position within the text."""
    try:
        filters.condition(filters.parse(text), FIELDS)
    except Invalid as invalid:
        (violation,) = invalid.violations
        position = re.match(r"at position (\d+): ", violation.description)
        assert violation.path == "filter"
        assert position
        assert int(position[1]) <= len(text)


@given(EXPRESSIONS)
def test_no_value_reaches_the_statement(expression: Expression) -> None:
    """The SQL is made of the fields' own SQL, operators and parameters, whatever the values are."""
    try:
        condition = filters.condition(expression, FIELDS)
    except Invalid:
        return
    allowed = r"%\(filter_\d+\)s|[\w.]+|[()=!<>,\s{}]|::text\[\]|::text|'[^']*'"
    assert re.fullmatch(f"(?:{allowed})+", condition.sql)
    assert sorted(re.findall(r"%\((\w+)\)s", condition.sql)) == sorted(condition.parameters)
    for value in condition.parameters.values():
        if isinstance(value, str) and len(value) > 3 and not value.isalnum():
            assert value not in condition.sql


def test_or_binds_tighter_than_and() -> None:
    """As AIP-160 has it: a AND b OR c means a AND (b OR c)."""
    read = filters.parse("a = 1 AND b = 2 OR c = 3")
    assert read is not None
    one, two, three = (Comparison(name, "=", value, 0) for name, value in (("a", "1"), ("b", "2"), ("c", "3")))
    assert placed(read) == All((one, AnyOf((two, three))))


def test_a_value_may_be_a_keyword_in_quotation_marks_only() -> None:
    """`= "AND"` is a value, `= AND` is a mistake."""
    assert filters.parse('a = "AND"') == Comparison("a", "=", "AND", 0)
    with pytest.raises(Invalid):
        filters.parse("a = AND")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (" OR ".join(["a = 1"] * 33), "more than 32 comparisons"),
        ("NOT " * 20 + "a = 1", "more than 16 levels"),
        ("(" * 1000 + "a = 1", "more than 16 levels"),
        ('a = "\0"', "U+0000"),
        ("a", "an operator"),
        ("a = 1 b = 2", "AND or OR is expected"),
        ("a = 1)", "AND or OR is expected"),
        ("a = 'x", "a quotation mark that is not closed"),
        ("a & b", "an operator"),
    ],
)
def test_what_is_too_much_or_amiss_is_said(text: str, what: str) -> None:
    """Bounds and mistakes have a sentence each."""
    with pytest.raises(Invalid) as caught:
        filters.parse(text)
    assert what in caught.value.violations[0].description


def test_many_ids_become_one_condition() -> None:
    """`id = a OR id = b` on a repeated field asks once, so that an index answers."""
    condition = filters.condition(filters.parse("identifiers.id = a OR identifiers.id = b"), FIELDS)
    assert condition.parameters == {"filter_0": ["a", "b"]}
    assert condition.sql.count("SELECT") == 1
