"""The secrets behind the sessions of browsers: made once, and known to identity and the gateway by their files only."""

import secrets
from pathlib import Path

from verbund.embedded.home import Home
from verbund.files import replace

SECRET_BYTES = 32


def client_file(home: Home) -> Path:
    """By what the gateway proves at identity to be the console's."""
    return home.keys / "console-client.secret"


def cookie_file(home: Home) -> Path:
    """What the gateway encrypts cookies with."""
    return home.keys / "browser-cookies.secret"


def ensure(home: Home) -> None:
    """Makes the secrets that are not there yet."""
    for file in (client_file(home), cookie_file(home)):
        if not file.exists():
            replace(file, secrets.token_urlsafe(SECRET_BYTES).encode())
