"""Hostile HTTP/2 is cut at the edge, before it reaches a service that would take it."""

import socket
import ssl
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import httpx
import pytest

from tests.integration.gateway.conftest import Mesh, started
from tests.support.load import wait_until

STREAMS = 4
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY = 0, 1, 3, 4, 6, 7
REFUSED_STREAM, CANCEL, END_HEADERS, END_STREAM = 7, 8, 4, 1
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
# POST (static table), https, and literal path and authority (RFC 7541): a request whose body never comes.
BLOCK = b"\x83\x87" + b"\x44\x0d/oauth2/token" + b"\x41\x09127.0.0.1"
# The same for a method that asks for a token, with a body of two bytes.
REFUSED = b"\x83\x87" + b"\x44\x0b/v1/nothing" + b"\x41\x09127.0.0.1" + b"\x5c\x012"


def frame(kind: int, stream: int, payload: bytes = b"", flags: int = 0) -> bytes:
    """An HTTP/2 frame (RFC 9113, section 4.1)."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


@contextmanager
def connected(mesh: Mesh) -> Iterator[ssl.SSLSocket]:
    """An HTTP/2 connection that has said its preface."""
    context = ssl.create_default_context(cafile=str(mesh.gateway.settings.certificate_file))
    context.set_alpn_protocols(["h2"])
    with (
        socket.create_connection(("127.0.0.1", mesh.gateway.settings.port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as secure,
    ):
        secure.sendall(PREFACE + frame(SETTINGS, 0))
        yield secure


def frames(connection: ssl.SSLSocket) -> Iterator[tuple[int, int, bytes]]:
    """The frames that arrive until the connection ends: kind, stream and payload."""
    data = b""
    while True:
        while len(data) >= 9 and len(data) >= 9 + (size := int.from_bytes(data[:3])):
            yield data[3], int.from_bytes(data[5:9]), data[9 : 9 + size]
            data = data[9 + size :]
        try:
            more = connection.recv(65536)
        except ConnectionError:
            return
        if not more:
            return
        data += more


@pytest.fixture(scope="module")
def shared() -> Iterator[Mesh]:
    """A mesh that takes four streams a connection."""
    with started(workers=1, connection_streams_max=STREAMS) as mesh:
        yield mesh


def test_stream_count(mesh: Mesh) -> None:
    """A stream beyond the limit is refused; those before it are not."""
    with connected(mesh) as connection:
        connection.sendall(b"".join(frame(HEADERS, 2 * n + 1, BLOCK, END_HEADERS) for n in range(STREAMS + 1)))
        kind, stream, payload = next(found for found in frames(connection) if found[0] in {RST_STREAM, GOAWAY})
    assert (kind, stream) == (RST_STREAM, 2 * STREAMS + 1)
    assert int.from_bytes(payload) == REFUSED_STREAM


def test_rapid_reset(mesh: Mesh) -> None:
    """A client that opens streams only to reset them loses its connection (CVE-2023-44487); others are served."""
    attack = b"".join(
        frame(HEADERS, stream, BLOCK, END_HEADERS) + frame(RST_STREAM, stream, struct.pack(">I", CANCEL))
        for stream in range(1, 4001, 2)
    )
    with connected(mesh) as connection, suppress(ConnectionError, ssl.SSLError):
        connection.sendall(attack)
        list(frames(connection))  # ends with the connection
    assert mesh.gateway.statistic("http.edge.downstream_rq_too_many_premature_resets") == 1
    with mesh.gateway.client() as client:
        assert client.get("/healthz").status_code == 200


def test_connection_count() -> None:
    """A connection beyond the limit is closed; those that stand go on, and a place that is free again is taken."""
    with started(workers=1, connections_max=2) as mesh:
        with connected(mesh), connected(mesh):
            with pytest.raises(OSError), connected(mesh) as third:  # noqa: PT011 - reset or end of file, as it comes
                next(frames(third), None)
                third.sendall(frame(SETTINGS, 0) * 2)
                raise ConnectionResetError
            assert mesh.gateway.statistic("listener.*.downstream_global_cx_overflow") >= 1
        wait_until(lambda: healthy(mesh), "a place that became free is not given away again")


def healthy(mesh: Mesh) -> bool:
    """Whether the gateway answers on a new connection."""
    with mesh.gateway.client() as client, suppress(httpx.TransportError):
        return client.get("/healthz").status_code == 200
    return False


def test_a_refusal_ends_its_stream_whole(mesh: Mesh) -> None:
    """A short body is waited for: a refusal before it ends in a reset, and some clients tell of that instead."""
    with connected(mesh) as connection:
        found = frames(connection)
        connection.sendall(frame(HEADERS, 1, REFUSED, END_HEADERS))
        assert not [kind for _ in range(20) for kind in until_ping(connection, found)]
        connection.sendall(frame(DATA, 1, b"{}", END_STREAM))
        kinds: list[int] = []
        while DATA not in kinds:
            kinds += until_ping(connection, found)
        assert [*kinds, *until_ping(connection, found)] == [HEADERS, DATA]


def until_ping(connection: ssl.SSLSocket, found: Iterator[tuple[int, int, bytes]]) -> list[int]:
    """What comes on the first stream until a PING is answered."""
    connection.sendall(frame(PING, 0, bytes(8)))
    before = iter(lambda: next(found)[:2], (PING, 0))
    return [kind for kind, stream in before if stream == 1 and kind in {HEADERS, DATA, RST_STREAM}]
