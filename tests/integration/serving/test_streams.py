"""What every upload and download promises, tried over the wire on a service that exists for this test only."""

import hashlib
import itertools
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.api.httpbody_pb2 import HttpBody
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.empty_pb2 import Empty
from verbund.exchange.v1 import delivery_service_pb2 as deliveries
from verbund.exchange.v1 import upload_service_pb2 as pb
from verbund.exchange.v1 import upload_service_pb2_grpc as grpc_pb
from verbund.sdk.refusals import Refused
from verbund.serving.area import Area
from verbund.serving.call import Call
from verbund.serving.refusals import Absent
from verbund.serving.rpc import Gone
from verbund.serving.server import MissingMethod, build_server
from verbund.serving.settings import ServingSettings

from tests.support.serving import bearer, served
from tests.support.tokens import Issuer

NAME = "organisations/citylab/deliveries/d/documents/"
PIECE = b"x" * 65_536
SECONDS_MAX = 60  # for anything, on a machine that has other things to do


class Uploads:
    """An UploadService that keeps nothing: what it does depends on the document that is asked for."""

    service: ServiceDescriptor = pb.DESCRIPTOR.services_by_name["UploadService"]

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.gone = threading.Event()
        self.begun = threading.Semaphore(0)

    def UploadDocument(self, requests: Iterator[pb.UploadDocumentRequest], call: Call) -> deliveries.Document:  # noqa: N802
        first = next(requests)
        self.calls.append(call)
        self.begun.release()
        digest, size = hashlib.sha256(first.content.data), len(first.content.data)
        try:
            for request in requests:
                if request.content.data == b"refuse":
                    raise Absent(first.name)
                digest.update(request.content.data)
                size += len(request.content.data)
        except Gone:
            self.gone.set()
            raise
        return deliveries.Document(name=first.name, sha256=digest.hexdigest(), size_bytes=size)

    def DownloadDocument(  # noqa: N802
        self, request: pb.DownloadDocumentRequest, call: Call
    ) -> Iterator[pb.DownloadDocumentResponse | bytes]:
        self.calls.append(call)
        self.begun.release()
        try:
            for number in range(request.offset):
                if number == 3 and request.name.endswith("refuse"):
                    raise Absent(request.name)
                answer = pb.DownloadDocumentResponse(data=PIECE)
                yield answer.SerializeToString() if number % 2 else answer
        except GeneratorExit:
            self.gone.set()

    def DeleteDocument(self, request: pb.DeleteDocumentRequest, call: Call) -> Empty:  # noqa: ARG002, N802
        return Empty()


@pytest.fixture
def issuer(tmp_path: Path) -> Issuer:
    return Issuer(tmp_path)


@pytest.fixture
def uploads() -> Uploads:
    return Uploads()


def streaming(uploads: Uploads, issuer: Issuer, **settings: Any) -> Any:
    """A worker with the service."""
    return served(
        lambda _: Area(name="exchange", servicers=[uploads], ready=lambda: True), issuer, threads=2, **settings
    )


@pytest.fixture
def stub(issuer: Issuer, uploads: Uploads) -> Iterator[grpc_pb.UploadServiceStub]:
    with streaming(uploads, issuer, streams_max=6) as channel:
        yield grpc_pb.UploadServiceStub(channel)


def pieces(*contents: bytes, name: str = "a") -> Iterator[pb.UploadDocumentRequest]:
    """The messages of an upload."""
    for number, content in enumerate(contents):
        yield pb.UploadDocumentRequest(name="" if number else f"{NAME}{name}", content=HttpBody(data=content))


def unfinished(until: threading.Event, *contents: bytes) -> Iterator[pb.UploadDocumentRequest]:
    """An upload that sends what it has, and then nothing."""
    yield from pieces(*contents)
    until.wait(SECONDS_MAX)


def refused(call: Any) -> Refused:
    """The refusal that a call ends with."""
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return Refused.from_rpc(caught.value)


def test_an_upload_is_one_call(stub: grpc_pb.UploadServiceStub, issuer: Issuer, uploads: Uploads) -> None:
    """The messages come in order, the answer comes once, and the call may take longer than others."""
    contents = [bytes([n]) * 1000 for n in range(50)]
    answer = stub.UploadDocument(pieces(*contents), metadata=bearer(issuer.token()))
    assert answer.sha256 == hashlib.sha256(b"".join(contents)).hexdigest()
    call = uploads.calls[0]
    assert (call.organisation, call.rule.permission) == ("organisations/citylab", "exchange.documents.write")
    assert 3500 < call.remaining_seconds() <= 3600


def test_a_download_is_one_call(stub: grpc_pb.UploadServiceStub, issuer: Issuer) -> None:
    """Messages and bytes alike arrive in order, and then the stream ends."""
    request = pb.DownloadDocumentRequest(name=f"{NAME}a", offset=40)
    found = [piece.data for piece in stub.DownloadDocument(request, metadata=bearer(issuer.token()))]
    assert found == [PIECE] * 40


