"""The console as people meet it: the real services behind their sockets, and the console's own process before them."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import grpc
import httpx
from verbund.console.main import build as build_console
from verbund.exchange.main import build as build_exchange
from verbund.identity.keys.sealing import create_key_encryption_file
from verbund.identity.main import build as build_identity
from verbund.identity.v1 import organisation_service_pb2 as organisations
from verbund.identity.v1.organisation_service_pb2_grpc import OrganisationServiceStub
from verbund.registry.main import build as build_registry
from verbund.serving.settings import ServingSettings
from verbund.serving.worker import Pages, Worker, verifier_of

from tests.integration.exchange import mesh as exchange
from tests.integration.registry import mesh as registry
from tests.support.members import TIMEOUT_SECONDS, new_id
from tests.support.serving import bearer
from tests.support.tokens import ISSUER, Issuer

DISTRICT, CITYLAB, STRANGER = "ba-charlottenburg-wilmersdorf", "citylab", "stranger"
TITLES = {DISTRICT: "Bezirksamt Charlottenburg-Wilmersdorf", CITYLAB: "CityLAB Berlin", STRANGER: "Fremde Stelle"}
FORM = {"Origin": ISSUER, "Sec-Fetch-Site": "same-origin"}


class Person:
    """Somebody who reads pages, and sends the forms that stand on them."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client

    def read(self, path: str, headers: dict[str, str] | None = None, *, status: int = 200) -> "Shown":
        """A page."""
        answer = self.client.get(path, headers=headers)
        assert answer.status_code == status, answer.text
        return Shown(answer)

    def send(self, path: str, fields: dict[str, str], headers: dict[str, str] | None = None) -> httpx.Response:
        """A form, as a browser sends it from our own page."""
        return self.client.post(path, data=fields, headers=FORM if headers is None else headers)


class Shown:
    """A page as a browser has it; it is well-formed, or cannot be made."""

    def __init__(self, answer: httpx.Response) -> None:
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        self.answer = answer
        self.root = ET.fromstring(answer.text.removeprefix("<!doctype html>\n"))  # noqa: S314 - ours

    @property
    def text(self) -> str:
        """What is read, with single spaces."""
        return " ".join("".join(self.root.itertext()).split())

    @property
    def title(self) -> str:
        """The title in the browser's list of pages."""
        return self.one("head/title").text or ""

    def one(self, path: str) -> ET.Element:
        """The one element at a path."""
        (found,) = self.root.findall(path)
        return found

    def links(self) -> list[str]:
        """Where the page leads."""
        return [node.attrib["href"] for node in self.root.iter("a")]

    def section(self, heading: str) -> str:
        """The text of the section under a heading."""
        (found,) = (
            each for each in self.root.iter("section") if "".join(each[0].itertext()).strip().startswith(heading)
        )
        return " ".join("".join(found.itertext()).split())

    def request_id(self) -> str:
        """The id that the page's forms carry."""
        found = {node.attrib["value"] for node in self.root.iter("input") if node.attrib["name"] == "request_id"}
        (value,) = found
        return value


