"""Files through the mesh: one of 1 GiB up and down beside nginx, and the memory of every process while 10 GiB pass."""

import json
import os
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from verbund.embedded import home as homes
from verbund.embedded import ports
from verbund.exchange.v1 import delivery_service_pb2 as deliveries
from verbund.exchange.v1 import mailbox_service_pb2 as mailboxes
from verbund.exchange.v1.delivery_service_pb2_grpc import DeliveryServiceStub
from verbund.exchange.v1.mailbox_service_pb2_grpc import MailboxServiceStub
from verbund.tour.members import admit
from verbund.tour.mesh import Mesh
from verbund.tour.sample import Member

from tests.bench import nginx
from tests.bench.figures import Figure, ratios
from tests.support.envoy import Gateway, gateway_settings, start_envoy
from tests.support.home import mesh_up

GIB = 1024**3
MIB = 1024**2
ROUNDS = 5
FILE_BYTES = GIB
PASSING_FILES = 10  # of 1 GiB each
AT_ONCE = 8
UPLOAD_TARGET, DOWNLOAD_TARGET, MEMORY_TARGET = 1.3, 0.6, 64.0
SETTLE_SECONDS = 3.0
LOOK_SECONDS = 0.1
TIMEOUT_SECONDS = 30.0
UNLIMITED = 10_000_000
SENDERS = ("bench-a", "bench-b")  # two, because one organisation may not have all of the streams


@dataclass(frozen=True, slots=True)
class Bench:
    """The running mesh with its senders, the file that they send, and the reference."""

    mesh: Mesh
    file: Path
    ca: Path
    reference: "Reference"

    @property
    def gateway(self) -> str:
        """Where the mesh is reached."""
        return str(self.mesh.ready()["gateway"])


@dataclass(frozen=True, slots=True)
class Reference:
    """nginx for PUT, and nginx behind the same Envoy for GET."""

    put_url: str
    files: Path
    gateway: Gateway


@dataclass(frozen=True, slots=True)
class Round:
    """How many seconds each transfer took."""

    nginx_up: float
    nginx_sync: float
    up: float
    nginx_down: float
    down: float


def measure() -> list[Figure]:
    """All figures of files; nothing where there is no nginx."""
    if not nginx.installed():
        print("Not measured: files need nginx as their reference (Debian's package nginx-light).", flush=True)
        return []
    with running() as bench:
        return [*speed(bench), memory(bench)]


@contextmanager
def running() -> Iterator[Bench]:
    """The whole mesh, on the disk where temporary files lie, and nginx beside it on the same one."""
    limits = {"VERBUND_GATEWAY_RATE_BULK": str(UNLIMITED)}
    with mesh_up(**limits) as up, Mesh(homes.find(up.home)) as mesh:
        directory = up.home.parent / "reference"
        directory.mkdir()
        ca = Path(mesh.ready()["ca"])
        for sender in SENDERS:
            prepare(mesh, sender)
        file = directory / "file"
        write_file(file)
        with referring(mesh, directory, file) as reference:
            yield Bench(mesh, file, ca, reference)


@contextmanager
def referring(mesh: Mesh, directory: Path, file: Path) -> Iterator[Reference]:
    """nginx, and an Envoy configured as the mesh's is, with nginx where the exchange would be. It gives `file`."""
    edge = gateway_settings(directory / "edge", workers=1, issuer=mesh.ready()["gateway"], rate_bulk=UNLIMITED)
    jwks = json.loads((mesh.home.published / "jwks.json").read_text())
    port = ports.free_port("127.0.0.1")
    with (
        nginx.running(
            directory,
            port=port,
            certificate=mesh.home.tls / "server.pem",
            key=mesh.home.tls / "server.key",
            get_socket=edge.sockets("exchange", "http")[0],
        ) as files,
        start_envoy(edge, jwks) as gateway,
    ):
        os.link(file, files / "download")
        yield Reference(f"https://127.0.0.1:{port}", files, gateway)


def prepare(mesh: Mesh, organisation_id: str) -> None:
    """An organisation with a system and a mailbox."""
    member = member_of(organisation_id)
    admit(mesh.operator().channel, mesh.home, member)
    request = mailboxes.CreateMailboxRequest(
        parent=member.organisation, mailbox_id="bench", mailbox=mailboxes.Mailbox(title="Bench")
    )
    MailboxServiceStub(mesh.client(member.system).channel).CreateMailbox(request, timeout=TIMEOUT_SECONDS)


def member_of(organisation_id: str) -> Member:
    """A sender."""
    return Member(organisation_id, organisation_id, "bench", "Bench", ("admin", "system"))


