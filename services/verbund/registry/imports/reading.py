"""Rows of a file, one at a time: CSV and JSON, also compressed, in memory that does not grow with the file."""

import contextlib
import csv
import gzip
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any, TextIO

GZIP = b"\x1f\x8b"
DELIMITERS = ",;\t|"
CHUNK_CHARACTERS = 64 * 1024
RECORD_CHARACTERS_MAX = 4 * 1024 * 1024
DEPTH_MAX = 8


class Unreadable(Exception):  # noqa: N818 - said of a file
    """The file, from some line on, cannot be read. The message says why."""

    def __init__(self, line: int, what: str) -> None:
        super().__init__(what)
        self.line = line


@dataclass(frozen=True, slots=True)
class Row:
    """A record of the file: where it starts (lines from 1), and its texts by column. `problem`: why it has none."""

    line: int
    values: dict[str, str]
    problem: str = ""


@contextlib.contextmanager
def opened(path: Path) -> Iterator[TextIO]:
    """The file as text, decompressed where it is compressed. Bytes that are not UTF-8 are kept apart, to be told."""
    with path.open("rb") as raw:
        compressed = raw.read(2) == GZIP
    how = {"encoding": "utf-8-sig", "errors": "surrogateescape", "newline": ""}
    opener: Callable[..., Any] = gzip.open if compressed else open
    with opener(path, "rt", **how) as text:
        yield text


def rows_of(text: TextIO, *, line: int = 1) -> Iterator[Row]:
    """The rows of a CSV file with a header, of a JSON list of objects, or of objects one after the other.

    Raises Unreadable.
    """
    start = text.read(CHUNK_CHARACTERS)
    read = Pushback(text, start)
    found = csv_rows(read) if start.lstrip()[:1] not in ("[", "{") else json_rows(read, line)
    for row in found:
        yield row if row.problem else decoded(row)


def decoded(row: Row) -> Row:
    """The row, with a problem where it holds bytes that are not UTF-8."""
    try:
        "".join(row.values.values()).encode()
    except UnicodeEncodeError:
        return Row(row.line, row.values, "is not UTF-8")
    return row


class Pushback:
    """A text whose beginning has been read already."""

    def __init__(self, text: TextIO, start: str) -> None:
        self._text = text
        self._start = start

    def read(self, size: int) -> str:
        """The next characters; none at the end."""
        if self._start:
            start, self._start = self._start[:size], self._start[size:]
            return start
        return self._text.read(size)

    def lines(self) -> Iterator[str]:
        """The lines that are left, with their ends."""
        held, self._start = list(io.StringIO(self._start, newline="")), ""
        if held and not held[-1].endswith("\n"):
            held[-1] += self._text.readline()
        yield from held
        yield from self._text


def csv_rows(text: Pushback) -> Iterator[Row]:
    """Rows of CSV (RFC 4180), by the names in the header; the delimiter is the header's most frequent."""
    lines = text.lines()
    first = next(lines, "")
    delimiter = max(DELIMITERS, key=first.count)
    reader = csv.reader(chained(first, lines), delimiter=delimiter, strict=True)
    try:
        header = next(reader, [])
    except csv.Error as error:
        raise Unreadable(1, f"is no CSV: {error}") from None
    if len(set(header)) < len(header):
        raise Unreadable(1, f"the header names a column twice: {delimiter.join(header)}")
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield Row(line, {}, f"is no CSV: {error}")
            continue
        if len(cells) != len(header):
            if cells:
                yield Row(line, {}, f"has {len(cells)} columns, the header {len(header)}")
            continue
        yield Row(line, dict(zip(header, cells, strict=True)))


def chained(first: str, lines: Iterator[str]) -> Iterator[str]:
    """A line, and those that follow."""
    yield first
    yield from lines


def json_rows(text: Pushback, line: int) -> Iterator[Row]:
    """Objects of a JSON list, or standing one after the other."""
    decoder = json.JSONDecoder()
    held = text.read(CHUNK_CHARACTERS)
    while True:
        separators = "".join(takewhile(lambda character: character in " \t\r\n,[]", held))
        line += separators.count("\n")
        held = held[len(separators) :]
        if not held:
            held = text.read(CHUNK_CHARACTERS)
            if not held:
                return
            continue
        value, length, held = next_value(decoder, text, held, line)
        yield Row(line, flat(value)) if isinstance(value, dict) else Row(line, {}, "is not a JSON object")
        line += held[:length].count("\n")
        held = held[length:]


def next_value(decoder: json.JSONDecoder, text: Pushback, held: str, line: int) -> tuple[Any, int, str]:
    """The next value, its length, and the text that it begins; reads on while the value is not whole."""
    while True:
        try:
            value, length = decoder.raw_decode(held)
        except (json.JSONDecodeError, RecursionError) as error:
            more = text.read(CHUNK_CHARACTERS)
            held += more
            if not more or len(held) > RECORD_CHARACTERS_MAX:
                at = line + getattr(error, "lineno", 1) - 1
                raise Unreadable(
                    at, f"is no JSON: {getattr(error, 'msg', 'too deep')}; what follows was not read"
                ) from None
        else:
            if length < len(held) or not (more := text.read(CHUNK_CHARACTERS)):
                return value, length, held
            held += more


def flat(value: Any, prefix: str = "", depth: int = 0) -> dict[str, str]:
    """An object's texts by path, `period.start`; lists by number; nothing deeper than a few levels."""
    if isinstance(value, dict | list):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        found: dict[str, str] = {}
        for key, inner in pairs if depth < DEPTH_MAX else ():
            found |= flat(inner, f"{prefix}.{key}" if prefix else str(key), depth + 1)
        return found
    text = "" if value is None else value if isinstance(value, str) else json.dumps(value)
    return {prefix: text}
