"""Uploads over the wire, as gRPC and as HTTP PUT: what is acknowledged is kept, and what is refused leaves nothing."""

import os
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import grpc
import httpx
import pytest
from google.api.httpbody_pb2 import HttpBody
from verbund.exchange.v1 import upload_service_pb2 as pb

from tests.integration.exchange.files import MIB, Exchange, digest_of, exchanging, messages, peak_memory, pieces
from tests.integration.exchange.mesh import event_name, intended
from tests.support.load import wait_until
from tests.support.members import refused
from tests.support.postgres import Cluster
from tests.support.serving import bearer

CONTENT = os.urandom(600_000)


@pytest.fixture(scope="module")
def shared(postgres: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    """One exchange for the module."""
    name = postgres.create(template="template")
    root = tmp_path_factory.mktemp("x")
    limits: dict[str, Any] = {
        "VERBUND_EXCHANGE_DOCUMENT_BYTES_MAX": str(300 * MIB),
        "VERBUND_SERVING_STREAM_PACE_SECONDS": "2",
    }
    with exchanging(f"postgresql:///{name}?host={postgres.directory}", root, **limits) as found:
        _ = found.mesh.mailbox
        yield found
    postgres.drop(name)


@pytest.fixture
def exchange(shared: Exchange) -> Iterator[Exchange]:
    """The module's exchange; nothing half written is left by any test."""
    yield shared
    wait_until(lambda: shared.half_written() == [], "something half written is left")


@pytest.fixture
def draft(exchange: Exchange) -> str:
    """A draft of the test's own."""
    return exchange.draft()


def put(client: httpx.Client, name: str, content: Any, **query: str) -> httpx.Response:
    """An upload over HTTP."""
    asked = {"fileName": "auftrag.pdf", "mediaType": "application/pdf"} | query
    return client.put(f"/v1/{name}", params=asked, content=content)


def reason(answer: httpx.Response) -> str:
    """The reason of a refusal in JSON."""
    return str(answer.json()["details"][0]["reason"])


def test_an_upload_has_all_its_effects(exchange: Exchange, draft: str) -> None:
    """The document with its digest, the content under it, an entry in the sender's timeline. The log is owed nothing:
    what is done to a draft is its sender's own affair.
    """
    name = f"{draft}/documents/auftrag"
    document = exchange.upload(name, CONTENT, size_bytes=len(CONTENT), sha256=digest_of(CONTENT))
    assert (document.name, document.file_name, document.media_type) == (name, "auftrag.pdf", "application/pdf")
    assert (document.size_bytes, document.sha256) == (len(CONTENT), digest_of(CONTENT))
    digest = document.sha256
    assert (exchange.blobs / "sha256" / digest[:2] / digest[2:]).read_bytes() == CONTENT
    assert exchange.download(name) == CONTENT
    delivery = exchange.mesh.district.get(draft)
    assert list(delivery.documents) == [document]
    entry = exchange.mesh.district.timeline(draft).timeline_entries[-1]
    assert (event_name(entry.event), entry.document) == ("DOCUMENT_ADDED", name)
    assert intended(exchange.mesh.dsn, draft) == intended(exchange.mesh.dsn, name) == []


def test_an_upload_over_http(exchange: Exchange, draft: str) -> None:
    """One PUT of the content, larger than other bodies may be; names with umlauts and spaces arrive as they are."""
    content = b"".join(pieces(6 * MIB))
    with exchange.client() as client:
        answer = put(
            client,
            f"{draft}/documents/gross",
            content,
            fileName="Präsentation für den Bürgermeister.pdf",
            sha256=digest_of(content),
            sizeBytes=str(len(content)),
        )
    assert answer.status_code == 200, answer.text
    document = answer.json()
    assert document["fileName"] == "Präsentation für den Bürgermeister.pdf"
    assert (document["sizeBytes"], document["sha256"]) == (str(len(content)), digest_of(content))
    assert exchange.download(f"{draft}/documents/gross") == content


def test_an_upload_whose_length_nobody_said(exchange: Exchange, draft: str) -> None:
    """Chunks over HTTP/1.1, and the media type from the content where the query has none."""
    with exchange.client(**{"content-type": "text/plain; charset=utf-8"}) as client:
        answer = client.put(
            f"/v1/{draft}/documents/text", params={"fileName": "a.txt"}, content=iter([b"eins ", b"", b"zwei"])
        )
    assert answer.status_code == 200, answer.text
    assert answer.json()["mediaType"] == "text/plain; charset=utf-8"
    assert exchange.download(f"{draft}/documents/text") == b"eins zwei"


def test_curl_sends_a_file(exchange: Exchange, draft: str, tmp_path: Path) -> None:
    """`curl -T` over HTTP/1.1, asking first whether to go on, and over HTTP/2."""
    file = tmp_path / "file"
    file.write_bytes(CONTENT * 4)
    for number, flags in enumerate((["--http1.1", "-H", "Expect: 100-continue"], ["--http2"])):
        url = f"{exchange.gateway.url}/v1/{draft}/documents/curl-{number}?fileName={quote('ä b')}.bin"
        command = ["curl", "-sS", "-w", "%{http_code}", "-o", str(tmp_path / "answer"), "-T", str(file), url, *flags]
        command += ["-H", f"Authorization: Bearer {exchange.token()}"]
        command += ["--cacert", str(exchange.gateway.settings.certificate_file)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stdout == "200", (tmp_path / "answer").read_text()
        assert digest_of(CONTENT * 4) in (tmp_path / "answer").read_text()


def test_an_empty_file(exchange: Exchange, draft: str) -> None:
    """Nothing is content, too."""
    with exchange.client() as client:
        answer = put(client, f"{draft}/documents/empty", b"")
    assert answer.status_code == 200, answer.text
    assert answer.json()["sha256"] == digest_of(b"")
    assert exchange.upload(f"{draft}/documents/void", b"").size_bytes == 0
    assert exchange.download(f"{draft}/documents/void") == b""


@pytest.mark.parametrize(
    ("said", "field"),
    [({"sha256": "0" * 64}, "sha256"), ({"size_bytes": 1}, "size_bytes"), ({"size_bytes": 700_000}, "size_bytes")],
)
def test_content_that_is_not_what_was_said(exchange: Exchange, draft: str, said: dict[str, Any], field: str) -> None:
    """DIGEST_MISMATCH names what differs; nothing of it is kept, and the right content is welcome then."""
    before = exchange.stored()
    content = os.urandom(600_000)
    with refused("DIGEST_MISMATCH") as found:
        exchange.upload(f"{draft}/documents/a", content, **said)
    assert found[0].code == grpc.StatusCode.INVALID_ARGUMENT
    assert found[0].details[1].field_violations[0].field == field  # type: ignore[attr-defined]
    with exchange.client() as client:
        name, value = {"sha256": ("sha256", "0" * 64), "size_bytes": ("sizeBytes", "1")}[field]
        answer = put(client, f"{draft}/documents/a", content, **{name: value})
    assert (answer.status_code, reason(answer)) == (400, "DIGEST_MISMATCH")
    assert exchange.stored() == before
    assert list(exchange.mesh.district.get(draft).documents) == []
    exchange.upload(f"{draft}/documents/a", content, sha256=digest_of(content))


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        ".",
        "..",
        "../x",
        "a/b",
        "a\\b",
        "a\0b",
        "a\nb",
        "rechnung\u202efdp.exe",
        "x" * 300,
        "ä" * 128,
        "\u2028",
    ],
)
def test_file_names_that_deceive(exchange: Exchange, draft: str, name: str) -> None:
    """A file's name is one path segment that every system can store, and that reads as it is."""
    with refused("INPUT_INVALID") as found:
        exchange.upload(f"{draft}/documents/a", b"x", file_name=name)
    assert found[0].details[1].field_violations[0].field == "file_name"  # type: ignore[attr-defined]
    with exchange.client() as client:
        answer = put(client, f"{draft}/documents/a", b"x", fileName=name)
    assert (answer.status_code, reason(answer)) == (400, "INPUT_INVALID")