def test_a_stream_is_refused_in_its_middle(stub: grpc_pb.UploadServiceStub, issuer: Issuer) -> None:
    """The caller hears the reason, after what came before it."""
    metadata = bearer(issuer.token())
    messages = itertools.chain(pieces(b"a", b"refuse"), (piece for piece in pieces(*[PIECE] * 200)))
    assert refused(lambda: stub.UploadDocument(messages, metadata=metadata)).reason == "NOT_FOUND"
    request = pb.DownloadDocumentRequest(name=f"{NAME}refuse", offset=9)
    answers = stub.DownloadDocument(request, metadata=metadata)
    assert [next(answers).data for _ in range(3)] == [PIECE] * 3
    assert refused(lambda: next(answers)).reason == "NOT_FOUND"


def test_every_message_is_validated(stub: grpc_pb.UploadServiceStub, issuer: Issuer) -> None:
    """The first and the others; a stream without any is refused too."""
    metadata = bearer(issuer.token())
    bad = pb.UploadDocumentRequest(sha256="no digest")
    for messages in ([bad], [*pieces(b"a"), bad]):
        found = refused(lambda messages=messages: stub.UploadDocument(iter(messages), metadata=metadata))
        assert (found.reason, found.details[1].field_violations[0].field) == ("INPUT_INVALID", "sha256")  # type: ignore[attr-defined]
    assert refused(lambda: stub.UploadDocument(iter(()), metadata=metadata)).reason == "INPUT_INVALID"


def test_who_may_not_is_refused_before_anything_is_read(stub: grpc_pb.UploadServiceStub, issuer: Issuer) -> None:
    """A caller without a token, or without the permission, hears so though it has sent nothing."""
    release = threading.Event()
    assert refused(lambda: stub.UploadDocument(unfinished(release), timeout=SECONDS_MAX)).reason == "NO_TOKEN"
    metadata = bearer(issuer.token(roles=("viewer",)))
    found = refused(lambda: stub.UploadDocument(unfinished(release), metadata=metadata, timeout=SECONDS_MAX))
    assert found.reason == "PERMISSION_MISSING"
    release.set()


def test_streams_leave_calls_their_threads(stub: grpc_pb.UploadServiceStub, issuer: Issuer, uploads: Uploads) -> None:
    """Half of the places are for one organisation, all for all; whoever comes then is told to wait. Calls go on."""
    release = threading.Event()
    first, second, third = (bearer(issuer.token(name)) for name in ("first", "second", "third"))
    with ThreadPoolExecutor(12) as pool:

        def open_one(metadata: Any) -> Any:
            found = pool.submit(stub.UploadDocument, unfinished(release, b"a"), metadata=metadata, timeout=SECONDS_MAX)
            assert uploads.begun.acquire(timeout=SECONDS_MAX)
            return found

        held = [open_one(first) for _ in range(3)]
        assert refused(lambda: stub.UploadDocument(pieces(b"a"), metadata=first)).metadata["limit"].endswith("ion")
        held += [open_one(second) for _ in range(3)]
        found = refused(lambda: stub.UploadDocument(pieces(b"a"), metadata=third))
        assert (found.reason, found.metadata["limit"], found.metadata["retry"]) == ("LIMIT_REACHED", "streams", "true")
        for _ in range(20):
            stub.DeleteDocument(pb.DeleteDocumentRequest(name=f"{NAME}a"), metadata=first, timeout=SECONDS_MAX)
        release.set()
        for each in held:
            assert each.result(timeout=SECONDS_MAX).size_bytes == 1
    assert stub.UploadDocument(pieces(b"ab"), metadata=third).size_bytes == 2  # the places are free again


def test_a_caller_who_goes_away_is_noticed(stub: grpc_pb.UploadServiceStub, issuer: Issuer, uploads: Uploads) -> None:
    """The servicer hears that the rest will not come, or not be taken, and gives up what it did."""
    release = threading.Event()
    call = stub.UploadDocument.future(unfinished(release, b"a"), metadata=bearer(issuer.token()))
    assert uploads.begun.acquire(timeout=SECONDS_MAX)
    call.cancel()
    assert uploads.gone.wait(SECONDS_MAX)
    release.set()
    uploads.gone.clear()
    answers = stub.DownloadDocument(
        pb.DownloadDocumentRequest(name=f"{NAME}a", offset=10_000), metadata=bearer(issuer.token())
    )
    next(answers)
    answers.cancel()
    assert uploads.gone.wait(SECONDS_MAX)


def test_an_upload_that_is_cut_off_never_looks_whole(
    stub: grpc_pb.UploadServiceStub, issuer: Issuer, uploads: Uploads
) -> None:
    """One of ten is told by gRPC as if it had ended as it should."""
    metadata = bearer(issuer.token())
    for _ in range(60):
        release = threading.Event()
        call = stub.UploadDocument.future(unfinished(release, PIECE, PIECE), metadata=metadata)
        assert uploads.begun.acquire(timeout=SECONDS_MAX)
        call.cancel()
        release.set()
        assert uploads.gone.wait(SECONDS_MAX)
        uploads.gone.clear()


