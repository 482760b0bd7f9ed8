"""`verbund up`."""

import os
from pathlib import Path
from typing import BinaryIO

import click


@click.command("up")
@click.option("--tour", is_flag=True, help="Show what the mesh does, as soon as it is ready.")
@click.option(
    "--exit", "ends", is_flag=True, help="Stop when it is ready, or after the tour, with the tour's exit code."
)
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="The home directory; otherwise VERBUND_HOME, otherwise ~/.local/share/verbund.",
)
@click.option(
    "--idp",
    type=click.Choice(["builtin", "keycloak", "none"]),
    default="builtin",
    show_default=True,
    help="Run the built-in OpenID provider with invented people, or a real Keycloak with the same ones (needs Java and "
    "Maven), or none: then register your organisation's own.",
)
@click.option(
    "--document",
    type=click.File("rb", lazy=False),  # opened here: the parts may have fewer rights
    help="With --tour: send this file, not the project order that is marked as an example.",
)
@click.pass_context
def up(
    context: click.Context, *, tour: bool, ends: bool, data_dir: Path | None, idp: str, document: BinaryIO | None
) -> None:
    """Start the whole mesh on this machine, and keep it running until Ctrl-C.

    Exit codes: 0 it was stopped or has done its work, 1 a part or the tour failed, 2 wrong usage,
    3 the machine is not ready (a busy port, a home in use), 130 interrupted before it was ready.
    """
    from verbund.embedded.up import Options, run  # noqa: PLC0415 - `verbund up --help` needs none of it

    options = Options(
        data_dir=data_dir,
        tour=tour,
        exit=ends,
        provider=idp == "builtin",
        keycloak=idp == "keycloak",
        document=document,
    )
    context.exit(run(options, os.environ))