def test_a_name_is_kept_composed(exchange: Exchange, draft: str) -> None:
    """Whether a sender's system writes ä as one character or as two, the receiver gets one."""
    assert exchange.upload(f"{draft}/documents/a", b"x", file_name="a\u0308.pdf").file_name == "ä.pdf"


def test_what_the_mailbox_does_not_take(exchange: Exchange) -> None:
    """Its media types and its size hold before the content comes, and while it comes; the mesh's size too."""
    narrow = exchange.mesh.citylab.open_mailbox(
        "narrow", media_types=["application/pdf", "image/*"], document_bytes_max=1000
    )
    draft = exchange.begin(narrow)
    for announced, content, kind in (
        ({"media_type": "text/html"}, b"x", "MEDIA_TYPE_NOT_ACCEPTED"),
        ({"size_bytes": 1001}, b"x", "DOCUMENT_TOO_LARGE"),
        ({}, b"x" * 1001, "DOCUMENT_TOO_LARGE"),
    ):
        with refused("STATE_FORBIDS") as found:
            exchange.upload(f"{draft}/documents/a", content, **announced)
        assert found[0].metadata["type"] == kind
    exchange.upload(f"{draft}/documents/a", b"x" * 1000, media_type="image/png")
    with refused("STATE_FORBIDS"):
        exchange.upload(f"{exchange.draft()}/documents/a", b"x", size_bytes=300 * MIB + 1)
    with refused("INPUT_INVALID"):
        exchange.upload(f"{exchange.draft()}/documents/a", b"x", media_type="no type")


