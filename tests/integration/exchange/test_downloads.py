"""Downloads over the wire, as gRPC and as HTTP: whole, in ranges, or an error; never a part that looks whole."""

import base64
import hashlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import psutil
import pytest
from verbund.exchange.v1 import upload_service_pb2 as pb

from tests.integration.exchange.files import (
    MIB,
    RECEIVER,
    SENDER,
    STRANGER,
    Exchange,
    digest_of,
    exchanging,
    peak_memory,
    pieces,
)
from tests.support.members import refused
from tests.support.postgres import Cluster
from tests.support.serving import bearer

CONTENT = os.urandom(1_500_000)


@pytest.fixture(scope="module")
def exchange(postgres: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    """One exchange for the module."""
    name = postgres.create(template="template")
    with exchanging(f"postgresql:///{name}?host={postgres.directory}", tmp_path_factory.mktemp("x")) as found:
        yield found
    postgres.drop(name)


@pytest.fixture(scope="module")
def name(exchange: Exchange) -> str:
    """A document of a submitted delivery."""
    draft = exchange.draft()
    name = f"{draft}/documents/auftrag"
    exchange.upload(name, CONTENT, file_name='Auftrag "Übersicht" 100%.pdf')
    exchange.mesh.district.submit(draft)
    return name


@pytest.fixture(scope="module")
def client(exchange: Exchange) -> Iterator[httpx.Client]:
    """The receiver's HTTP client."""
    with exchange.client(RECEIVER) as found:
        yield found


def ranged(client: httpx.Client, name: str, asked: str, **headers: str) -> httpx.Response:
    """A GET of a range."""
    return client.get(f"/files/{name}", headers={"range": asked} | {k.replace("_", "-"): v for k, v in headers.items()})


@pytest.mark.parametrize("organisation", [SENDER, RECEIVER])
def test_both_sides_download(exchange: Exchange, name: str, organisation: str) -> None:
    """Over gRPC from the beginning, from the middle and from the end; over HTTP as a whole."""
    for offset in (0, 1, 700_000, len(CONTENT) - 1, len(CONTENT)):
        assert exchange.download(name, organisation, offset) == CONTENT[offset:]
    with refused("INPUT_INVALID"):
        exchange.download(name, organisation, len(CONTENT) + 1)
    with exchange.client(organisation) as client:
        assert client.get(f"/files/{name}").content == CONTENT


def test_the_first_piece_says_what_it_is(exchange: Exchange, name: str) -> None:
    """The document stands before its content, once; no piece is larger than 256 KiB."""
    metadata = bearer(exchange.token(RECEIVER))
    answers = list(exchange.stub().DownloadDocument(pb.DownloadDocumentRequest(name=name), metadata=metadata))
    assert [answer.HasField("document") for answer in answers] == [True] + [False] * (len(answers) - 1)
    assert answers[0].document.sha256 == digest_of(CONTENT)
    assert max(len(answer.data) for answer in answers) == 256 * 1024


def test_what_is_said_of_a_file(client: httpx.Client, name: str) -> None:
    """Length, type, name, validator and digest; and nothing that a browser would run in our place."""
    found = client.get(f"/files/{name}")
    assert (found.status_code, found.headers["content-length"]) == (200, str(len(CONTENT)))
    assert found.headers["content-type"] == "application/pdf"
    assert found.headers["content-disposition"] == (
        'attachment; filename="Auftrag __bersicht_ 100_.pdf"; '
        "filename*=UTF-8''Auftrag%20%22%C3%9Cbersicht%22%20100%25.pdf"
    )
    assert found.headers["etag"] == f'"{digest_of(CONTENT)}"'
    assert found.headers["repr-digest"] == f"sha-256=:{base64.b64encode(hashlib.sha256(CONTENT).digest()).decode()}:"
    assert found.headers["x-content-type-options"] == "nosniff"
    assert found.headers["content-security-policy"].startswith("sandbox")
    assert found.headers["cache-control"] == "private, no-cache"
    assert (found.headers["accept-ranges"], found.headers["traceresponse"][:3]) == ("bytes", "00-")
    head = client.head(f"/files/{name}")
    assert (head.status_code, head.content) == (200, b"")
    for said in ("content-length", "content-type", "content-disposition", "etag", "repr-digest", "accept-ranges"):
        assert head.headers[said] == found.headers[said]


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=100-199", 100, 200),
        ("bytes=1000000-", 1_000_000, 1_500_000),
        ("bytes=-500", 1_499_500, 1_500_000),
        ("bytes=-9999999", 0, 1_500_000),
        ("bytes=1499999-9999999", 1_499_999, 1_500_000),
    ],
)
def test_a_range(client: httpx.Client, name: str, asked: str, start: int, end: int) -> None:
    """206 with exactly these bytes, over GET; HEAD says the same of them."""
    found = ranged(client, name, asked)
    assert (found.status_code, found.content) == (206, CONTENT[start:end])
    assert found.headers["content-range"] == f"bytes {start}-{end - 1}/1500000"
    assert found.headers["content-length"] == str(end - start)
    head = client.head(f"/files/{name}", headers={"range": asked})
    assert (head.status_code, head.headers["content-length"]) == (206, str(end - start))


