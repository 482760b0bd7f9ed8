"""Rows of files: every dialect that people publish, each row with its line, in memory that does not grow."""

import csv
import gzip
import io
import json
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from verbund.registry.imports.reading import Row, Unreadable, opened, rows_of

TEXTS = st.text(st.characters(exclude_characters="\0\r", codec="utf-8"), max_size=30)


def read(text: str) -> list[Row]:
    """The rows of a text."""
    return list(rows_of(io.StringIO(text, newline="")))


@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=8), st.sampled_from(",;\t|"))
def test_what_is_written_as_csv_is_read(cells: list[tuple[str, str]], delimiter: str) -> None:
    """Quotation marks, line ends and delimiters in cells come back as they were, whatever the delimiter is."""
    written = io.StringIO(newline="")
    writer = csv.writer(written, delimiter=delimiter, quoting=csv.QUOTE_ALL)
    writer.writerow(["left", "right"])
    writer.writerows(cells)
    assert [tuple(row.values.values()) for row in read(written.getvalue())] == cells


@given(
    st.lists(st.dictionaries(TEXTS.filter(bool), TEXTS, max_size=4), max_size=6),
    st.booleans(),
    st.sampled_from([None, 2]),
)
def test_what_is_written_as_json_is_read(records: list[dict[str, str]], listed: bool, indent: int | None) -> None:
    """A list, or objects one after the other; on one line or on many."""
    texts = [json.dumps(record, indent=indent, ensure_ascii=False) for record in records]
    text = json.dumps(records, indent=indent) if listed else "\n".join(texts)
    if records or listed:
        assert [row.values for row in read(text)] == records


def test_rows_know_their_lines() -> None:
    """Also after cells and objects of several lines."""
    assert [row.line for row in read('a,b\n1,"x\ny"\n2,z\n')] == [2, 4]
    assert [row.line for row in read('[\n{"a": 1,\n"b": 2},\n\n{"a": 3}]')] == [2, 5]


def test_json_values_are_texts_by_path() -> None:
    """Nothing is lost, nothing invented: null is nothing, numbers and truth values are written as JSON writes them."""
    (row,) = read('{"title": {"de": "Titel"}, "tags": ["a", "b"], "n": 1.50, "t": true, "nothing": null}')
    assert row.values == {"title.de": "Titel", "tags.0": "a", "tags.1": "b", "n": "1.5", "t": "true", "nothing": ""}


def test_rows_that_are_amiss_are_told_and_the_next_is_read() -> None:
    """Too few cells, a stray quotation mark, something that is no object."""
    rows = read('a,b\n1\n"x"y,2\n3,4\n')
    assert [(row.line, bool(row.problem)) for row in rows] == [(2, True), (3, True), (4, False)]
    rows = read('[1, {"a": "b"}]')
    assert [bool(row.problem) for row in rows] == [True, False]


@pytest.mark.parametrize(("text", "line"), [('[{"a": 1},\n{"a": ', 2), ('[{"a": 1},\n}', 2), ("a,a\n1,2\n", 1)])
def test_a_file_that_cannot_be_read_on_says_where(text: str, line: int) -> None:
    """The line where reading ended."""
    with pytest.raises(Unreadable) as caught:
        read(text)
    assert caught.value.line == line


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    """Nothing but Unreadable is ever raised."""
    try:
        read(text)
    except Unreadable as unreadable:
        assert unreadable.line >= 1  # noqa: PT017


def test_files_may_be_compressed_and_begin_with_a_mark(tmp_path: Path) -> None:
    """Gzip is recognised by its bytes, not its name; UTF-8's byte order mark is no part of the first column's name."""
    path = tmp_path / "list.csv"
    path.write_bytes(gzip.compress("\ufeffname,x\nGüte,1\n".encode()))
    with opened(path) as text:
        assert [row.values for row in rows_of(text)] == [{"name": "Güte", "x": "1"}]


def test_bytes_that_are_not_utf_8_are_told_by_row(tmp_path: Path) -> None:
    """A file in another encoding is not guessed at, and one wrong row does not take the others with it."""
    path = tmp_path / "list.csv"
    path.write_bytes(b"name,x\nG\xfcte,1\nPlatz,2\n")
    with opened(path) as text:
        assert [(row.line, row.problem) for row in rows_of(text)] == [(2, "is not UTF-8"), (3, "")]


@pytest.mark.parametrize("start", ["name,text\n", "["])
def test_memory_does_not_grow_with_the_file(tmp_path: Path, start: str) -> None:
    """Twenty thousand rows of a kilobyte are read in a few megabytes."""
    path = tmp_path / "list"
    row = f"a,{'x' * 1000}\n" if start.startswith("name") else json.dumps({"name": "a", "text": "x" * 1000}) + ",\n"
    path.write_text(start + row * 20_000)
    tracemalloc.start()
    with opened(path) as text:
        assert sum(1 for _ in rows_of(text)) == 20_000
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * 1024 * 1024
