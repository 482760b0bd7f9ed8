"""A mesh as people meet it: 100,000 projects, hundreds of deliveries, and somebody who has signed on."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import quote

import httpx
from verbund.console.routes import PROJECTS_PATH, START_PATH
from verbund.console.site import mail, projects
from verbund.embedded import home as homes
from verbund.embedded import postgres
from verbund.exchange.v1 import mailbox_service_pb2 as mailboxes
from verbund.exchange.v1.mailbox_service_pb2_grpc import MailboxServiceStub
from verbund.resources.names import OrganisationName
from verbund.sdk.client import Client
from verbund.sdk.transfer import File
from verbund.tour import sample as samples
from verbund.tour.members import admit
from verbund.tour.mesh import Mesh
from verbund.tour.people import come_in, person_of
from verbund.tour.records import record_strategy
from verbund.tour.sample import Member, Sample

from tests.bench import registry_rows
from tests.support.home import mesh_up
from tests.support.signing_on import new_browser, sign_on

READER = "charlottenburg-wilmersdorf"
RECEIVED, SENT = 300, 100  # deliveries of the reader's organisation, all of which wait for somebody
CONCERNED = 20  # projects that these concern
SENDERS_AT_ONCE = 4
SIGN_ONS = 3
TIMEOUT_SECONDS = 20.0
UNLIMITED = 10_000_000


@dataclass(frozen=True, slots=True)
class Site:
    """The running mesh, the person's client and browser, and pages to read, by what they are."""

    mesh: Mesh
    person: Client
    browser: httpx.Client
    redirects: Sequence[int]  # of each sign-on
    paths: Mapping[str, Sequence[str]]

    @property
    def gateway(self) -> str:
        """Where the mesh is reached."""
        return str(self.mesh.ready()["gateway"])

    @property
    def cookies(self) -> str:
        """Those of the person's session, as their browser sends them."""
        return "; ".join(f"{cookie.name}={cookie.value}" for cookie in self.browser.cookies.jar)


@contextmanager
def running() -> Iterator[Site]:
    """The mesh, gone at the end."""
    sample = samples.read()
    reader = sample.member(READER)
    limits = {f"VERBUND_GATEWAY_RATE_{kind}": str(UNLIMITED) for kind in ("READ", "WRITE", "BULK", "AUTHENTICATE")}
    with mesh_up(**limits) as up, Mesh(homes.find(up.home)) as mesh:
        for member in sample.members:
            admit(mesh.operator().channel, mesh.home, member)
        mesh.wait_until_listed({member.system for member in sample.members})
        record_strategy(mesh.client(sample.member(sample.strategy_owner).system).channel, sample)
        strategy = f"strategies/{sample.strategy_id}"
        dsn = postgres.dsn(mesh.home, user=postgres.ADMINISTRATOR)
        names = registry_rows.fill(dsn, OrganisationName(reader.organisation), strategy)
        sent = send_all(mesh, sample, reader, names[:CONCERNED])
        person = come_in(mesh, sample, reader).value.client
        with new_browser(mesh.ready()) as browser:
            redirects = [sign_on_anew(mesh, sample, reader, browser) for _ in range(SIGN_ONS)]
            yield Site(mesh, person, browser, redirects, paths_of(names[:CONCERNED], sent))


def paths_of(names: Sequence[str], sent: str) -> dict[str, Sequence[str]]:
    """The pages: a project that deliveries concern, a search for a misspelt word among them."""
    return {
        "start page": [START_PATH],
        "project page": [projects.address_of(name) for name in names],
        "search with a typo": [f"{PROJECTS_PATH}?q={quote(word)}" for word in registry_rows.misspelt()],
        "list of projects": [PROJECTS_PATH],
        "delivery page": [mail.address_of(sent)],
    }


def sign_on_anew(mesh: Mesh, sample: Sample, reader: Member, browser: httpx.Client) -> int:
    """The person signs on with a browser that has never been there; how often it was sent on."""
    browser.cookies.clear()
    found = sign_on(browser, person_of(mesh, reader, sample.people[READER]))
    assert found.page.status_code == httpx.codes.OK, found.page.text
    return found.redirects


def send_all(mesh: Mesh, sample: Sample, reader: Member, names: Sequence[str]) -> str:
    """What the others send to the reader's organisation, and what it sends to them; the name of one it received."""
    others = [member for member in sample.members if member is not reader]
    for member in sample.members:
        make_mailbox(mesh, member)
    pairs = [(others[number % len(others)], reader) for number in range(RECEIVED)]
    pairs += [(reader, others[number % len(others)]) for number in range(SENT)]

    def send(number: int) -> str:
        sender, receiver = pairs[number]
        document = File(b"%PDF-1.7 " + b"x" * 2000 + str(number).encode(), f"projektauftrag-{number}.pdf")
        subject = f"Projektauftrag mit Anlagen, Fassung {number}"
        to = f"{receiver.organisation}/mailboxes/bench"
        project = names[number % len(names)]
        return mesh.client(sender.system).send([document], to=to, subject=subject, project=project).name

    for member in sample.members:
        mesh.client(member.system)  # made by one thread
    with ThreadPoolExecutor(SENDERS_AT_ONCE) as pool:
        first, *_ = pool.map(send, range(len(pairs)))
    return first


def make_mailbox(mesh: Mesh, member: Member) -> None:
    """A member's mailbox, for everybody."""
    request = mailboxes.CreateMailboxRequest(
        parent=member.organisation, mailbox_id="bench", mailbox=mailboxes.Mailbox(title="Bench")
    )
    MailboxServiceStub(mesh.client(member.system).channel).CreateMailbox(request, timeout=TIMEOUT_SECONDS)
