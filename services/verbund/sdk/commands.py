"""`verbund token`: an access token for tools that have no client of the mesh, such as curl and grpcurl."""

import json
import os
from pathlib import Path

import click
import httpx

from verbund.embedded import home as homes
from verbund.failure import Failure
from verbund.sdk.client import Client
from verbund.sdk.refusals import NotReady, TokenRefused


@click.command("token")
@click.argument("system", required=False, metavar="[SYSTEM]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--home", "named", type=click.Path(path_type=Path), help="The mesh's home directory; else VERBUND_HOME.")
def token(*, system: str | None, as_json: bool, named: Path | None) -> None:
    """Print an access token of SYSTEM, got with the private key in the home: organisations/…/systems/….

    SYSTEM is one that ready.json lists; the operator's, where none is named. The token is good for some minutes, and
    whoever has it is the system for that time.
    """
    home = homes.find(homes.choose(os.environ, named))
    try:
        with Client.from_home(home.path, system) as client:
            value = client.tokens.token()
    except NotReady as error:
        remedy = "start the mesh with `verbund up`; its ready.json names the systems."
        raise Failure(f"{error}.", who="You", remedy=remedy) from None
    except TokenRefused as error:
        remedy = "the mesh does not take the key in the home: add it to the system (:addKey), or resume the system."
        raise Failure(f"{error}.", who="The operator", remedy=remedy) from None
    except httpx.TransportError as error:
        remedy = "check that the mesh runs, and start it with `verbund up`."
        raise Failure(f"The gateway cannot be reached: {error}.", who="You", remedy=remedy) from None
    click.echo(json.dumps({"accessToken": value, "tokenType": "Bearer"}) if as_json else value)
