"""Fetches small documents over https from addresses that members named: to where they may lead only, and within bounds.

The name is resolved once, and the connection goes to the address that was looked at, so that a name which answers
differently the next time leads nowhere else. Redirects are not followed.
"""

import contextlib
import http.client
import ipaddress
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

URL = re.compile(
    r"https://(?P<host>[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]{2,45}\])(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>(?:/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*)?)(?P<query>(?:\?[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*)?)"
)
FORM_TYPE = "application/x-www-form-urlencoded"
BYTES_MAX = 256 * 1024
BAD_REQUEST, SERVER_ERROR = 400, 500
ADDRESSES_MAX = 4  # of one name, that are tried one after the other
PORT_MAX = 65_535
NAT64 = ipaddress.ip_network("64:ff9b::/96")  # an IPv4 address is written in its last 32 bits
# What IANA has for the world. The rest holds forms of IPv4 addresses (RFC 8215) and of networks inside a house.
UNICAST = ipaddress.ip_network("2000::/3")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class FetchError(Exception):
    """A document cannot be had. The message says why in constant words, and nothing of what was answered.

    `refused` says that the other side is there and does not want to.
    """

    def __init__(self, message: str, *, refused: bool = False) -> None:
        super().__init__(message)
        self.refused = refused


@dataclass(frozen=True, slots=True)
class Target:
    """Where a URL leads."""

    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """Host and port as the `Host` header has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == http.client.HTTPS_PORT else f"{host}:{self.port}"


def target_of(url: str) -> Target:
    """Where an https URL leads; raises FetchError where it is none."""
    match = URL.fullmatch(url)
    port = int(match["port"] or http.client.HTTPS_PORT) if match else 0
    if match is None or not 0 < port <= PORT_MAX:
        raise FetchError("is no https URL of a host, a path and a query")
    return Target(match["host"].strip("[]"), port, (match["path"] or "/") + match["query"])


class Fetcher:
    """Fetches documents. Thread-safe."""

    def __init__(self, *, ca_file: Path | None, private_addresses: bool) -> None:
        self._context = ssl.create_default_context()
        if ca_file is not None:
            self._context.load_verify_locations(ca_file)
        self._private_addresses = private_addresses

    def get(self, url: str, deadline: float) -> bytes:
        """The document at `url`, until `deadline` of `time.monotonic()`; raises FetchError."""
        return self._document(url, deadline, None)

    def post(self, url: str, form: bytes, deadline: float) -> bytes:
        """What `url` answers to a form, until `deadline` of `time.monotonic()`; raises FetchError."""
        return self._document(url, deadline, form)

    def _document(self, url: str, deadline: float, form: bytes | None) -> bytes:
        target = target_of(url)
        try:
            with self._connected(target, deadline) as connection, ended(connection, deadline):
                return document(connection, target, form)
        except ssl.SSLCertVerificationError:
            raise FetchError("has a certificate that is not trusted") from None
        except TimeoutError:
            raise FetchError("did not answer in time") from None
        except (OSError, http.client.HTTPException, UnicodeError):  # the last for what IDNA does not take as a host
            raise FetchError("cannot be reached, or breaks off") from None

    def _connected(self, target: Target, deadline: float) -> ssl.SSLSocket:
        """A connection to the first permitted address of the host that answers."""
        failed: OSError | None = None
        for address in self._addresses(target):
            try:
                plain = socket.create_connection((str(address), target.port), timeout=left(deadline))
            except OSError as error:
                failed = error
                continue
            try:
                return self._context.wrap_socket(plain, server_hostname=target.host, do_handshake_on_connect=False)
            except BaseException:
                plain.close()
                raise
        raise failed or FetchError("has no address that may be asked: none, or none that is public")

    def _addresses(self, target: Target) -> Iterator[Address]:
        """The addresses of the host that may be connected to."""
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
        addresses = dict.fromkeys(ipaddress.ip_address(entry[4][0]) for entry in found)
        for address in list(addresses)[:ADDRESSES_MAX]:
            if may_be_asked(address, private=self._private_addresses):
                yield address


def may_be_asked(address: Address, *, private: bool) -> bool:
    """Whether an address is a public one, or where `private` allows it one of this machine or network.

    Whatever is asked for, nobody connects to link-local addresses, where clouds keep their secrets, and to multicast.
    """
    if isinstance(address, ipaddress.IPv6Address):
        if address.sixtofour or address.teredo:
            return False
        if address.ipv4_mapped or address in NAT64:
            return may_be_asked(ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF), private=private)
    if address.is_link_local or address.is_multicast or address.is_unspecified:
        return False
    public = address.is_global and (isinstance(address, ipaddress.IPv4Address) or address in UNICAST)
    return public or (private and (address.is_private or address.is_loopback))


def document(connection: ssl.SSLSocket, target: Target, form: bytes | None) -> bytes:
    """What the other side answers to GET, or to a form; raises FetchError where it is none, or too large a one."""
    connection.do_handshake()
    method = "GET" if form is None else "POST"
    kind = "" if form is None else f"Content-Type: {FORM_TYPE}\r\nContent-Length: {len(form)}\r\n"
    connection.sendall(
        f"{method} {target.path} HTTP/1.1\r\nHost: {target.authority}\r\nAccept: application/json\r\n{kind}"
        "Accept-Encoding: identity\r\nConnection: close\r\n\r\n".encode("ascii")
        + (form or b"")
    )
    with http.client.HTTPResponse(connection, method=method) as response:
        response.begin()
        if response.status != http.client.OK:
            refused = BAD_REQUEST <= response.status < SERVER_ERROR
            raise FetchError(f"answered with status {response.status}", refused=refused)
        body = response.read(BYTES_MAX + 1)
    if len(body) > BYTES_MAX:
        raise FetchError(f"sends more than {BYTES_MAX // 1024} KiB")
    return body


@contextlib.contextmanager
def ended(connection: ssl.SSLSocket, deadline: float) -> Iterator[None]:
    """Ends the connection at the deadline, however slowly it drips; raises TimeoutError where that was needed."""

    def end() -> None:
        with contextlib.suppress(OSError):
            socket.socket.shutdown(connection, socket.SHUT_RDWR)  # below TLS, where another thread may be reading

    timer = threading.Timer(left(deadline), end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        left(deadline)  # what was cut off may look whole


def left(deadline: float) -> float:
    """The seconds until the deadline; raises TimeoutError where there are none."""
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise TimeoutError
    return seconds