@dataclass(frozen=True)
class Desk:
    """A console, and the services as their other clients have them."""

    exchange: exchange.Mesh
    registry: registry.Mesh
    issuer: Issuer
    socket: str
    stack: ExitStack

    def person(self, organisation: str, *, roles: tuple[str, ...] = ("caseworker",), **claims: Any) -> Person:
        """Somebody of an organisation."""
        name = f"organisations/{organisation}/people/{'a' * 26}"
        claims = {"sub": name, "client_id": "verbund", "sys": "", **claims}
        return self.bearing(self.issuer.token(organisation, roles=roles, **claims))

    def without_services(self) -> Person:
        """Somebody whose console finds no service."""
        short = self.stack.enter_context(tempfile.TemporaryDirectory(prefix="verbund-d-", dir="/tmp"))
        self.stack.enter_context(console(self.issuer, Path(short)))
        return self.bearing(self.issuer.token(CITYLAB), f"{short}/console-0.http.sock")

    def refused_by_services(self, organisation: str) -> Person:
        """Somebody whose session the console does not know to be over yet, and the services do."""
        short = Path(self.stack.enter_context(tempfile.TemporaryDirectory(prefix="verbund-d-", dir="/tmp")))
        ahead = Issuer(short)
        self.stack.enter_context(console(ahead, short, services=Path(self.socket).parent))
        name = f"organisations/{organisation}/people/{'a' * 26}"
        token = ahead.token(organisation, roles=("caseworker",), sub=name, client_id="verbund", sys="")
        return self.bearing(token, f"{short}/console-0.http.sock")

    def bearing(self, token: str, socket: str = "") -> Person:
        """Whoever has a token."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        transport = httpx.HTTPTransport(uds=socket or self.socket)
        client = httpx.Client(transport=transport, base_url="http://console", headers=headers, timeout=TIMEOUT_SECONDS)
        return Person(self.stack.enter_context(client))


@contextmanager
def running(dsn: str, home: Path) -> Iterator[Desk]:
    """A worker of each area on a database, stopped afterwards."""
    issuer = Issuer(home)
    with tempfile.TemporaryDirectory(prefix="verbund-d-", dir="/tmp") as short, ExitStack() as stack:
        stated = exchange.settings(dsn, issuer, Path(short)) | identity_settings(home)
        serving = serving_settings(issuer, Path(short))
        verifier = verifier_of(serving)
        for build in (build_exchange, build_registry, build_identity):
            stack.enter_context(Worker(build(stated, verifier), serving, verifier, 0)).take_calls()
        stack.enter_context(console(issuer, Path(short)))
        channels = {
            area: stack.enter_context(grpc.insecure_channel(f"unix:{short}/{area}-0.grpc.sock", OPTIONS))
            for area in ("exchange", "registry", "identity")
        }
        admit(channels["identity"], issuer)
        meshes = (exchange.Mesh(channels["exchange"], issuer, dsn), registry.Mesh(channels["registry"], issuer, dsn))
        yield Desk(*meshes, issuer, f"{short}/console-0.http.sock", stack)


@contextmanager
def console(issuer: Issuer, directory: Path, *, services: Path | None = None) -> Iterator[None]:
    """A console in a directory, beside the services' sockets there or elsewhere."""
    serving = serving_settings(issuer, directory)
    stated = {"VERBUND_CONSOLE_SOCKET_DIR": str(services or directory), "VERBUND_CONSOLE_WORKERS": "1"}
    with Pages(build_console(stated, verifier_of(serving)), serving) as pages:
        pages.take_calls()
        yield


def serving_settings(issuer: Issuer, directory: Path) -> ServingSettings:
    """How each area is served here."""
    return ServingSettings(
        issuer=ISSUER,
        jwks_file=issuer.jwks_file,
        revocations_file=issuer.revocations_file,
        socket_dir=directory,
        leave_seconds=0.0,
    )


OPTIONS = [("grpc.use_local_subchannel_pool", 1)]


def identity_settings(home: Path) -> dict[str, str]:
    """Identity's own: what it publishes lies beside what the test's issuer does."""
    (home / "published").mkdir()
    create_key_encryption_file(home / "key-encryption.json")
    return {
        "VERBUND_IDENTITY_PUBLISH_DIR": str(home / "published"),
        "VERBUND_IDENTITY_KEY_ENCRYPTION_FILE": str(home / "key-encryption.json"),
        "VERBUND_REGISTRY_FEED_LOOK_SECONDS": "1",
    }


def admit(channel: grpc.Channel, issuer: Issuer) -> None:
    """Makes the organisations members, with their titles."""
    stub = OrganisationServiceStub(channel)
    operator = bearer(issuer.token("betrieb", roles=("operator",)))
    for organisation, title in TITLES.items():
        stub.CreateOrganisation(
            organisations.CreateOrganisationRequest(
                organisation_id=organisation,
                organisation=organisations.Organisation(title=title),
                request_id=new_id(),
            ),
            metadata=operator,
            timeout=TIMEOUT_SECONDS,
        )
