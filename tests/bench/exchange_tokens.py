"""Token exchange at identity's HTTP socket: people who are known, with RS256 tokens of a provider that is known."""

import http.client
import json
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

import psycopg
from verbund.identity.keys.sealing import create_key_encryption_file

from tests.bench.callers import TRACED_OF, Work, by_all, traceparent
from tests.bench.figures import Figure
from tests.bench.parts import START_SECONDS_MAX, Parts, environment_of, started
from tests.bench.processor import Counts, spent
from tests.bench.servers import CALLERS
from tests.support.home_provider import CLIENT, HomeProvider, home_provider

ROUNDS = 7
EXCHANGES = 4000
PEOPLE = 64
TARGET = 1000 / 810  # ten times what Keycloak does on one core
GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"
HEADERS = {"content-type": "application/x-www-form-urlencoded"}
MAPPING = {
    "name_claim": "name",
    "email_claim": "email",
    "roles_claim": "roles",
    "roles": [["staff", ["caseworker"]], ["lead", ["approver"]]],
    "default_roles": ["viewer"],
    "assurances": [["gold", 3], ["silver", 2]],
    "required_claims": {"tenant": "citylab"},
}
TRUST = """
    INSERT INTO identity.organisations (name, title, state, revision, create_time, update_time)
    VALUES ('organisations/bench', 'Bench', 'active', 1, now(), now());
    INSERT INTO identity.providers (name, organisation, title, issuer, audience, mapping, state, revision, create_time,
        update_time)
    VALUES ('organisations/bench/providers/home', 'organisations/bench', 'Home', '{issuer}', '{audience}', '{mapping}',
        'active', 1, now(), now())
"""


class Connection(http.client.HTTPConnection):
    """HTTP/1.1 over a Unix socket, kept open as the gateway keeps its own."""

    def __init__(self, path: Path) -> None:
        super().__init__("identity")
        self._path = path

    def connect(self) -> None:
        """Connects to the worker."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(str(self._path))


def measure(parts: Parts) -> list[Figure]:
    """The CPU of the identity worker and of PostgreSQL for an exchange."""
    with tempfile.TemporaryDirectory(prefix="verbund-home-", dir="/tmp") as name, home_provider(Path(name)) as home:
        content = TRUST.format(issuer=home.issuer(), audience=CLIENT, mapping=json.dumps(MAPPING))
        with psycopg.connect(parts.dsn) as connection:
            connection.execute(content)  # type: ignore[arg-type]
        with identity(parts, home) as pid, callers(parts, home) as work:
            work()
            found = [spent({"identity": pid, "PostgreSQL": parts.backends}, work) for _ in range(ROUNDS)]
    return figures(found)


def figures(found: list[Counts]) -> list[Figure]:
    """The rounds, altogether and by part."""
    whole = [sum(counts.values()) for counts in found]
    what = "token exchange, one core, PostgreSQL counted"
    unit = "CPU s per 1,000"
    return [
        Figure(what=what, unit=unit, rounds=whole, target=round(TARGET, 3)),
        Figure(what="the same, as exchanges of one core", unit="a second", rounds=[1000 / each for each in whole]),
        Figure(what="of it identity", unit=unit, rounds=[counts["identity"] for counts in found]),
        Figure(what="of it PostgreSQL", unit=unit, rounds=[counts["PostgreSQL"] for counts in found]),
    ]


@contextmanager
def identity(parts: Parts, home: HomeProvider) -> Iterator[int]:
    """A worker of identity; its process id."""
    published = parts.directory / "published"
    published.mkdir()
    create_key_encryption_file(parts.directory / "key-encryption.json")
    environment = environment_of(parts.directory, parts.postgres, parts.issuer) | {
        "VERBUND_IDENTITY_PUBLISH_DIR": str(published),
        "VERBUND_IDENTITY_KEY_ENCRYPTION_FILE": str(parts.directory / "key-encryption.json"),
        "VERBUND_IDENTITY_PROVIDER_CA_FILE": str(home.ca_file),
        "VERBUND_IDENTITY_PROVIDER_PRIVATE_ADDRESSES": "true",
        "VERBUND_SERVING_JWKS_FILE": str(published / "jwks.json"),
        "VERBUND_SERVING_REVOCATIONS_FILE": str(published / "revocations.json"),
    }
    with started(parts.directory, environment, "identity") as pid:
        yield pid


@contextmanager
def callers(parts: Parts, home: HomeProvider) -> Iterator[Work]:
    """Work: exchanges, each caller on a connection that stays open."""
    path = parts.sockets / "identity-0.http.sock"
    forms = [form_of(home, f"person-{number}") for number in range(PEOPLE)]
    connections = [Connection(path) for _ in range(CALLERS)]
    wait_for(path, forms[0])

    def make(caller: int, number: int) -> None:
        connection = connections[caller]
        if number == 0:
            connection.close()  # a server ends what was idle between two rounds; the next request connects again
        headers = HEADERS | {"traceparent": traceparent((caller + number) % TRACED_OF)}
        connection.request("POST", "/oauth2/token", body=forms[(caller * 7 + number) % PEOPLE], headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status == http.client.OK, body

    try:
        yield lambda: by_all(EXCHANGES, make)
    finally:
        for connection in connections:
            connection.close()


def form_of(home: HomeProvider, subject: str) -> str:
    """The form with a home token as Keycloak writes them: about 1 KiB."""
    token = home.token(
        subject,
        exp=int(time.time()) + 3600,
        tenant="citylab",
        acr="gold",
        roles=["staff", "offline_access", "uma_authorization"],
        azp=CLIENT,
        sid="2e7b4c1a-7d4f-4b77-9d52-5f7b2a8c9d10",
        at_hash="qLZ4Yy2gIgwJb2nW8gEQXg",
        auth_time=int(time.time()),
        preferred_username=subject,
        given_name="Person",
        family_name=subject,
        email_verified=True,
    )
    return urlencode({"grant_type": GRANT, "subject_token": token, "subject_token_type": ID_TOKEN})


def wait_for(path: Path, form: str) -> None:
    """Returns when the worker exchanges tokens."""
    end = time.monotonic() + START_SECONDS_MAX
    while True:
        connection = Connection(path)
        try:
            connection.request("POST", "/oauth2/token", body=form, headers=HEADERS)
            if (answer := connection.getresponse()).status == http.client.OK:
                return
            failure = answer.read().decode()
        except OSError as error:
            failure = str(error)
        finally:
            connection.close()
        assert time.monotonic() < end, failure
        time.sleep(0.1)
