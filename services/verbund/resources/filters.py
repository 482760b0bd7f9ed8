"""Filters of lists as AIP-160 writes them: comparisons with AND, OR, NOT and parentheses; OR binds tighter than AND.

`parse` turns the text into an expression, `condition` turns that into SQL whose values are parameters. What a list
can be filtered by is a table of Fields; their SQL is the only text that reaches a statement. Refusals name positions.
"""

import enum
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import NoReturn

from verbund.serving.refusals import Invalid

COMPARISONS_MAX = 32
DEPTH_MAX = 16

TOKEN = re.compile(
    r"""\s*(?:
        (?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
        |(?P<operator><=|>=|!=|=|<|>|:)
        |(?P<bracket>[()])
        |(?P<word>[^\s"'()<>=!:\\]+)
        |(?P<end>\Z)
    )""",
    re.VERBOSE,
)
WORDS = frozenset({"AND", "OR", "NOT"})
SET = "*"  # `strategy:*`: has a value
DATE = re.compile(r"\d{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?)?")


@dataclass(frozen=True, slots=True)
class Comparison:
    """`name operator value`, found at a position of the filter (characters, from 0)."""

    name: str
    operator: str
    value: str
    position: int


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite of an expression."""

    operand: "Expression"


@dataclass(frozen=True, slots=True)
class All:
    """Every one of some expressions: AND."""

    operands: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one of some expressions: OR."""

    operands: tuple["Expression", ...]


Expression = Comparison | Not | All | AnyOf


class Kind(enum.Enum):
    """What the values of a field are."""

    TEXT = enum.auto()
    CODE = enum.auto()  # a value of an enum, by its name
    DATE = enum.auto()  # ISO 8601, compared as exactly as the filter writes it
    TIME = enum.auto()  # RFC 3339
    ELEMENTS = enum.auto()  # a repeated text: true where one element is meant


@dataclass(frozen=True, slots=True)
class Field:
    """What a list can be filtered by. `sql` is a column, or for ELEMENTS a condition with `{}` after the element."""

    kind: Kind
    sql: str
    codes: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition of a WHERE clause and its parameters."""

    sql: str
    parameters: dict[str, object]


@dataclass(frozen=True, slots=True)
class Token:
    """A token at a position."""

    kind: str
    text: str
    position: int


def refuse(position: int, description: str) -> NoReturn:
    """Raises Invalid at a position of the filter."""
    raise Invalid("filter", f"at position {position}: {description}")


def parse(text: str) -> Expression | None:
    """The expression that a filter states, None where it is empty; raises Invalid."""
    parser = Parser(tokens_of(text))
    return None if parser.next.kind == "end" else parser.whole()


def tokens_of(text: str) -> list[Token]:
    """The tokens of a filter, the last one `end`."""
    tokens: list[Token] = []
    position = 0
    while not tokens or tokens[-1].kind != "end":
        match = TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            start = position + len(text[position:]) - len(text[position:].lstrip())
            refuse(
                start,
                "a quotation mark that is not closed" if text[start] in "\"'" else f"{text[start]!r} is not expected",
            )
        tokens.append(Token(match.lastgroup, match[match.lastgroup], match.start(match.lastgroup)))
        position = match.end()
    return tokens


class Parser:
    """The grammar: all = any {AND any}; any = term {OR term}; term = NOT term | '(' all ')' | comparison."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self._tokens = iter(tokens)
        self.next = next(self._tokens)
        self._depth = 0
        self._comparisons = 0

    def whole(self) -> Expression:
        """The expression of all tokens."""
        expression = self._all()
        if self.next.kind != "end":
            refuse(self.next.position, f"AND or OR is expected, not {self.next.text!r}")
        return expression

    def _all(self) -> Expression:
        operands = [self._any()]
        while self._taken("AND"):
            operands.append(self._any())
        return operands[0] if len(operands) == 1 else All(tuple(operands))

    def _any(self) -> Expression:
        operands = [self._term()]
        while self._taken("OR"):
            operands.append(self._term())
        return operands[0] if len(operands) == 1 else AnyOf(tuple(operands))

    def _term(self) -> Expression:
        if self._depth == DEPTH_MAX:
            refuse(self.next.position, f"more than {DEPTH_MAX} levels")
        self._depth += 1
        if self._taken("NOT"):
            expression: Expression = Not(self._term())
        elif self._taken("("):
            expression = self._all()
            if not self._taken(")"):
                refuse(self.next.position, "a closing parenthesis is expected")
        else:
            expression = self._comparison()
        self._depth -= 1
        return expression

    def _comparison(self) -> Comparison:
        if self.next.kind != "word" or self.next.text in WORDS:
            refuse(self.next.position, "the name of a field is expected")
        name = self._advance()
        if self.next.kind != "operator":
            refuse(self.next.position, f"an operator is expected after {name.text!r}")
        operator = self._advance()
        self._comparisons += 1
        if self._comparisons > COMPARISONS_MAX:
            refuse(name.position, f"more than {COMPARISONS_MAX} comparisons")
        return Comparison(name.text, operator.text, self._value(), name.position)

    def _value(self) -> str:
        token = self.next
        if token.kind not in ("text", "word") or token.text in WORDS:
            refuse(token.position, "a value is expected")
        self._advance()
        value = re.sub(r"\\(.)", r"\1", token.text[1:-1], flags=re.DOTALL) if token.kind == "text" else token.text
        if "\0" in value:
            refuse(token.position, "the character U+0000 is in no value")
        # Values with colons, times above all, need quotation marks: `:` is an operator.
        return value

    def _taken(self, text: str) -> bool:
        found = self.next.kind in ("word", "bracket") and self.next.text == text
        if found:
            self._advance()
        return found

    def _advance(self) -> Token:
        token, self.next = self.next, next(self._tokens, self.next)
        return token


