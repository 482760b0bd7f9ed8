"""Logs stay bounded, and their ends can be shown."""

from pathlib import Path

from verbund.embedded import logs


def test_a_grown_log_is_cut_while_its_part_goes_on_writing(tmp_path: Path) -> None:
    """A part with its log open writes on into the emptied file; the older piece is kept once."""
    log = tmp_path / "worker.log"
    with log.open("a") as part:
        for text in ("first\n", "second\n"):
            part.write(text * 1000)
            part.flush()
            logs.bound(tmp_path, 1000)
        part.write("third\n")
    assert log.read_text() == "third\n"
    assert set((tmp_path / "worker.log.1").read_text().split()) == {"second"}


def test_a_small_log_is_left_alone(tmp_path: Path) -> None:
    """Nothing happens up to the bound."""
    (tmp_path / "worker.log").write_text("x" * 1000)
    logs.bound(tmp_path, 1000)
    assert [path.name for path in tmp_path.iterdir()] == ["worker.log"]


def test_the_last_lines_are_read_from_the_end(tmp_path: Path) -> None:
    """However large the log, only its end is read; a missing log has no lines."""
    log = tmp_path / "worker.log"
    log.write_text("\n".join(f"line {number}" for number in range(100_000)) + "\n\n")
    assert logs.last_lines(log, 2) == ["line 99998", "line 99999"]
    assert logs.last_lines(tmp_path / "none.log") == []
