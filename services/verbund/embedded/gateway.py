"""The gateway in the home: its configuration, Envoy itself, its readiness, its keys."""

import json
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from joserfc.jwk import ECKey
from verbund_gateway import engine, writer
from verbund_gateway.render import render
from verbund_gateway.settings import GatewaySettings, from_environment

from verbund.embedded.children import execute
from verbund.embedded.home import Home

ANSWER_SECONDS_MAX = 1.0


def configure(home: Home, environment: Mapping[str, str], envoy: Path) -> None:
    """Writes Envoy's configuration after Envoy has accepted it; raises writer.ConfigurationError."""
    writer.write(home.gateway, render(from_environment(environment), published(home) or nobodys()), program=envoy)


def run(home: Home, environment: Mapping[str, str], envoy: Path) -> None:
    """Becomes Envoy."""
    program, *arguments = engine.command(home.gateway, from_environment(environment), program=envoy)
    execute(Path(program), arguments, {"PATH": "/usr/bin:/bin"})


def answers(environment: Mapping[str, str]) -> bool:
    """Whether Envoy says that it is live, and takes connections."""
    settings = from_environment(environment)
    return is_live(settings.admin_socket) and connects(settings)


def is_live(admin: Path) -> bool:
    """Envoy's own word: it has read everything it was told to."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(ANSWER_SECONDS_MAX)
            connection.connect(str(admin))
            connection.sendall(b"GET /ready HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n")
            return b"LIVE" in b"".join(iter(lambda: connection.recv(4096), b""))
    except OSError:
        return False


def connects(settings: GatewaySettings) -> bool:
    """Whether the port is open."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104 - the reverse: a client
    try:
        socket.create_connection((host, settings.port), timeout=ANSWER_SECONDS_MAX).close()
    except OSError:
        return False
    return True


def published(home: Home) -> dict[str, Any] | None:
    """The keys that identity has published, None before it ever has."""
    try:
        found: dict[str, Any] = json.loads((home.published / "jwks.json").read_bytes())
    except (OSError, ValueError):
        return None
    return found if found.get("keys") else None


def nobodys() -> dict[str, Any]:
    """A key whose private half is thrown away: until identity has published its own, no token is good."""
    return {"keys": [ECKey.generate_key("P-256").as_dict(private=False)]}


class Keys:
    """Keeps the gateway's keys those that identity publishes."""

    def __init__(self, home: Home, environment: Mapping[str, str]) -> None:
        self._home = home
        self._settings = from_environment(environment)
        self._seen: tuple[int, int] | None = None

    def follow(self) -> bool:
        """Hands changed keys to Envoy; whether the gateway has the published ones."""
        try:
            status = (self._home.published / "jwks.json").stat()
        except OSError:
            return False
        state = (status.st_mtime_ns, status.st_ino)
        if state == self._seen:
            return True
        jwks = published(self._home)
        if jwks is None:
            return False
        writer.update_keys(self._home.gateway, jwks, self._settings)
        self._seen = state
        return True