def test_an_upload_that_stops_is_ended_with_a_reason(issuer: Issuer, uploads: Uploads) -> None:
    """Whether it sends nothing more or drops by drop: its place is for others."""
    release = threading.Event()

    def dripping() -> Iterator[pb.UploadDocumentRequest]:
        for piece in pieces(*[b"a"] * 1000):
            yield piece
            time.sleep(0.02)

    metadata = bearer(issuer.token())
    with streaming(uploads, issuer, stream_pace_seconds=0.5) as channel:
        stub = grpc_pb.UploadServiceStub(channel)
        for messages in (unfinished(release, PIECE * 10), dripping(), unfinished(release)):
            slow = PIECE if messages is None else messages
            found = refused(lambda slow=slow: stub.UploadDocument(slow, metadata=metadata, timeout=SECONDS_MAX))
            assert (found.code, found.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "STREAM_TOO_SLOW")
            assert found.metadata["retry"] == "true"
        release.set()


def test_a_download_that_nobody_reads_is_ended(issuer: Issuer, uploads: Uploads) -> None:
    """Its place is for others, and whoever reads on later finds an error, not an end."""
    with streaming(uploads, issuer, stream_pace_seconds=0.5) as channel:
        stub = grpc_pb.UploadServiceStub(channel)
        request = pb.DownloadDocumentRequest(name=f"{NAME}a", offset=10_000)
        answers = stub.DownloadDocument(request, metadata=bearer(issuer.token()))
        next(answers)
        assert uploads.gone.wait(SECONDS_MAX)
        with pytest.raises(grpc.RpcError):
            list(answers)


def test_a_revocation_ends_a_stream(issuer: Issuer, uploads: Uploads) -> None:
    """What was taken back counts for streams that are open; a token that merely expires does not end them."""
    release = threading.Event()
    with streaming(uploads, issuer) as channel, ThreadPoolExecutor(2) as pool:
        stub, now = grpc_pb.UploadServiceStub(channel), int(time.time())
        expiring = bearer(issuer.token("other", iat=now - 10, exp=now + 4))
        lasting = bearer(issuer.token())
        other = pool.submit(stub.UploadDocument, unfinished(release, b"a"), metadata=expiring, timeout=SECONDS_MAX)
        call = pool.submit(stub.UploadDocument, unfinished(release, b"a"), metadata=lasting, timeout=SECONDS_MAX)
        for _ in range(2):
            assert uploads.begun.acquire(timeout=SECONDS_MAX)
        issuer.revoke({"kind": "org", "value": "organisations/citylab", "before": now + 100})
        assert refused(lambda: call.result(timeout=SECONDS_MAX)).reason == "TOKEN_INVALID"
        time.sleep(max(0.0, now + 4.5 - time.time()))
        release.set()
        assert other.result(timeout=SECONDS_MAX).size_bytes == 1


def test_a_stream_ends_in_time(issuer: Issuer, uploads: Uploads) -> None:
    """However slowly it is allowed to go."""
    release = threading.Event()
    with streaming(uploads, issuer, stream_seconds_max=1) as channel:
        stub = grpc_pb.UploadServiceStub(channel)
        found = refused(
            lambda: stub.UploadDocument(unfinished(release, b"a"), metadata=bearer(issuer.token()), timeout=SECONDS_MAX)
        )
        assert found.reason == "DEADLINE_EXCEEDED"
        release.set()


def test_a_worker_that_stops_cuts_what_does_not_end(issuer: Issuer, uploads: Uploads) -> None:
    """A stream has the drain's time, and no more."""
    release = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        with streaming(uploads, issuer, drain_seconds=0.2) as channel:
            stub = grpc_pb.UploadServiceStub(channel)
            call = pool.submit(stub.UploadDocument, unfinished(release, b"a"), metadata=bearer(issuer.token()))
            assert uploads.begun.acquire(timeout=SECONDS_MAX)
        with pytest.raises(grpc.RpcError):
            call.result(timeout=SECONDS_MAX)
        release.set()
    assert uploads.gone.wait(SECONDS_MAX)


def test_a_stream_of_requests_is_no_watch() -> None:
    """Only answers can be watched: the start fails."""

    def upload(*_: object) -> None:
        """A stream of requests."""

    upload.watching = True  # type: ignore[attr-defined]

    class Marked:
        service = pb.DESCRIPTOR.services_by_name["UploadService"]
        UploadDocument = staticmethod(upload)

    settings = ServingSettings(issuer="i", jwks_file=Path("j"), revocations_file=Path("r"), socket_dir=Path("s"))
    with ThreadPoolExecutor(1) as pool, pytest.raises(MissingMethod, match="only a stream of answers"):
        build_server(settings, [], [Marked()], pool)
