"""`verbund token`: an access token for tools that have no client of the mesh, such as curl and grpcurl."""

from pathlib import Path

import click

from verbund.options import Show, home_option, json_option
from verbund.sdk.connection import connection


@click.command("token")
@click.argument("system", required=False, metavar="[SYSTEM]")
@json_option
@home_option
def token(*, system: str | None, show: Show, named: Path | None) -> None:
    """Print an access token of SYSTEM, got with the private key in the home: organisations/…/systems/….

    SYSTEM is one that ready.json lists; the operator's, where none is named. The token is good for some minutes, and
    whoever has it is the system for that time.
    """
    with connection(named, system) as client:
        value = client.tokens.token()
    show({"accessToken": value, "tokenType": "Bearer"}, value)
