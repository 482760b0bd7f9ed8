"""Documents that are fetched from providers: over real TLS, within bounds, and from where they may be only."""

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import closing

import pytest
from verbund.identity.providers.outbound import BYTES_MAX, Fetcher, FetchError

from tests.support.home_provider import HomeProvider

PATH = "/home/.well-known/openid-configuration"


@pytest.fixture
def fetcher(home: HomeProvider) -> Fetcher:
    """One that trusts the provider's authority and may ask this machine."""
    assert home.server
    return Fetcher(ca_file=home.ca_file, private_addresses=True)


def told(fetcher: Fetcher, url: str, *, seconds: float = 3.0) -> str:
    """Why a document cannot be had."""
    with pytest.raises(FetchError) as caught:
        fetcher.get(url, time.monotonic() + seconds)
    return str(caught.value)


def test_a_document_arrives_whole(fetcher: Fetcher, home: HomeProvider) -> None:
    """Up to the limit, byte by byte."""
    home.serve("/large", b"x" * BYTES_MAX)
    assert fetcher.get(f"{home.url}/large", time.monotonic() + 3) == b"x" * BYTES_MAX
    assert home.issuer() in fetcher.get(home.url + PATH, time.monotonic() + 3).decode()


def test_what_is_no_document(fetcher: Fetcher, home: HomeProvider) -> None:
    """Too much, another status, a redirect: it is not followed, wherever it leads."""
    home.serve("/larger", b"x" * (BYTES_MAX + 1))
    assert "KiB" in told(fetcher, f"{home.url}/larger")
    assert "404" in told(fetcher, f"{home.url}/nothing")
    home.serve("/moved", b"", status=302)
    home.headers["location"] = home.url + PATH
    asked = len(home.asked)
    assert "302" in told(fetcher, f"{home.url}/moved")
    del home.headers["location"]
    assert home.asked[asked:] == ["/moved"]


def test_private_addresses_are_asked_only_where_that_is_allowed(home: HomeProvider) -> None:
    """Not by address and not by a name that leads there; nobody is connected to."""
    fetcher = Fetcher(ca_file=home.ca_file, private_addresses=False)
    asked = len(home.asked)
    port = home.url.rpartition(":")[2]
    for host in ("127.0.0.1", "localhost", "[::1]", "127.1", "2130706433", "0x7f000001"):
        assert "address" in told(fetcher, f"https://{host}:{port}{PATH}"), host
    assert len(home.asked) == asked


def test_the_connection_goes_to_the_address_that_was_looked_at(
    home: HomeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that answers with a public address first and with a private one after that leads nowhere."""
    answers = iter(["192.0.2.1", "127.0.0.1"])
    port = int(home.url.rpartition(":")[2])
    resolve = socket.getaddrinfo

    def rebinding(host: str, *rest: object, **more: object) -> object:
        """A name server of an attacker's; addresses are not asked for at one."""
        if host != "rebinding.example":
            return resolve(host, *rest, **more)  # type: ignore[arg-type]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))]

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    fetcher = Fetcher(ca_file=home.ca_file, private_addresses=False)
    asked = len(home.asked)
    assert "address" in told(fetcher, f"https://rebinding.example:{port}{PATH}")
    assert "address" in told(fetcher, f"https://rebinding.example:{port}{PATH}")
    assert len(home.asked) == asked


def test_only_a_trusted_certificate_counts(home: HomeProvider) -> None:
    """One that nobody known vouches for, and one for another name."""
    assert "certificate" in told(Fetcher(ca_file=None, private_addresses=True), home.url + PATH)
    fetcher = Fetcher(ca_file=home.ca_file, private_addresses=True)
    other = home.url.replace("127.0.0.1", "127.0.0.2")
    assert told(fetcher, other + PATH)


@pytest.fixture
def dripping(home: HomeProvider) -> Iterator[str]:
    """A server that sends a header a byte at a time, for ever; its URL."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(home.directory / "server.pem", home.directory / "server.key")
    stop = threading.Event()
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:

        def serve() -> None:
            plain, _ = listener.accept()
            try:
                with context.wrap_socket(plain, server_side=True) as connection:
                    connection.sendall(b"HTTP/1.1 200 OK\r\nx-slow: ")
                    while not stop.wait(0.02):
                        connection.sendall(b"x")
            except OSError:
                return

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"https://127.0.0.1:{listener.getsockname()[1]}/"
        stop.set()
        thread.join()


def test_an_answer_that_drips_ends_at_the_deadline(fetcher: Fetcher, dripping: str) -> None:
    """Each byte is in time; all of them are not."""
    assert "in time" in told(fetcher, dripping, seconds=0.3)


def test_a_server_that_says_nothing_ends_at_the_deadline(fetcher: Fetcher) -> None:
    """Not even the handshake."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        assert "in time" in told(fetcher, f"https://127.0.0.1:{listener.getsockname()[1]}/", seconds=0.3)


def test_nobody_there(fetcher: Fetcher) -> None:
    """A port that nobody listens on."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port = listener.getsockname()[1]
    assert "reached" in told(fetcher, f"https://127.0.0.1:{port}/")
