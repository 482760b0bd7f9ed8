"""The running mesh as the tour's systems reach it: a client for each, with that system's own key."""

import json
import time
from pathlib import Path
from typing import Any, Self

from verbund.embedded.home import Home
from verbund.sdk.client import Client
from verbund.sdk.refusals import NotReady

LISTED_SECONDS_MAX = 10.0
LOOK_SECONDS = 0.05


class Mesh:
    """The mesh of a home. Close it, or use it as a context manager."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self._clients: dict[str, Client] = {}
        self._people: list[Client] = []

    def ready(self) -> dict[str, Any]:
        """What `ready.json` says; raises NotReady."""
        try:
            found: dict[str, Any] = json.loads(self.home.ready.read_text())
        except FileNotFoundError:
            raise NotReady(f"no mesh is running at {self.home.named}") from None
        return found

    def operator(self) -> Client:
        """The client of the operator's system: the first that `ready.json` lists."""
        return self.client(self.ready()["systems"][0]["name"])

    def client(self, system: str) -> Client:
        """The client of a system whose key lies in the home."""
        if system not in self._clients:
            ready = self.ready()
            self._clients[system] = Client(
                ready["gateway"],
                ca=self.ca,
                token_endpoint=ready["token_endpoint"],
                client_id=system,
                key=self.home.key_file(system),
            )
        return self._clients[system]

    def wait_until_listed(self, systems: set[str]) -> None:
        """Returns when `ready.json` names the systems: the supervisor looks at the keys twice a second."""
        end = time.monotonic() + LISTED_SECONDS_MAX
        while systems - {entry["name"] for entry in self.ready()["systems"]}:
            if time.monotonic() > end:
                raise NotReady(f"{self.home.ready} does not list {', '.join(sorted(systems))}")
            time.sleep(LOOK_SECONDS)

    @property
    def ca(self) -> Path:
        """The certificates that the home's servers are trusted by."""
        return Path(self.ready()["ca"])

    def person(self, home_token: str) -> Client:
        """The client of a person who signed in at home; closed with the others."""
        ready = self.ready()
        client = Client(ready["gateway"], ca=self.ca, token_endpoint=ready["token_endpoint"], home_token=home_token)
        self._people.append(client)
        return client

    def close(self) -> None:
        """Ends all connections."""
        for client in (*self._clients.values(), *self._people):
            client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
