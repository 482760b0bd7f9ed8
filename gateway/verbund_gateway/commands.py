"""`verbund gateway …`: looking at the gateway's configuration."""

import json
from pathlib import Path
from typing import Any

import click
from verbund.embedded import home as homes
from verbund.failure import Failure
from verbund.options import home_option

from verbund_gateway import golden


@click.group("gateway")
def gateway() -> None:
    """The gateway's configuration."""


@gateway.command("render", short_help="Print Envoy's configuration as YAML.")
@click.option("--example", is_flag=True, help="Print the documented example instead of a home's configuration.")
@home_option
def render(*, example: bool, named: Path | None) -> None:
    """Print Envoy's configuration as YAML: the files that the gateway of this home runs on, by name."""
    if example:
        click.echo(golden.example(), nl=False)
        return
    directory = homes.present(named).gateway
    files = sorted(directory.glob("*.json"))
    if not files:
        raise Failure(
            f"there is no gateway's configuration in {directory}",
            who="You",
            remedy="start the mesh with `verbund up`, or add --example.",
        )
    click.echo(golden.as_yaml({file.name: shown(json.loads(file.read_text())) for file in files}), nl=False)


def shown(value: Any) -> Any:
    """A part of the configuration without the secret in a collector's headers. Recursion is bounded by its depth."""
    if isinstance(value, list):
        return [shown(item) for item in value]
    if isinstance(value, dict):
        hidden = value.keys() & {"initial_metadata", "request_headers_to_add"}
        return {key: "(not shown)" if key in hidden else shown(item) for key, item in value.items()}
    return value
