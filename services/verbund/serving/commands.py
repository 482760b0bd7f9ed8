"""`verbund serve`: one worker of an area, for operators that run the mesh on more than one machine."""

import os

import click


@click.command("serve")
@click.argument("area", metavar="AREA")
@click.option("--worker", default=0, type=click.IntRange(0, 99), show_default=True, help="The worker's number.")
@click.pass_context
def serve(context: click.Context, *, area: str, worker: int) -> None:
    """Run one worker of AREA (identity, exchange, registry, console) until SIGTERM.

    Settings: VERBUND_SERVING_*, VERBUND_<AREA>_*.
    """
    from verbund.policy import catalogue  # noqa: PLC0415 - `--help` needs none of it

    if area not in catalogue.AREAS:
        raise click.UsageError(f"{area} is none of {', '.join(catalogue.AREAS)}")
    from verbund.serving.worker import run  # noqa: PLC0415

    context.exit(run(area, worker, os.environ, reflected=catalogue.SERVICES))