def condition(expression: Expression | None, fields: Mapping[str, Field]) -> Condition:
    """The SQL of an expression. Raises Invalid where a field, operator or value does not fit."""
    if expression is None:
        return Condition("true", {})
    writer = Writer(fields)
    return Condition(writer.written(expression), writer.parameters)


class Writer:
    """Writes SQL and collects its parameters."""

    def __init__(self, fields: Mapping[str, Field]) -> None:
        self._fields = fields
        self._numbers = count()
        self.parameters: dict[str, object] = {}

    def written(self, expression: Expression) -> str:
        """The SQL of one expression; recursion is bounded by the parser."""
        match expression:
            case Comparison():
                return self._comparison(expression)
            case Not(operand):
                return f"(({self.written(operand)}) IS NOT TRUE)"
            case All(operands):
                return "(" + " AND ".join(self.written(operand) for operand in operands) + ")"
            case AnyOf(operands):
                return self._one_of(operands) or "(" + " OR ".join(self.written(operand) for operand in operands) + ")"

    def _one_of(self, operands: tuple[Expression, ...]) -> str | None:
        """`id = "a" OR id = "b"` on a repeated field as one subquery, so that an index serves it."""
        same = [operand for operand in operands if isinstance(operand, Comparison) and operand.operator in ("=", ":")]
        names = {comparison.name for comparison in same}
        if len(same) < len(operands) or len(names) > 1:
            return None
        known = self._field(same[0])
        if known.kind is not Kind.ELEMENTS or any(comparison.value == SET for comparison in same):
            return None
        return known.sql.format(f"= ANY({self._parameter([comparison.value for comparison in same])}::text[])")

    def _comparison(self, comparison: Comparison) -> str:
        known = self._field(comparison)
        if comparison.operator == ":" and comparison.value == SET:
            return self._given(known)
        operator = "=" if comparison.operator == ":" else comparison.operator
        if known.kind not in (Kind.DATE, Kind.TIME) and operator not in ("=", "!="):
            refuse(comparison.position, f"{comparison.name} is compared by =, != and : only")
        value = self._value(comparison, known)
        if known.kind is Kind.ELEMENTS:
            found = known.sql.format(f"= {self._parameter(value)}::text")
            return f"(NOT {found})" if operator == "!=" else found
        if value == "":
            return self._unknown(comparison, known, operator)
        column = f"left({known.sql}, {len(str(value))})" if known.kind is Kind.DATE else known.sql
        return f"({column} {'IS DISTINCT FROM' if operator == '!=' else operator} {self._parameter(value)})"

    def _given(self, known: Field) -> str:
        """Whether a field has a value: `strategy:*`."""
        if known.kind is Kind.ELEMENTS:
            return known.sql.format("IS NOT NULL")
        return f"({known.sql} <> 0)" if known.kind is Kind.CODE else f"({known.sql} IS NOT NULL)"

    def _unknown(self, comparison: Comparison, known: Field, operator: str) -> str:
        """A comparison with the empty text, which means not known: `period.end_date = ""`."""
        if operator not in ("=", "!="):
            refuse(comparison.position, f"{comparison.name} {operator} needs a value")
        return f"({known.sql} {'IS' if operator == '=' else 'IS NOT'} NULL)"

    def _value(self, comparison: Comparison, known: Field) -> object:
        """The value as the field's kind has it."""
        text = comparison.value
        if known.kind is Kind.CODE:
            if text not in known.codes:
                refuse(comparison.position, f"{comparison.name} is one of {', '.join(known.codes)}, not {text!r}")
            return known.codes[text]
        if known.kind is Kind.DATE and text and not DATE.fullmatch(text):
            refuse(comparison.position, f"{comparison.name} is a date like 2022, 2022-03 or 2022-03-01, not {text!r}")
        return time_of(comparison) if known.kind is Kind.TIME else text

    def _field(self, comparison: Comparison) -> Field:
        if comparison.name not in self._fields:
            refuse(comparison.position, f"there is no field {comparison.name!r}; there are {', '.join(self._fields)}")
        return self._fields[comparison.name]

    def _parameter(self, value: object) -> str:
        name = f"filter_{next(self._numbers)}"
        self.parameters[name] = value
        return f"%({name})s"


def time_of(comparison: Comparison) -> datetime:
    """The time that a comparison states, with its zone; raises Invalid."""
    try:
        time = datetime.fromisoformat(comparison.value)
        if time.tzinfo is not None and "T" in comparison.value.upper():
            return time.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    refuse(comparison.position, f'{comparison.name} is a time like "2026-11-23T09:00:00Z", not {comparison.value!r}')


def codes_of(names: Iterable[tuple[str, int]], prefix: str) -> dict[str, int]:
    """The codes of an enum by their names, without its prefix and with it."""
    known = dict(names)
    return {name.removeprefix(prefix): number for name, number in known.items()} | known
