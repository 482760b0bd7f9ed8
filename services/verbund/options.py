"""Options that commands of several areas have. It imports nothing that `--help` does not need."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click


@dataclass(frozen=True, slots=True)
class Show:
    """Prints what a command found: as text for people or, with --json, as one JSON document a line for programs."""

    as_json: bool

    def __call__(self, document: Any, text: str | Iterable[str]) -> None:
        """Prints `document`, of what JSON knows and messages of protobuf, or else `text`, a line or several."""
        if self.as_json:
            click.echo(json.dumps(document, ensure_ascii=False, default=plain))
        else:
            click.echo(
                text if isinstance(text, str) else "".join(f"{line}\n" for line in text), nl=isinstance(text, str)
            )


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
