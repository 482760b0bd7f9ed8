"""`verbund migrate`: brings a database to the schema of this version."""

import os

import click

from verbund.failure import Failure
from verbund.settings import SettingError


@click.command("migrate")
@click.option(
    "--phase",
    "phases",
    multiple=True,
    type=click.Choice(["pre", "post"]),
    help="Only this phase: pre before new code starts, post when no old code runs. Both by default.",
)
@click.option("--dsn", help="The database, as a role that may create roles; otherwise VERBUND_DATABASE_ADMIN_DSN.")
def migrate(*, phases: tuple[str, ...], dsn: str | None) -> None:
    """Run the migrations that have not run yet. Nothing happens where there are none."""
    from verbund.database import migrate as migrations  # noqa: PLC0415 - `--help` needs no database driver

    target = dsn or os.environ.get("VERBUND_DATABASE_ADMIN_DSN")
    if not target:
        raise SettingError("VERBUND_DATABASE_ADMIN_DSN is not set; it takes a PostgreSQL connection string")

    def report(migration: migrations.Migration) -> None:
        click.echo(f"{migration.area}/{migration.number:04}_{migration.phase}_{migration.name}")

    try:
        count = migrations.migrate(target, phases=phases or ("pre", "post"), report=report)
    except migrations.MigrationError as error:
        raise Failure(
            str(error), who="The operator", remedy="nothing of that file was kept; mend it and repeat."
        ) from None
    click.echo(f"{count} migrations run" if count else "Nothing to do: the schema is up to date")