@pytest.mark.parametrize("asked", ["bytes=0-1,5-6", "bytes=9-2", "bytes=-", "pages=1-2", "bytes=a-b", "nonsense"])
def test_what_is_no_single_range_is_answered_whole(client: httpx.Client, name: str, asked: str) -> None:
    """RFC 9110 lets a server send all of it, and so we do."""
    found = ranged(client, name, asked)
    assert (found.status_code, found.content) == (200, CONTENT)


@pytest.mark.parametrize("asked", ["bytes=1500000-", "bytes=99999999-100000000", "bytes=-0"])
def test_a_range_beyond_the_end(client: httpx.Client, name: str, asked: str) -> None:
    """416, with how many bytes there are, in the mesh's words."""
    found = ranged(client, name, asked)
    assert (found.status_code, found.headers["content-range"]) == (416, "bytes */1500000")
    assert found.json()["details"][0]["reason"] == "INPUT_INVALID"


def test_validators(client: httpx.Client, name: str) -> None:
    """Who has the content gets 304; a range of another version becomes all of this one."""
    etag = f'"{digest_of(CONTENT)}"'
    for asked in (etag, f'"x", W/{etag}', "*"):
        found = client.get(f"/files/{name}", headers={"if-none-match": asked})
        assert (found.status_code, found.content, found.headers["etag"]) == (304, b"", etag)
    assert client.get(f"/files/{name}", headers={"if-none-match": '"other"'}).status_code == 200
    modified = client.head(f"/files/{name}").headers["last-modified"]
    for right in (etag, modified):
        assert ranged(client, name, "bytes=1-2", if_range=right).status_code == 206
    for other in ('"other"', f"W/{etag}", "Sat, 01 Jan 2000 00:00:00 GMT", "nonsense"):
        assert ranged(client, name, "bytes=1-2", if_range=other).content == CONTENT


def test_an_empty_file(exchange: Exchange, client: httpx.Client) -> None:
    """It is whole at once; every range of it lies beyond its end."""
    draft = exchange.draft()
    exchange.upload(f"{draft}/documents/empty", b"")
    exchange.mesh.district.submit(draft)
    found = client.get(f"/files/{draft}/documents/empty")
    assert (found.status_code, found.headers["content-length"]) == (200, "0")
    assert ranged(client, f"{draft}/documents/empty", "bytes=0-").status_code == 416


def test_who_must_not_know_is_told_nothing(exchange: Exchange, name: str) -> None:
    """A stranger, the receiver of a draft, and whoever asks for what is not there hear the same."""
    draft = exchange.draft()
    exchange.upload(f"{draft}/documents/a", b"x")
    absent = f"{name}-not"
    told = set()
    for asked, organisation in (
        (name, STRANGER),
        (f"{draft}/documents/a", RECEIVER),
        (absent, RECEIVER),
        (absent, STRANGER),
        (f"{draft}x/documents/a", SENDER),
    ):
        with refused("NOT_FOUND"):
            exchange.download(asked, organisation)
        with exchange.client(organisation) as client:
            answers = client.get(f"/files/{asked}"), ranged(client, asked, "bytes=0-1"), client.head(f"/files/{asked}")
        assert [answer.status_code for answer in answers] == [404, 404, 404]
        body = answers[0].json()
        del body["details"][0]["metadata"]["traceId"], body["details"][0]["metadata"]["resource"]
        told.add((body["message"], str(body["details"][0]), body["details"][1]["resourceType"]))
    assert len({message for message, _, _ in told}) == 1
    assert len({info for _, info, _ in told}) == 1