def test_the_same_again_has_one_effect(exchange: Exchange, draft: str) -> None:
    """One answer, one entry, however often and however many at once; another content is refused."""
    name = f"{draft}/documents/a"
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: exchange.upload(name, CONTENT), range(4)))
    assert len({answer.SerializeToString() for answer in answers}) == 1
    with exchange.client() as client:
        assert put(client, name, CONTENT).status_code == 200
        other = put(client, name, b"other", fileName="b.pdf")
    assert (other.status_code, reason(other)) == (409, "ALREADY_EXISTS")
    with refused("ALREADY_EXISTS"):
        exchange.upload(name, b"other", sha256=digest_of(b"other"))
    assert exchange.mesh.district.events(draft) == ["CREATED", "DOCUMENT_ADDED"]
    assert digest_of(b"other") not in exchange.stored()


def test_two_contents_at_once_under_one_name(exchange: Exchange, draft: str) -> None:
    """One is kept whole, and the other is refused."""
    name = f"{draft}/documents/a"
    contents = [os.urandom(400_000) for _ in range(4)]

    def tried(content: bytes) -> str:
        try:
            return exchange.upload(name, content).sha256
        except grpc.RpcError as error:
            return str(error.code())

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(tried, contents))
    assert found.count("StatusCode.ALREADY_EXISTS") == 3
    assert digest_of(exchange.download(name)) in found
    assert exchange.mesh.district.events(draft).count("DOCUMENT_ADDED") == 1


def test_only_into_a_draft_of_ones_own(exchange: Exchange, draft: str) -> None:
    """A submitted delivery takes nothing more; another organisation's is not there, whether it is or not."""
    exchange.upload(f"{draft}/documents/a", b"x")
    refusals = []
    for name in (f"{draft}/documents/b", draft.replace(draft.rsplit("/", 1)[1], "nothing") + "/documents/b"):
        for organisation in ("citylab", "stranger"):
            with refused("NOT_FOUND") as found:
                exchange.upload(name, b"x", organisation)
            assert found[0].metadata["resource"] == name
            refusals.append(found[0].code)
    assert set(refusals) == {grpc.StatusCode.NOT_FOUND}
    exchange.mesh.district.submit(draft)
    with refused("STATE_FORBIDS"):
        exchange.upload(f"{draft}/documents/b", b"x")
    metadata = bearer(exchange.token())
    with refused("STATE_FORBIDS"):
        exchange.stub().DeleteDocument(pb.DeleteDocumentRequest(name=f"{draft}/documents/a"), metadata=metadata)
    with refused("INPUT_INVALID"):
        exchange.upload("", b"x")


