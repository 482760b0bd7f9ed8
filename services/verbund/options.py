"""Options that commands of several areas have. It imports nothing that `--help` does not need."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # all but tabs and the ends of lines


@dataclass(frozen=True, slots=True)
class Show:
    """Prints what a command found: as text for people or, with --json, as one JSON document a line for programs."""

    as_json: bool

    def __call__(self, document: Any, text: str | Iterable[str]) -> None:
        """Prints `document`, of what JSON knows and messages of protobuf, or else `text`, a line or several."""
        if self.as_json:
            click.echo(harmless(json.dumps(document, ensure_ascii=False, default=plain)))
            return
        for line in [text] if isinstance(text, str) else text:
            click.echo(harmless(line))


def harmless(text: str) -> str:
    """The text without what terminals obey: others wrote its titles. In JSON it stands for the same characters."""
    return CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def plain(message: Any) -> dict[str, Any]:
    """A message as JSON knows it."""
    from google.protobuf import json_format  # noqa: PLC0415 - `verbund doctor` runs without it

    return json_format.MessageToDict(message)


home_option = click.option(
    "--home",
    "named",
    type=click.Path(path_type=Path),
    help="The mesh's home directory; else VERBUND_HOME, else ~/.local/share/verbund.",
)
json_option = click.option(
    "--json",
    "show",
    is_flag=True,
    callback=lambda _context, _option, value: Show(as_json=value),
    help="Print JSON, one document a line.",
)
