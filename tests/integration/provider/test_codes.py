"""The token endpoint: a code is worth something to the client that began, once, and for a minute."""

import base64

import httpx
import pytest

from tests.integration.provider.conftest import Visit
from tests.integration.provider.visitor import DISTRICT, Visitor


def refused(answer: httpx.Response, error: str, status: int = 400) -> None:
    """Asserts an error of RFC 6749, section 5.2."""
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"code_verifier": "x" * 43}, "invalid_grant"),
        ({"code_verifier": "x" * 42}, "invalid_grant"),
        ({"code_verifier": "x" * 129}, "invalid_grant"),
        ({"code_verifier": "ä" * 43}, "invalid_grant"),
        ({"code_verifier": None}, "invalid_request"),
        ({"redirect_uri": "http://127.0.0.1:49153/back"}, "invalid_grant"),
        ({"redirect_uri": None}, "invalid_request"),
        ({"code": "x" * 43}, "invalid_grant"),
        ({"code": None}, "invalid_request"),
        ({"client_id": "other"}, "invalid_client"),
        ({"client_id": None}, "invalid_client"),
        ({"client_secret": "guessed"}, "invalid_client"),
        ({"grant_type": "client_credentials"}, "unsupported_grant_type"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": None}, "invalid_request"),
    ],
)
def test_a_code_alone_is_worth_nothing(visitor: Visitor, changes: dict[str, str | None], error: str) -> None:
    """Client, redirect URI and verifier must be those of the request."""
    refused(visitor.exchange(visitor.code(), **changes), error)


def test_a_code_that_was_tried_with_a_wrong_verifier_is_used_up(visitor: Visitor) -> None:
    """Whoever stole it has one try, and cannot leave it for a second."""
    code = visitor.code()
    refused(visitor.exchange(code, code_verifier="x" * 43), "invalid_grant")
    refused(visitor.exchange(code), "invalid_grant")


def test_a_code_that_comes_twice_ends_what_came_of_it(visitor: Visitor) -> None:
    """The second use is refused, and the access token of the first opens nothing any more (RFC 6749, section 4.1.2)."""
    code = visitor.code()
    token = visitor.exchange(code).json()["access_token"]
    assert visitor.userinfo(token).is_success
    refused(visitor.exchange(code), "invalid_grant")
    assert visitor.userinfo(token).status_code == 401


def test_a_code_waits_for_a_minute(visitor: Visitor) -> None:
    """Then it is worth nothing."""
    code = visitor.code()
    visitor.provider.clock.ahead_seconds = visitor.provider.settings.code_seconds
    refused(visitor.exchange(code), "invalid_grant")


def test_an_access_token_lasts_as_long_as_it_says(visitor: Visitor) -> None:
    """Afterwards userinfo is closed."""
    given = visitor.exchange(visitor.code()).json()
    visitor.provider.clock.ahead_seconds = given["expires_in"]
    assert visitor.userinfo(given["access_token"]).status_code == 401


def test_a_code_of_one_organisation_is_none_at_the_other(visit: Visit) -> None:
    """The other provider does not know it, and it stays good where it came from."""
    visitor, other = visit(), visit(DISTRICT)
    code = visitor.code()
    refused(other.exchange(code, code_verifier=visitor.verifier), "invalid_grant")
    given = visitor.exchange(code).json()
    assert other.userinfo(given["access_token"]).status_code == 401


def test_a_client_that_authenticates_is_none_of_ours(visitor: Visitor) -> None:
    """The one client is public; a 401 names the scheme that was tried."""
    basic = base64.b64encode(b"verbund:secret").decode()
    fields = {"grant_type": "authorization_code", "client_id": "verbund", "code": visitor.code()}
    answer = visitor.browser.post(f"{visitor.issuer}/token", data=fields, headers={"Authorization": f"Basic {basic}"})
    refused(answer, "invalid_client", 401)
    assert answer.headers["www-authenticate"] == "Basic"


def test_what_is_no_form_is_refused(visitor: Visitor) -> None:
    """JSON, too large, a field twice: an error in JSON."""
    address, form = f"{visitor.issuer}/token", {"Content-Type": "application/x-www-form-urlencoded"}
    refused(visitor.browser.post(address, json={"code": "x"}), "invalid_request", 415)
    refused(visitor.browser.post(address, content=b"code=" + b"y" * 9000, headers=form), "invalid_request", 413)
    refused(visitor.browser.post(address, content=b"code=a&code=b", headers=form), "invalid_request")
    refused(visitor.browser.post(address, content=b"code=%ff", headers=form), "invalid_request")


def test_a_body_that_never_ends_is_cut(visitor: Visitor) -> None:
    """It is refused at its bound, however long it would go on."""

    def endless() -> object:
        yield b"code="
        while True:
            yield b"y" * 1024

    form = {"Content-Type": "application/x-www-form-urlencoded"}
    try:
        answer = visitor.browser.post(f"{visitor.issuer}/token", content=endless(), headers=form)  # type: ignore[arg-type]
    except httpx.TransportError:
        return  # the provider hung up while it was still being sent to
    assert answer.status_code == 413