def test_what_was_withdrawn_the_receiver_sees_no_more(exchange: Exchange, client: httpx.Client) -> None:
    """The sender still has it."""
    draft = exchange.draft()
    name = f"{draft}/documents/a"
    exchange.upload(name, b"x")
    exchange.mesh.district.submit(draft)
    assert client.get(f"/files/{name}").content == b"x"
    exchange.mesh.district.withdraw(draft)
    assert client.get(f"/files/{name}").status_code == 404
    with refused("NOT_FOUND"):
        exchange.download(name, RECEIVER)
    assert exchange.download(name, SENDER) == b"x"


def test_nobody_else_comes_in(exchange: Exchange, name: str) -> None:
    """No token, no permission, no name of a document, no other method."""
    with exchange.gateway.client() as client:
        assert client.get(f"/files/{name}").status_code == 401
    viewer = exchange.mesh.issuer.token(RECEIVER, roles=("viewer",))
    with exchange.gateway.client(viewer) as client:
        answer = client.get(f"/files/{name}")
        assert (answer.status_code, answer.json()["details"][0]["metadata"]["rule"]) == (
            403,
            "exchange.documents.download",
        )
    with exchange.client(RECEIVER) as client:
        for path in ("/files/", "/files/x", f"/files/{name}/x", "/files/%2e%2e/etc/passwd", f"/files/{name}?a=b#c"):
            assert client.get(path).status_code in (200, 400, 404)
        assert client.post(f"/files/{name}").status_code == 405


def test_memory_stays_flat(exchange: Exchange, client: httpx.Client) -> None:
    """A quarter of a gigabyte leaves a worker that never has 64 MiB of it; the gateway neither."""
    size = 256 * MIB
    draft = exchange.draft()
    name = f"{draft}/documents/large"
    with exchange.client() as sender:
        asked = {"fileName": "large.bin", "mediaType": "application/octet-stream"}
        assert sender.put(f"/v1/{name}", params=asked, content=pieces(size)).status_code == 200
    exchange.mesh.district.submit(draft)
    with peak_memory(exchange.process) as worker, peak_memory(exchange.gateway.process) as gateway:
        with client.stream("GET", f"/files/{name}") as answer:
            digest = hashlib.sha256()
            for piece in answer.iter_raw():
                digest.update(piece)
        assert digest.hexdigest() == exchange.mesh.district.get(draft).documents[0].sha256
        metadata = bearer(exchange.token(RECEIVER))
        answers = exchange.stub().DownloadDocument(pb.DownloadDocumentRequest(name=name), metadata=metadata)
        assert sum(len(answer.data) for answer in answers) == size
        assert worker() < 64 * MIB
        assert gateway() < 64 * MIB


@pytest.mark.parametrize("damage", ["gone", "shorter", "longer"])
def test_a_damaged_content_is_an_error(exchange: Exchange, client: httpx.Client, damage: str) -> None:
    """INTERNAL before anything is sent: the operator's log says which file."""
    draft, content = exchange.draft(), os.urandom(300_000)
    name = f"{draft}/documents/a"
    digest = exchange.upload(name, content).sha256
    exchange.mesh.district.submit(draft)
    path = exchange.blobs / "sha256" / digest[:2] / digest[2:]
    match damage:
        case "gone":
            path.unlink()
        case "shorter":
            os.truncate(path, 299_999)
        case "longer":
            os.truncate(path, 300_001)
    with refused("INTERNAL"):
        exchange.download(name, RECEIVER)
    answer = client.get(f"/files/{name}")
    assert (answer.status_code, answer.json()["details"][0]["reason"]) == (500, "INTERNAL")
    assert digest not in answer.text


@pytest.fixture
def mortal(postgres: Cluster, tmp_path: Path) -> Iterator[tuple[Exchange, str, Path]]:
    """An exchange of the test's own, with a document of 64 MiB; its name and where it lies."""
    database = postgres.create(template="template")
    with exchanging(f"postgresql:///{database}?host={postgres.directory}", tmp_path) as found:
        draft = found.draft()
        name = f"{draft}/documents/large"
        with found.client() as client:
            asked = {"fileName": "large.bin", "mediaType": "application/octet-stream"}
            digest = client.put(f"/v1/{name}", params=asked, content=pieces(64 * MIB)).json()["sha256"]
        yield found, name, found.blobs / "sha256" / digest[:2] / digest[2:]
    postgres.drop(database)