def write_file(path: Path) -> None:
    """A file of FILE_BYTES that no file system can make smaller."""
    with path.open("wb") as file:
        for _ in range(FILE_BYTES // (16 * MIB)):
            file.write(os.urandom(16 * MIB))


def changed(path: Path) -> Path:
    """The file with other content, so that nobody has it already."""
    with path.open("r+b") as file:
        file.write(uuid.uuid4().bytes)
    return path


def speed(bench: Bench) -> list[Figure]:
    """Uploads and downloads in turns with those of nginx; each of the four once before the first round."""
    rounds = [speed_round(bench) for _ in range(ROUNDS + 1)][1:]  # the first finds everything cold
    what = "1 GiB {} through the gateway, {}"
    return [
        Figure(
            what=what.format("up", "hashed and on the disk"),
            unit="x nginx's PUT, neither",
            rounds=ratios([found.nginx_up for found in rounds], [found.up for found in rounds]),
            target=UPLOAD_TARGET,
            at_least=True,
        ),
        Figure(
            what="the same",
            unit="x nginx's PUT with a sync after it",
            rounds=ratios([found.nginx_up + found.nginx_sync for found in rounds], [found.up for found in rounds]),
        ),
        Figure(
            what=what.format("down", "access checked"),
            unit="x nginx behind the same Envoy",
            rounds=ratios([found.nginx_down for found in rounds], [found.down for found in rounds]),
            target=DOWNLOAD_TARGET,
            at_least=True,
        ),
    ]


def speed_round(bench: Bench) -> Round:
    """One of each, of a content that nobody has yet."""
    changed(bench.file)
    document = new_document(bench, SENDERS[0])
    name = uuid.uuid4().hex
    found = Round(
        nginx_up=seconds_of(lambda: put(bench, f"{bench.reference.put_url}/{name}", "")),
        nginx_sync=seconds_of(lambda: sync(bench.reference.files / name)),
        up=seconds_of(lambda: upload(bench, SENDERS[0], document)),
        nginx_down=seconds_of(lambda: reference_download(bench)),
        down=seconds_of(lambda: download(bench, SENDERS[0], document)),
    )
    (bench.reference.files / name).unlink()
    return found


def memory(bench: Bench) -> Figure:
    """The most that any process holds more than when idle, while files pass up and down, AT_ONCE at a time."""
    time.sleep(SETTLE_SECONDS)
    processes = bench.mesh.ready()["processes"]
    idle = {process["pid"]: resident_bytes(process["pid"]) for process in processes}
    peak = dict(idle)
    stop = threading.Event()

    def look() -> None:
        while not stop.wait(LOOK_SECONDS):
            for pid, most in peak.items():
                peak[pid] = max(most, resident_bytes(pid))

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        pass_files(bench)
    finally:
        stop.set()
        watcher.join()
    names = {process["pid"]: process["name"] for process in processes}
    grown = {names[pid]: (peak[pid] - idle[pid]) / MIB for pid in peak}
    fattest = max(grown, key=lambda name: grown[name])
    return Figure(
        what=f"10 GiB up and down, {AT_ONCE} at once: what a process ({fattest}) holds more than idle, at most",
        unit="MiB",
        rounds=[grown[fattest]],
        target=MEMORY_TARGET,
    )


def pass_files(bench: Bench) -> None:
    """Every file goes up, then down."""
    changed(bench.file)
    pairs = [(sender, new_document(bench, sender)) for sender in (SENDERS * PASSING_FILES)[:PASSING_FILES]]
    with ThreadPoolExecutor(AT_ONCE) as callers:
        list(callers.map(lambda pair: upload(bench, *pair), pairs))
        list(callers.map(lambda pair: download(bench, *pair), pairs))


def resident_bytes(pid: int) -> int:
    """The memory of a process that files do not back: what it would take from others."""
    return int(psutil.Process(pid).memory_full_info().uss)


def new_document(bench: Bench, organisation_id: str) -> str:
    """The name of a document that can be uploaded."""
    member = member_of(organisation_id)
    other = member_of(next(name for name in SENDERS if name != organisation_id))
    delivery = deliveries.Delivery(mailbox=f"{other.organisation}/mailboxes/bench", subject="Bench")
    request = deliveries.CreateDeliveryRequest(parent=member.organisation, delivery=delivery)
    stub = DeliveryServiceStub(bench.mesh.client(member.system).channel)
    return f"{stub.CreateDelivery(request, timeout=TIMEOUT_SECONDS).name}/documents/{uuid.uuid4().hex}"


def upload(bench: Bench, organisation_id: str, document: str) -> None:
    """One PUT, as a partner makes it with curl."""
    token = bench.mesh.client(member_of(organisation_id).system).tokens.token()
    put(bench, f"{bench.gateway}/v1/{document}?fileName=file&mediaType=application/octet-stream", token)


def put(bench: Bench, url: str, token: str) -> None:
    """Sends the file."""
    curl(["--cacert", str(bench.ca), "--upload-file", str(bench.file), "--output", os.devnull, url], token)


def download(bench: Bench, organisation_id: str, document: str) -> None:
    """One GET, as a partner makes it with curl."""
    token = bench.mesh.client(member_of(organisation_id).system).tokens.token()
    curl(["--cacert", str(bench.ca), "--output", os.devnull, f"{bench.gateway}/files/{document}"], token)


def reference_download(bench: Bench) -> None:
    """The same GET, answered by nginx behind an Envoy that asks for the same."""
    token = bench.mesh.client(member_of(SENDERS[0]).system).tokens.token()
    edge = bench.reference.gateway
    name = f"{member_of(SENDERS[0]).organisation}/deliveries/any/documents/any"
    trusted = str(edge.settings.certificate_file)
    curl(["--cacert", trusted, "--output", os.devnull, f"{edge.url}/files/{name}"], token)


def curl(arguments: Sequence[str], token: str) -> None:
    """Runs curl, which is told the token where no other process sees it; raises where the answer is a refusal."""
    command = ["curl", "--silent", "--show-error", "--fail", "--http1.1", "--config", "-", *arguments]
    header = f'header = "Authorization: Bearer {token}"\n' if token else ""
    subprocess.run(command, input=header, text=True, check=True)


def sync(path: Path) -> None:
    """Waits until a file is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def seconds_of(work: Callable[[], Any]) -> float:
    """How long it takes, on the wall."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun
