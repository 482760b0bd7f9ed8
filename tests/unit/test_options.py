"""What several commands have in common is common to them."""

import json

import click
from click.testing import CliRunner
from verbund.identity.v1.organisation_service_pb2 import Organisation
from verbund.options import Show, json_option

MEMBER = Organisation(name="organisations/amt", title="Straßenamt")


@click.command()
@json_option
def found(*, show: Show) -> None:
    """Finds one organisation, and two lines."""
    show(MEMBER, "Straßenamt")
    show({"members": [MEMBER], "count": 1}, (line for line in ("one", "two")))


def test_text_is_for_people() -> None:
    """Without --json a command prints its lines."""
    assert CliRunner().invoke(found).output == "Straßenamt\none\ntwo\n"


def test_json_is_a_document_a_line() -> None:
    """With it, each thing found is one line of JSON, messages of the API inside it too, and the umlauts as they are."""
    output = CliRunner().invoke(found, ["--json"]).output
    member = {"name": "organisations/amt", "title": "Straßenamt"}
    assert [json.loads(line) for line in output.splitlines()] == [member, {"members": [member], "count": 1}]
    assert "Straßenamt" in output


def test_no_lines_are_no_line() -> None:
    """Where nothing was found, nothing is printed."""
    assert not CliRunner().invoke(click.command()(lambda: Show(as_json=False)({}, []))).output


def test_nobody_commands_the_terminal() -> None:
    """What another organisation wrote is shown and not obeyed; programs read in the JSON what was written."""
    title = "harmless \x1b]0;title\x07 \x9b31m\x7f\rover\tit\nall"
    shown = CliRunner().invoke(click.command()(lambda: Show(as_json=False)({}, title))).output
    assert shown == "harmless \\u001b]0;title\\u0007 \\u009b31m\\u007f\\u000dover\tit\nall\n"
    told = CliRunner().invoke(click.command()(lambda: Show(as_json=True)(Organisation(title=title), ""))).output
    assert told.rstrip("\n").isprintable()
    assert json.loads(told) == {"title": title}
