"""The clients that people sign on to, and how they prove to be themselves at the token endpoint."""

import hmac
from collections.abc import Mapping
from pathlib import Path

from verbund.identity.signon.domain import Party
from verbund.identity.tokens.clients import PROOFS
from verbund.identity.tokens.domain import ClientRefused, Form
from verbund.settings import SettingError

CONSOLE = "console"
CONSOLE_PATHS = ("/console/callback",)
CONSOLE_LEAVES = ("/", "/console/signed-out")
SECRET_LENGTH_MIN = 32
OTHERS = 0o077


class Parties:
    """Finds clients, and lets none act for another."""

    def __init__(self, *, issuer: str, console_secret: str) -> None:
        self._console = Party(
            client=CONSOLE,
            title="Verbund",
            redirect_uris=frozenset(issuer + path for path in CONSOLE_PATHS),
            post_logout_redirect_uris=frozenset(issuer + path for path in CONSOLE_LEAVES),
        )
        self._secrets: Mapping[str, str] = {CONSOLE: console_secret} if console_secret else {}

    def find(self, client: str) -> Party | None:
        """The client of that name; None where there is none."""
        return self._console if client in self._secrets else None

    def leaves(self) -> frozenset[str]:
        """Where a sign-out of the mesh's own pages may end."""
        return self._console.post_logout_redirect_uris

    def authenticated(self, form: Form) -> Party:
        """The client that sent a form; raises ClientRefused, the same for whatever is wrong."""
        party, stated = self.find(form.get("client_id", "")), form.get("client_secret", "")
        expected = self._secrets.get(form.get("client_id", ""), "")
        same = hmac.compare_digest(stated.encode("utf-8", "surrogatepass"), expected.encode())
        if party is None or not expected or not same or PROOFS & form.keys() != {"client_secret"}:
            raise ClientRefused
        return party


def read_secret(path: Path | None) -> str:
    """The console's secret; empty where there is none. Raises SettingError for a file that others may read."""
    if path is None:
        return ""
    try:
        mode, found = path.stat().st_mode, path.read_text().strip()
    except OSError as error:
        raise SettingError(f"{path}: {error.strerror}") from error
    if mode & OTHERS:
        raise SettingError(f"{path} may be read by others: chmod 600 it")
    if len(found) < SECRET_LENGTH_MIN:
        raise SettingError(f"{path} holds no secret of {SECRET_LENGTH_MIN} characters")
    return found
