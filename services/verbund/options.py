"""Options that commands of several areas have. It imports nothing that `--help` does not need."""

from pathlib import Path

import click

home_option = click.option(
    "--home",
    "named",
    type=click.Path(path_type=Path),
    help="The mesh's home directory; else VERBUND_HOME, else ~/.local/share/verbund.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
