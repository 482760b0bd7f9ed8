"""The login form: what it tells a stranger, how often it lets one guess, and who may send it."""

import httpx
import pytest

from tests.integration.provider.conftest import Visit
from tests.integration.provider.visitor import USERNAME, Visitor, sent


def problem(page: httpx.Response) -> str:
    """What the page says went wrong."""
    return page.text.partition('id="problem-text">')[2].partition("</p>")[0]


@pytest.mark.parametrize("username", [USERNAME, "nobody", "", "x" * 5000, "projektleitung\x00"])
def test_a_wrong_password_and_an_unknown_name_are_told_alike(visitor: Visitor, username: str) -> None:
    """Same status, same text: nobody learns who there is."""
    page = visitor.login(visitor.authorize(), username=username, password="wrong")
    assert page.status_code == 400
    assert problem(page) == "Benutzername oder Passwort sind falsch. Bitte geben Sie beides noch einmal ein."
    assert "location" not in page.headers


def test_after_a_mistake_the_person_goes_on(visitor: Visitor) -> None:
    """The form comes back with the name and without the password, and works."""
    again = visitor.login(visitor.authorize(), password="wrong-and-private")
    assert f'value="{USERNAME}"' in again.text
    assert "wrong-and-private" not in again.text
    assert sent(visitor.login(again))["state"] == visitor.state


def test_passwords_are_guessed_a_few_times_a_minute(visitor: Visitor) -> None:
    """Then even the right one is refused, with how long to wait; others go on, and so does the person afterwards."""
    for _ in range(visitor.provider.settings.attempts_per_account_max):
        page = visitor.login(visitor.authorize(), password="wrong")
        assert page.status_code == 400
    page = visitor.login(visitor.authorize())
    assert page.status_code == 429
    assert 1 <= int(page.headers["retry-after"]) <= 60
    assert page.headers["retry-after"] in problem(page)
    assert sent(visitor.login(visitor.authorize(), username="sachbearbeitung"))["code"]
    visitor.provider.clock.ahead_seconds = 60
    assert sent(visitor.login(visitor.authorize(prompt="login")))["code"]


def test_a_form_is_good_once(visitor: Visitor) -> None:
    """Sent again it is refused on a page, right or wrong as it was."""
    page = visitor.authorize()
    assert visitor.login(page, password="wrong").status_code == 400
    again = visitor.login(page)
    assert (again.status_code, again.headers.get("location")) == (400, None)
    assert "Formular" in again.text


def test_a_form_is_good_in_the_browser_that_it_was_shown_in(visit: Visit) -> None:
    """Another browser cannot send it (login CSRF), with or without a cookie of its own."""
    visitor, attacker = visit(), visit()
    for mine in (False, True):
        page = attacker.authorize()
        if mine:
            visitor.authorize()
        answer = visitor.login(page)
        assert (answer.status_code, answer.headers.get("location")) == (400, None)


def test_a_form_lasts_a_quarter_of_an_hour(visitor: Visitor) -> None:
    """An old one is refused."""
    page = visitor.authorize()
    visitor.provider.clock.ahead_seconds = 901
    assert visitor.login(page).status_code == 400


def test_two_windows_do_not_disturb_each_other(visitor: Visitor) -> None:
    """Both forms of one browser can be sent."""
    first, second = visitor.authorize(), visitor.authorize()
    assert sent(visitor.login(second))["code"]
    assert sent(visitor.login(first))["code"]


def test_cookies_are_for_the_browser_and_this_host_only(visitor: Visitor) -> None:
    """Secure, HttpOnly, SameSite, and bound to the host by their name's prefix."""
    page = visitor.authorize()
    answer = visitor.login(page)
    (form,) = page.headers.get_list("set-cookie")
    (session,) = answer.headers.get_list("set-cookie")
    for cookie, samesite in ((form, "strict"), (session, "lax")):
        name, *attributes = cookie.split("; ")
        assert name.startswith("__Host-")
        assert {"Secure", "HttpOnly", "Path=/", f"SameSite={samesite}"} == set(attributes)


def test_pages_are_closed_off(visitor: Visitor) -> None:
    """No script, no foreign host, no frame, nothing kept, and no address passed on; the form may lead to the client."""
    for page in (visitor.authorize(), visitor.authorize(client_id="other")):
        assert page.headers["cache-control"] == "no-store"
        assert page.headers["referrer-policy"] == "no-referrer"
        assert page.headers["x-content-type-options"] == "nosniff"
        policy = dict(part.strip().split(" ", 1) for part in page.headers["content-security-policy"].split(";"))
        assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
        assert policy["style-src"] == "'self'"
        assert policy["form-action"] in ("'self'", "'self' http://127.0.0.1:49152")
        assert "<script" not in page.text
        assert "style=" not in page.text
    assert visitor.login(visitor.authorize()).headers["referrer-policy"] == "no-referrer"
