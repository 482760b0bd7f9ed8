"""The clients that people sign on to, and how they prove to be themselves at the token endpoint."""

import hmac
from collections.abc import Mapping
from pathlib import Path

from verbund.database.database import Database
from verbund.identity.signon.domain import Party
from verbund.identity.signon.store import SignOnStore
from verbund.identity.tokens.assertion import CLIENT
from verbund.identity.tokens.clients import PROOFS, Clients
from verbund.identity.tokens.domain import ClientRefused, Form
from verbund.resources.names import SystemName, organisation_of
from verbund.serving.call import Call
from verbund.settings import SettingError

CONSOLE = "console"
CONSOLE_PATHS = ("/console/callback",)
CONSOLE_LEAVES = ("/", "/console/signed-out")
FIND, ISSUE = "identity.signon.clients", "identity.tokens.issue"
SECRET_LENGTH_MIN = 32
OTHERS = 0o077


class Parties:
    """Finds clients, and lets none act for another: the console, and the systems of members."""

    def __init__(
        self, *, issuer: str, console_secret: str, database: Database, store: SignOnStore, clients: Clients
    ) -> None:
        self._database = database
        self._store = store
        self._clients = clients
        self._console = Party(
            client=CONSOLE,
            title="Verbund",
            redirect_uris=frozenset(issuer + path for path in CONSOLE_PATHS),
            post_logout_redirect_uris=frozenset(issuer + path for path in CONSOLE_LEAVES),
        )
        self._secrets: Mapping[str, str] = {CONSOLE: console_secret} if console_secret else {}

    def find(self, client: str) -> Party | None:
        """The client of that name; None where there is none, or nobody may sign on to it at present."""
        if client in self._secrets:
            return self._console
        if not CLIENT.fullmatch(client):
            return None
        call = Call.internal(FIND, organisation=organisation_of(client))
        with self._database.read(call) as rows:
            return self._store.party(rows, SystemName(client))

    def authenticated(self, form: Form) -> Party:
        """The client that sent a form; raises ClientRefused, the same for whatever is wrong."""
        stated, proofs = form.get("client_id", ""), PROOFS & form.keys()
        if stated in self._secrets:
            return self._by_secret(form, self._secrets[stated])
        if "client_secret" in proofs:
            raise ClientRefused
        party = self.find(self._clients.authenticated(form, ISSUE).name if proofs else stated)
        if party is None or not (proofs or party.public_client):
            raise ClientRefused
        return party

    def _by_secret(self, form: Form, secret: str) -> Party:
        """The console, where the form holds its secret and no other proof; raises ClientRefused."""
        sent = form.get("client_secret", "").encode("utf-8", "surrogatepass")
        if not hmac.compare_digest(sent, secret.encode()) or PROOFS & form.keys() != {"client_secret"}:
            raise ClientRefused
        return self._console


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
