"""Requests that are not in order: the client hears of it where the client is known, the person everywhere else."""

import socket
import ssl
from urllib.parse import urlencode

import pytest

from tests.integration.provider.visitor import REDIRECT_URI, Visitor, sent

FOREIGN = [
    "https://evil.example/back",
    "http://localhost:49152/back",
    "http://127.0.0.1.evil.example/back",
    "http://127.0.0.1@evil.example/back",
    "http://user@127.0.0.1/back",
    "http://127.0.0.1:99999/back",
    "http://127.0.0.1:80:80/back",
    "http://127.0.0.1/back#fragment",
    "http://127.0.0.1\\@evil.example/back",
    "http://127.0.0.1/back\r\nLocation: https://evil.example",
    "http://127.0.0.1/ back",
    "//127.0.0.1/back",
    "javascript:alert(1)//127.0.0.1",
    "http://2130706433/back",
    "http://[::ffff:127.0.0.1]/back",
    "http://127.0.0.1/" + "x" * 1100,
    "https://mesh.example/oauth2/callback/",
    "https://mesh.example/oauth2/callback?x=1",
    "https://mesh.example/other",
]


@pytest.mark.parametrize("uri", FOREIGN)
def test_nobody_is_redirected_to_a_foreign_place(visitor: Visitor, uri: str) -> None:
    """Before the redirect URI is known good, whatever is wrong is said on a page."""
    for changes in ({}, {"code_challenge": None}, {"prompt": "none"}):
        answer = visitor.authorize(redirect_uri=uri, **changes)
        assert answer.status_code == 400
        assert "location" not in answer.headers
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert "evil" not in answer.text


@pytest.mark.parametrize(
    "changes", [{"redirect_uri": None}, {"redirect_uri": ""}, {"client_id": None}, {"client_id": "other"}]
)
def test_an_unknown_client_is_sent_nowhere(visitor: Visitor, changes: dict[str, str | None]) -> None:
    """A page says so."""
    answer = visitor.authorize(**changes)
    assert (answer.status_code, answer.headers.get("location")) == (400, None)


@pytest.mark.parametrize("name", ["redirect_uri", "client_id"])
def test_a_parameter_that_says_where_to_go_may_not_stand_twice(visitor: Visitor, name: str) -> None:
    """Which of the two is meant is not guessed."""
    pairs = [*visitor.request().items(), (name, visitor.request()[name])]
    answer = visitor.browser.get(f"{visitor.issuer}/authorize", params=urlencode(pairs))
    assert (answer.status_code, answer.headers.get("location")) == (400, None)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge": "x" * 42}, "invalid_request"),
        ({"code_challenge": "=" * 43}, "invalid_request"),
        ({"response_type": None}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "code id_token"}, "unsupported_response_type"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"scope": None}, "invalid_scope"),
        ({"scope": "profile"}, "invalid_scope"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"prompt": "consent"}, "invalid_request"),
        ({"max_age": "-1"}, "invalid_request"),
        ({"max_age": "1e3"}, "invalid_request"),
        ({"max_age": "٣"}, "invalid_request"),
        ({"request": "e30.e30."}, "request_not_supported"),
        ({"request_uri": "https://evil.example/request"}, "request_uri_not_supported"),
        ({"registration": "{}"}, "registration_not_supported"),
        ({"prompt": "none"}, "login_required"),
        ({"prompt": "none", "max_age": "10"}, "login_required"),
    ],
)
def test_a_known_client_hears_what_was_wrong(visitor: Visitor, changes: dict[str, str | None], error: str) -> None:
    """By an error of the standard, with its state and with who answers; no code, no cookie."""
    answer = visitor.authorize(**changes)
    told = sent(answer)
    assert (told["error"], told["state"], told["iss"]) == (error, visitor.state, visitor.issuer)
    assert "code" not in told
    assert not answer.cookies
    assert "evil" not in answer.headers["location"]


def test_a_parameter_that_stands_twice_is_refused(visitor: Visitor) -> None:
    """Even with the same value (RFC 6749, section 3.1); a state that stands twice is not repeated."""
    for name in ("nonce", "code_challenge", "state"):
        pairs = [*visitor.request().items(), (name, visitor.request()[name])]
        told = sent(visitor.browser.get(f"{visitor.issuer}/authorize", params=urlencode(pairs)))
        assert told["error"] == "invalid_request"
        assert ("state" in told) is (name != "state")


def test_what_cannot_be_read_is_refused_on_a_page(visitor: Visitor) -> None:
    """Too large, no text, no form, too many fields: a page each time, and no redirect."""
    address = f"{visitor.issuer}/authorize"
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    answers = [
        visitor.authorize(state="x" * 9000),
        visitor.browser.get(f"{address}?client_id=verbund&state=%ff&redirect_uri={REDIRECT_URI}"),
        visitor.browser.get(f"{address}?{'&'.join('a=b' for _ in range(60))}"),
        visitor.browser.post(address, content=b"x=" + b"y" * 9000, headers=form),
        visitor.browser.post(address, content=b"{}", headers={"Content-Type": "application/json"}),
        visitor.browser.post(f"{visitor.issuer}/login", content=b"x=" + b"y" * 9000, headers=form),
        visitor.browser.post(f"{visitor.issuer}/login", content="ä=1".encode(), headers=form),
        visitor.browser.post(f"{visitor.issuer}/login", content=b"form=a&form=b", headers=form),
    ]
    assert [answer.status_code for answer in answers] == [413, 400, 400, 413, 415, 413, 400, 400]
    assert all("location" not in answer.headers for answer in answers)
    assert all("<h1>" in answer.text for answer in answers)
    assert all(answer.headers["connection"] == "close" for answer in answers)


@pytest.mark.parametrize("start", [b"GET /", b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\nx-padding: "])
def test_a_head_that_never_ends_is_refused(visitor: Visitor, start: bytes) -> None:
    """The connection is ended at a bound, in the first line and in the headers; others are served."""
    trust = ssl.create_default_context(cafile=visitor.provider.ca)
    address = ("127.0.0.1", visitor.provider.settings.port)
    with (
        socket.create_connection(address, timeout=10) as plain,
        trust.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
    ):
        assert is_ended(connection, start + b"x" * 1024 * 1024)
    assert visitor.authorize().status_code == 200


def is_ended(connection: ssl.SSLSocket, content: bytes) -> bool:
    """Whether the server hangs up on `content`, or refuses it, instead of waiting for its end."""
    try:
        connection.sendall(content)
        return connection.recv(64).startswith(b"HTTP/1.1 400 ") or not connection.recv(1)
    except TimeoutError:
        return False
    except OSError:
        return True


def test_paths_and_methods_that_are_not_there_are_said_so(visitor: Visitor) -> None:
    """404 and 405, without a redirect."""
    origin = visitor.issuer.rpartition("/")[0]
    assert visitor.browser.get(f"{origin}/unknown/.well-known/openid-configuration").status_code == 404
    assert visitor.browser.get(f"{visitor.issuer}/token").status_code == 405
    assert visitor.browser.get(f"{visitor.issuer}/login").status_code == 405


def test_texts_of_a_request_never_become_markup(visitor: Visitor) -> None:
    """What the client or a person sends is shown as text."""
    hostile = '"><script>alert(1)</script>'
    first = visitor.authorize(login_hint=hostile, state=hostile, nonce=hostile)
    second = visitor.login(first, username=hostile, password="wrong")
    for page in (first, second):
        assert "<script" not in page.text
        assert "&lt;script&gt;" in page.text
