"""Signing out at the provider (RP-initiated logout)."""

import httpx
import pytest

from tests.integration.provider.conftest import Visit
from tests.integration.provider.visitor import AFTER_LOGOUT, CHANCELLERY, DISTRICT, USERNAME, Visitor, sent


def leave(visitor: Visitor, **parameters: str) -> httpx.Response:
    """A logout request."""
    return visitor.browser.get(f"{visitor.issuer}/end-session", params=parameters)


def is_signed_in(visitor: Visitor) -> bool:
    """Whether the provider asks nothing."""
    return "code" in sent(visitor.authorize(prompt="none"))


def signed_in(visitor: Visitor, *, username: str = USERNAME) -> str:
    """The id token of a visitor who signs in."""
    code = sent(visitor.login(visitor.authorize(), username=username))["code"]
    return str(visitor.exchange(code).json()["id_token"])


def test_who_shows_the_id_token_is_signed_out_and_sent_back(visitor: Visitor) -> None:
    """With the state, to an address that is known; an old token is as good."""
    token = signed_in(visitor)
    visitor.provider.clock.ahead_seconds = 2000
    answer = leave(visitor, id_token_hint=token, post_logout_redirect_uri=AFTER_LOGOUT, state="a b")
    assert (answer.status_code, answer.headers["location"]) == (303, f"{AFTER_LOGOUT}?state=a+b")
    assert not is_signed_in(visitor)


@pytest.mark.parametrize("hint", ["none", "colleague", "other"])
def test_who_does_not_is_asked_first(visit: Visit, hint: str) -> None:
    """A link on a foreign page signs nobody out; the form that asks is bound to the browser, and good once."""
    visitor, other = visit(), visit(DISTRICT if hint == "other" else CHANCELLERY)
    signed_in(visitor)
    hints = {} if hint == "none" else {"id_token_hint": signed_in(other, username="sachbearbeitung")}
    page = leave(visitor, client_id="verbund", post_logout_redirect_uri=AFTER_LOGOUT, **hints)
    assert page.status_code == 200
    assert is_signed_in(visitor)
    assert other.login(page, username="", password="").status_code == 400
    page = leave(visitor, client_id="verbund", post_logout_redirect_uri=AFTER_LOGOUT, **hints)
    assert visitor.login(page, username="", password="").headers["location"] == AFTER_LOGOUT
    assert not is_signed_in(visitor)
    assert visitor.login(page, username="", password="").status_code == 400


@pytest.mark.parametrize("uri", ["https://evil.example/", "https://mesh.example/other", "javascript:alert(1)"])
def test_a_sign_out_leads_to_no_foreign_place(visitor: Visitor, uri: str) -> None:
    """A page says so, and nobody is redirected."""
    token = signed_in(visitor)
    answer = leave(visitor, id_token_hint=token, post_logout_redirect_uri=uri)
    assert (answer.status_code, answer.headers.get("location")) == (400, None)


def test_an_address_is_taken_from_a_known_client_only(visitor: Visitor) -> None:
    """Without a token and without the client's name there is nowhere to go."""
    assert leave(visitor, post_logout_redirect_uri=AFTER_LOGOUT).status_code == 400
    assert leave(visitor, post_logout_redirect_uri=AFTER_LOGOUT, client_id="other").status_code == 400


def test_without_an_address_a_page_says_that_it_is_done(visitor: Visitor) -> None:
    """Also where nobody was signed in, and whatever the hint holds."""
    for hint in ("", "x.y.z", "x" * 5000):
        answer = leave(visitor, id_token_hint=hint)
        assert answer.status_code == 200
        assert "abgemeldet" in answer.text


def test_a_form_to_sign_in_with_signs_nobody_out(visitor: Visitor) -> None:
    """The two kinds of forms are not interchangeable."""
    signed_in(visitor)
    page = visitor.authorize(prompt="login")
    fields = {"form": page.text.partition('name="form" value="')[2].partition('"')[0]}
    assert visitor.browser.post(f"{visitor.issuer}/leave", data=fields).status_code == 400
    assert is_signed_in(visitor)