def test_a_document_is_removed_from_a_draft(exchange: Exchange, draft: str) -> None:
    """It is gone from the delivery, which says so in its timeline; another content may take its name."""
    name = f"{draft}/documents/a"
    exchange.upload(name, b"x")
    with exchange.client() as client:
        assert client.delete(f"/v1/{name}").status_code == 200
        assert client.delete(f"/v1/{name}").status_code == 404
    exchange.upload(name, b"y")
    assert exchange.mesh.district.events(draft)[1:] == ["DOCUMENT_ADDED", "DOCUMENT_REMOVED", "DOCUMENT_ADDED"]
    assert intended(exchange.mesh.dsn, name) == []


@pytest.mark.parametrize("way", ["grpc", "http/1.1", "http/1.1 with length"])
def test_an_upload_that_is_cut_off_leaves_nothing(exchange: Exchange, draft: str, way: str) -> None:
    """No document, no content, nothing half written; sent again it is whole."""
    name, before = f"{draft}/documents/a", exchange.stored()

    class CutOff(Exception):  # noqa: N818
        """The sender's machine stops."""

    def cut() -> Iterator[bytes]:
        for number in range(5):
            yield os.urandom(100_000) + bytes([number])
        time.sleep(0.2)
        raise CutOff

    if way == "grpc":

        def stopping() -> Iterator[pb.UploadDocumentRequest]:
            for number, content in enumerate(cut()):
                said: dict[str, Any] = (
                    {} if number else {"name": name, "file_name": "a", "media_type": "application/pdf"}
                )
                yield pb.UploadDocumentRequest(content=HttpBody(data=content), **said)

        with pytest.raises(grpc.RpcError):
            exchange.stub().UploadDocument(stopping(), metadata=bearer(exchange.token()), timeout=60)
    else:
        headers = {"content-length": "600000"} if "length" in way else {}
        with exchange.client(**headers) as client, pytest.raises(CutOff):
            put(client, name, cut())
    wait_until(lambda: exchange.half_written() == [], "something half written is left")
    assert exchange.stored() == before
    assert list(exchange.mesh.district.get(draft).documents) == []
    exchange.upload(name, CONTENT)


def test_a_slow_upload_is_ended_with_a_reason(exchange: Exchange, draft: str) -> None:
    """Over HTTP as over gRPC: the place that it holds is for others."""

    def stalling() -> Iterator[bytes]:
        """The client reads no answer before it has sent what it wants to."""
        yield b"x" * 1000
        wait_until(exchange.half_written, "it does not begin")
        wait_until(lambda: exchange.half_written() == [], "it is not ended")

    with exchange.client() as client:
        answer = put(client, f"{draft}/documents/a", stalling())
    assert (answer.status_code, reason(answer)) == (429, "STREAM_TOO_SLOW")


def test_memory_stays_flat(exchange: Exchange, draft: str) -> None:
    """A quarter of a gigabyte passes through a worker that never has 64 MiB of it; the gateway neither."""
    size = 256 * MIB
    with (
        exchange.client() as client,
        peak_memory(exchange.process) as worker,
        peak_memory(exchange.gateway.process) as gateway,
    ):
        answer = put(client, f"{draft}/documents/large", pieces(size), sizeBytes=str(size))
        assert answer.status_code == 200, answer.text
        assert worker() < 64 * MIB
        assert gateway() < 64 * MIB


def test_messages_that_are_too_large(exchange: Exchange, draft: str) -> None:
    """One piece is bounded, so that the memory of a stream is."""
    piece = pb.UploadDocumentRequest(
        name=f"{draft}/documents/a",
        file_name="a",
        media_type="application/pdf",
        content=HttpBody(data=b"x" * (MIB + 1)),
    )
    with refused("INPUT_INVALID"):
        exchange.stub().UploadDocument(iter([piece]), metadata=bearer(exchange.token()), timeout=60)


def test_grpc_through_the_gateway(exchange: Exchange, draft: str) -> None:
    """Streams pass the one door, whatever their size."""
    content = b"".join(pieces(8 * MIB))
    name = f"{draft}/documents/a"
    metadata = bearer(exchange.token())
    with exchange.gateway.channel() as channel:
        stub = exchange.stub(channel)
        document = stub.UploadDocument(messages(name, content), metadata=metadata, timeout=60)
        answers = stub.DownloadDocument(pb.DownloadDocumentRequest(name=name), metadata=metadata, timeout=60)
        assert b"".join(answer.data for answer in answers) == content
    assert document.sha256 == digest_of(content)
