"""Hundreds of watches from one thread: as much of HTTP/2 (RFC 9113) as it takes to read gRPC streams cheaply.

A gRPC client with a thread a stream would take most of the time that is measured.
"""

import selectors
import socket
import struct
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, SETTINGS, PING, WINDOW_UPDATE = 0, 1, 4, 6, 8
ACK, END_STREAM, END_HEADERS = 1, 1, 4
INITIAL_WINDOW_SIZE = 4
WINDOW = 2**30  # more than a run reads, so that no window needs to be opened again
READ_BYTES = 1 << 20


class Connection:
    """One connection with many calls of one method, of which it counts the messages."""

    def __init__(self, path: Path, method: str, request: bytes, headers: Sequence[tuple[str, str]], count: int) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(path))
        self._waiting = b""
        self._bodies: dict[int, bytes] = dict.fromkeys(range(1, 2 * count, 2), b"")
        self.arrivals: list[float] = []
        pseudo = [(":method", "POST"), (":scheme", "http"), (":path", method), (":authority", "localhost")]
        block = b"".join(literal(*header) for header in (*pseudo, ("te", "trailers"), *headers))
        window = struct.pack(">HI", INITIAL_WINDOW_SIZE, WINDOW)
        self.socket.sendall(
            PREFACE + frame(SETTINGS, 0, 0, window) + frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", WINDOW))
        )
        message = struct.pack(">BI", 0, len(request)) + request
        for stream in self._bodies:
            opening = frame(HEADERS, END_HEADERS, stream, block) + frame(DATA, END_STREAM, stream, message)
            self.socket.sendall(opening)

    def read(self) -> None:
        """Takes in what has arrived, and notes when each message did."""
        arrived = self.socket.recv(READ_BYTES)
        if not arrived:
            raise ConnectionError("the service ended the connection")
        now = time.time()
        self._waiting += arrived
        for kind, flags, stream, payload in self._frames():
            if kind == DATA:
                self.arrivals += [now] * self._messages(stream, payload)
            elif kind in {SETTINGS, PING} and not flags & ACK:
                self.socket.sendall(frame(kind, ACK, 0, payload if kind == PING else b""))

    def _frames(self) -> Iterator[tuple[int, int, int, bytes]]:
        """The frames that are complete: type, flags, stream and payload."""
        start, end = 0, len(self._waiting)
        while end - start >= 9:
            length = int.from_bytes(self._waiting[start : start + 3], "big")
            if end - start < 9 + length:
                break
            kind, flags, stream = struct.unpack(">BBI", self._waiting[start + 3 : start + 9])
            yield kind, flags, stream, self._waiting[start + 9 : start + 9 + length]
            start += 9 + length
        self._waiting = self._waiting[start:]

    def _messages(self, stream: int, payload: bytes) -> int:
        """How many messages of a stream are complete with this payload."""
        body = self._bodies[stream] + payload
        count = 0
        while len(body) >= 5 and len(body) >= (size := 5 + int.from_bytes(body[1:5], "big")):
            body = body[size:]
            count += 1
        self._bodies[stream] = body
        return count


class Streams:
    """All connections, read by one thread from entering to leaving."""

    def __init__(self, connections: Sequence[Connection]) -> None:
        self._connections = connections
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read, name="streams")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        for connection in self._connections:
            connection.socket.close()

    def take(self, count: int, seconds_max: float) -> list[float]:
        """When the next `count` messages arrived, as soon as all have; raises TimeoutError."""
        end = time.monotonic() + seconds_max
        while sum(len(connection.arrivals) for connection in self._connections) < count:
            if time.monotonic() > end or not self._thread.is_alive():
                raise TimeoutError(f"fewer than {count} messages arrived")
            time.sleep(0.005)
        found = [arrival for connection in self._connections for arrival in connection.arrivals]
        for connection in self._connections:
            connection.arrivals = []
        return found

    def _read(self) -> None:
        with selectors.DefaultSelector() as selector:
            for connection in self._connections:
                selector.register(connection.socket, selectors.EVENT_READ, connection)
            while not self._stop.is_set():
                for key, _ in selector.select(timeout=0.1):
                    key.data.read()


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """An HTTP/2 frame."""
    return len(payload).to_bytes(3, "big") + struct.pack(">BBI", kind, flags, stream) + payload


def literal(name: str, value: str) -> bytes:
    """A header field that is not indexed (RFC 7541, 6.2.2)."""
    return b"\0" + text(name) + text(value)


def text(content: str) -> bytes:
    """A string of HPACK: its length as an integer with a prefix of seven bits (RFC 7541, 5.1), and its bytes."""
    rest = len(content)
    if rest < 127:
        return bytes([rest]) + content.encode()
    encoded, rest = bytearray([127]), rest - 127
    while rest >= 128:
        encoded.append(rest % 128 + 128)
        rest //= 128
    return bytes([*encoded, rest]) + content.encode()
