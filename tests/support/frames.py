"""HTTP/2 by hand (RFC 9113), for what no well-behaved client does."""

import socket
import ssl
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Self

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEADERS, RESET, SETTINGS, GOAWAY = 1, 3, 4, 7
END_STREAM, END_HEADERS = 1, 4
REFUSED_STREAM, CANCEL = 7, 8
CALL_SECONDS_MAX = 60.0
QUIET_SECONDS = 3.0


@dataclass
class Connection:
    """One connection. Frames are sent as told, whatever the other side has asked for."""

    socket: ssl.SSLSocket
    next_stream: int = 1
    reset: dict[int, int] = field(default_factory=dict)
    answered: set[int] = field(default_factory=set)
    closed: bool = False

    @classmethod
    @contextmanager
    def to(cls, port: int, trust: ssl.SSLContext) -> Iterator[Self]:
        """A connection to loopback."""
        trust.set_alpn_protocols(["h2"])
        with (
            socket.create_connection(("127.0.0.1", port), timeout=CALL_SECONDS_MAX) as plain,
            trust.wrap_socket(plain, server_hostname="127.0.0.1") as secured,
        ):
            secured.settimeout(QUIET_SECONDS)
            secured.sendall(PREFACE + frame(SETTINGS, 0, 0))
            yield cls(secured)

    def open(self, headers: Mapping[str, str], *, then_reset: bool = False) -> None:
        """Opens a stream and leaves it open, or takes it back at once."""
        stream, self.next_stream = self.next_stream, self.next_stream + 2
        sent = frame(HEADERS, END_HEADERS, stream, b"".join(literal(*pair) for pair in headers.items()))
        if then_reset:
            sent += frame(RESET, 0, stream, struct.pack(">I", CANCEL))
        self.socket.sendall(sent)

    def listen(self) -> None:
        """Reads until the other side is quiet or has closed."""
        try:
            while True:
                kind, stream, body = self._receive()
                if kind == RESET:
                    self.reset[stream] = struct.unpack(">I", body)[0]
                elif kind == HEADERS:
                    self.answered.add(stream)
                elif kind == GOAWAY:
                    self.closed = True
        except TimeoutError:
            return
        except (OSError, EOFError):
            self.closed = True

    def _receive(self) -> tuple[int, int, bytes]:
        head = self._exactly(9)
        size, kind, _, stream = struct.unpack(">IBBI", b"\0" + head)
        return kind, stream, self._exactly(size)

    def _exactly(self, size: int) -> bytes:
        found = b""
        while len(found) < size:
            more = self.socket.recv(size - len(found))
            if not more:
                raise EOFError
            found += more
        return found


def frame(kind: int, flags: int, stream: int, body: bytes = b"") -> bytes:
    """One frame."""
    return struct.pack(">I", len(body))[1:] + struct.pack(">BBI", kind, flags, stream) + body


def literal(name: str, value: str) -> bytes:
    """A header as HPACK writes one that is neither indexed nor compressed (RFC 7541, section 6.2.2)."""
    return b"\0" + text(name) + text(value)


def text(value: str) -> bytes:
    """A string with its length (RFC 7541, section 5.1)."""
    content = value.encode()
    if len(content) < 127:
        return bytes([len(content)]) + content
    length, rest = bytes([127]), len(content) - 127
    while rest >= 128:
        length, rest = length + bytes([rest % 128 + 128]), rest // 128
    return length + bytes([rest]) + content
