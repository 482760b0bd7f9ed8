"""`verbund env`: what any tool needs to call the mesh, as the variables of a shell."""

import json
import shlex
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import click

from verbund import files
from verbund.embedded import home as homes
from verbund.failure import Failure
from verbund.options import home_option
from verbund.sdk.client import claims_of
from verbund.sdk.connection import connection
from verbund.sdk.tokens import read_key

Variables = Mapping[str, str]


@click.command("env")
@click.argument("system", required=False, metavar="[SYSTEM]")
@click.option("--shell", type=click.Choice(["sh", "fish", "powershell", "json"]), default="sh", show_default=True)
@click.option(
    "--pem",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write SYSTEM's private key there too, as PEM (PKCS #8) for tools that read no JSON Web Key; 0600.",
)
@home_option
def env(*, system: str | None, shell: str, pem: Path | None, named: Path | None) -> None:
    """Print the variables with which any tool calls the mesh as SYSTEM; the operator's system, where none is named.

    sh and bash: eval "$(verbund env SYSTEM)". fish: verbund env SYSTEM --shell fish | source. PowerShell: verbund env
    SYSTEM --shell powershell | Out-String | Invoke-Expression. JSON is for everything else.

    VERBUND_GATEWAY is the address, VERBUND_CA the file with the certificate to trust, VERBUND_SYSTEM who calls,
    VERBUND_KEY the file with the key where --pem asked for it, VERBUND_TOKEN an access token for some minutes: whoever
    has it is the system for that time.
    """
    with connection(named, system) as client:
        token, name = client.tokens.token(), client.client_id
    ready = json.loads(homes.present(named).ready.read_text())
    variables = {"VERBUND_GATEWAY": ready["gateway"], "VERBUND_CA": ready["ca"], "VERBUND_SYSTEM": name}
    if pem is not None:
        (key,) = (entry["key"] for entry in ready["systems"] if entry["name"] == name)
        variables["VERBUND_KEY"] = str(write_pem(Path(key), pem.absolute()))
    expires = datetime.fromtimestamp(claims_of(token)["exp"], UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    click.echo(FORMS[shell](variables | {"VERBUND_TOKEN": token}, expires))


def write_pem(key: Path, target: Path) -> Path:
    """Writes the key of a JSON Web Key file as PEM; another key, or anything else, is not overwritten."""
    content = read_key(key).as_pem(private=True)
    try:
        if not target.exists():
            files.replace(target, content)
        elif target.read_bytes() != content:
            raise Failure(f"{target} holds something else.", who="You", remedy="name another file, or remove this one.")
    except OSError as error:
        raise Failure(f"{error}.", who="You", remedy="name a file that you may write.") from None
    return target


def for_sh(variables: Variables, expires: str) -> str:
    """For POSIX shells."""
    return lines(variables, lambda name, value: f"export {name}={shlex.quote(value)}", expires)


def for_fish(variables: Variables, expires: str) -> str:
    """For fish, whose single quotes know two escapes."""

    def stated(name: str, value: str) -> str:
        escaped = value.replace("\\", "\\\\").replace("'", "\\'")
        return f"set -gx {name} '{escaped}'"

    return lines(variables, stated, expires)


def for_powershell(variables: Variables, expires: str) -> str:
    """For PowerShell, where a quote within quotes is doubled."""

    def stated(name: str, value: str) -> str:
        doubled = value.replace("'", "''")
        return f"$env:{name} = '{doubled}'"

    return lines(variables, stated, expires)


def lines(variables: Variables, stated: Callable[[str, str], str], expires: str) -> str:
    """A line a variable. The comment is the last: `eval` without quotes makes one line of all."""
    told = [stated(name, value) for name, value in variables.items()]
    return "\n".join([*told, f"# The token is good until {expires}."])


def for_json(variables: Variables, expires: str) -> str:
    """One object; JSON has no comments."""
    return json.dumps({**variables, "VERBUND_TOKEN_EXPIRE_TIME": expires}, indent=2)


FORMS: Mapping[str, Callable[[Variables, str], str]] = {
    "sh": for_sh,
    "fish": for_fish,
    "powershell": for_powershell,
    "json": for_json,
}
