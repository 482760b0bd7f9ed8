"""`verbund tour`."""

import os
from pathlib import Path

import click

from verbund.options import home_option


@click.command("tour")
@click.option("--json", "as_json", is_flag=True, help="Print the steps as JSON, with their ids and traces.")
@click.option(
    "--data",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Import this list of projects first, and search it.",
)
@click.option(
    "--document",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Send this file; otherwise a project order that is marked as an example.",
)
@home_option
@click.pass_context
def tour(
    context: click.Context, *, as_json: bool, data: Path | None, document: Path | None, named: Path | None
) -> None:
    """Show what the running mesh does, on the strategy "Gemeinsam Digital: Berlin" and its five pilot projects.

    It can be repeated on the same home. Exit codes: 0 all steps succeeded, 1 one failed and said the way out.
    """
    from verbund.embedded import home as homes  # noqa: PLC0415 - `verbund tour --help` needs none of it
    from verbund.tour.main import run  # noqa: PLC0415

    context.exit(run(homes.choose(os.environ, named), data=data, document=document, as_json=as_json))