@pytest.mark.parametrize("way", ["grpc", "grpc through the gateway", "http/1.1", "curl", "http/2"])
@pytest.mark.parametrize("fault", ["killed", "damaged"])
def test_a_download_that_breaks_off_is_an_error(
    mortal: tuple[Exchange, str, Path], way: str, fault: str, tmp_path: Path
) -> None:
    """The server dies midway, or the file does: the client sees an error, never a short file that looks whole."""
    exchange, name, path = mortal

    def strike() -> None:
        if fault == "killed":
            exchange.process.send_signal(signal.SIGKILL)
        else:
            os.truncate(path, 40 * MIB)

    match way:
        case "grpc" | "grpc through the gateway":
            channel = exchange.mesh.channel if way == "grpc" else exchange.gateway.channel()
            metadata = bearer(exchange.token())
            answers: Any = exchange.stub(channel).DownloadDocument(
                pb.DownloadDocumentRequest(name=name), metadata=metadata, timeout=60
            )
            next(answers)
            strike()
            with pytest.raises(grpc.RpcError):
                list(answers)
            assert answers.code() is not grpc.StatusCode.OK
            channel.close()
        case "http/1.1":
            with exchange.client() as client, client.stream("GET", f"/files/{name}") as answer:
                received = answer.iter_raw(MIB)
                next(received)
                strike()
                with pytest.raises(httpx.RemoteProtocolError):
                    list(received)
        case _:
            assert curled(exchange, name, tmp_path / "file", strike, "--http2" if way == "http/2" else "--http1.1") != 0
            assert (tmp_path / "file").stat().st_size < 64 * MIB


@pytest.mark.parametrize("cause", ["stalled", "revoked"])
def test_a_download_that_nobody_takes_lets_go(postgres: Cluster, tmp_path: Path, cause: str) -> None:
    """A client that takes a little and then nothing loses its place, and one whose token is taken back the rest."""
    database = postgres.create(template="template")
    pace = "1" if cause == "stalled" else "600"
    dsn = f"postgresql:///{database}?host={postgres.directory}"
    with exchanging(dsn, tmp_path, VERBUND_SERVING_STREAM_PACE_SECONDS=pace) as found:
        name = f"{found.draft()}/documents/large"
        with found.client() as client:
            asked = {"fileName": "large.bin", "mediaType": "application/octet-stream"}
            assert client.put(f"/v1/{name}", params=asked, content=pieces(64 * MIB)).status_code == 200
            worker = psutil.Process(found.process.pid)
            with client.stream("GET", f"/files/{name}") as answer:
                received = answer.iter_raw(MIB)
                next(received)
                assert reads_contents(worker, found.blobs)
                if cause == "revoked":
                    sender = f"organisations/{SENDER}"
                    found.mesh.issuer.revoke({"kind": "org", "value": sender, "before": int(time.time()) + 100})
                end = time.monotonic() + 20
                while reads_contents(worker, found.blobs):
                    assert time.monotonic() < end
                    time.sleep(0.05)
                with pytest.raises(httpx.RemoteProtocolError):
                    list(received)
    postgres.drop(database)


def reads_contents(process: psutil.Process, blobs: Path) -> bool:
    """Whether a worker has a content open."""
    return any(Path(file.path).is_relative_to(blobs / "sha256") for file in process.open_files())


def curled(exchange: Exchange, name: str, file: Path, strike: Any, flag: str) -> int:
    """The exit code of curl, which reads slowly enough to be struck midway."""
    command = ["curl", "-sS", flag, "--limit-rate", "20M", "-o", str(file), f"{exchange.gateway.url}/files/{name}"]
    command += ["-H", f"Authorization: Bearer {exchange.token()}"]
    command += ["--cacert", str(exchange.gateway.settings.certificate_file)]
    with subprocess.Popen(command) as process:
        end = time.monotonic() + 20
        while (not file.exists() or file.stat().st_size < MIB) and time.monotonic() < end:
            time.sleep(0.02)
        strike()
        return process.wait(60)
