"""Sign-on under attack: what was altered, replayed, mixed up or sent by another site leads nowhere."""

from typing import Any

import httpx
import pytest

from tests.integration.identity.mesh import ISSUER
from tests.integration.identity.signing_on import SignOns, publish, query_of

BAD = httpx.codes.BAD_REQUEST


@pytest.mark.parametrize(
    "changed",
    [
        {"client_id": "unknown"},
        {"client_id": None},
        {"redirect_uri": "https://evil.example/"},
        {"redirect_uri": f"{ISSUER}/console/callback/../../evil"},
        {"redirect_uri": f"{ISSUER}/console/callback?more=1"},
        {"redirect_uri": f"{ISSUER}.evil.example/console/callback"},
        {"redirect_uri": None},
    ],
)
def test_nobody_is_sent_to_an_address_that_is_not_registered(sign_ons: SignOns, changed: dict[str, str | None]) -> None:
    """There is no open redirect: the person is told, and stays."""
    answer = sign_ons.visitor().authorize(**changed)
    assert answer.status_code == BAD
    assert "location" not in answer.headers
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"scope": "profile"}, "invalid_scope"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"request": "x.y.z"}, "request_not_supported"),
    ],
)
def test_what_is_not_supported_is_told_to_the_client(sign_ons: SignOns, changed: dict[str, str], error: str) -> None:
    """It is refused in the client's own terms, and never ignored."""
    said = query_of(sign_ons.visitor().authorize(**changed).headers["location"])
    assert (said["error"], said["state"], said["iss"]) == (error, "the-state", ISSUER)


@pytest.mark.parametrize(
    "changed", [{"state": "altered"}, {"state": ""}, {"code": "other"}, {"iss": "https://e.example"}]
)
def test_an_altered_answer_signs_nobody_on(sign_ons: SignOns, changed: dict[str, str]) -> None:
    """State, code and issuer of the answer are those of the request, or it is none."""
    visitor = sign_ons.visitor()
    said = sign_ons.at_home(visitor.authorize().headers["location"])
    answer = visitor.get("/oauth2/callback", **said | changed)
    assert answer.status_code == BAD
    assert "__Host-verbund-session" not in visitor.cookies


def test_an_answer_is_good_once(sign_ons: SignOns) -> None:
    """A replayed state finds nothing."""
    visitor = sign_ons.visitor()
    said = sign_ons.at_home(visitor.authorize().headers["location"])
    assert visitor.get("/oauth2/callback", **said).status_code == httpx.codes.SEE_OTHER
    assert visitor.get("/oauth2/callback", **said).status_code == BAD


def test_an_answer_is_good_in_the_browser_that_asked(sign_ons: SignOns) -> None:
    """Nobody is signed on as somebody else by a link (login CSRF)."""
    said = sign_ons.at_home(sign_ons.visitor().authorize().headers["location"])
    victim = sign_ons.visitor()
    victim.authorize()
    assert victim.get("/oauth2/callback", **said).status_code == BAD
    assert sign_ons.visitor().get("/oauth2/callback", **said).status_code == BAD


@pytest.mark.parametrize("claims", [{"nonce": "another"}, {"nonce": None}, {"aud": "another"}, {"exp": 1}])
def test_an_id_token_of_another_sign_on_is_none(sign_ons: SignOns, claims: dict[str, Any]) -> None:
    """The token must be for this request, for this mesh, and fresh."""
    visitor = sign_ons.visitor()
    said = sign_ons.at_home(visitor.authorize().headers["location"], **claims)
    assert visitor.get("/oauth2/callback", **said).status_code in (BAD, httpx.codes.FORBIDDEN)
    assert "__Host-verbund-session" not in visitor.cookies


def test_a_provider_vouches_for_its_own_people_only(sign_ons: SignOns) -> None:
    """An ID token of one provider that comes back by another signs nobody on (mix-up)."""
    publish(sign_ons.home, "mixed")
    sign_ons.activate(sign_ons.draft("mixed", organisation="organisations/mixed", at="mixed"))
    visitor = sign_ons.visitor()
    sent = visitor.authorize(login_hint="organisations/mixed").headers["location"]
    said = sign_ons.at_home(sent, at="mixed", iss=sign_ons.home.issuer("home"))
    assert visitor.get("/oauth2/callback", **said).status_code == BAD
    sign_ons.suspend("organisations/mixed/providers/mixed")


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        ("access_denied", BAD, "Sie haben abgebrochen, oder Ihre Organisation lässt die Anmeldung nicht zu"),
        ("temporarily_unavailable", httpx.codes.SERVICE_UNAVAILABLE, "meldet eine Störung"),
        ("server_error", httpx.codes.SERVICE_UNAVAILABLE, "meldet eine Störung"),
        ("unauthorized_client", BAD, "Noch einmal zu beginnen hilft nicht"),
        ("invalid_scope", BAD, "Noch einmal zu beginnen hilft nicht"),
        ("login_required", BAD, "hat die Anmeldung nicht bestätigt"),
        ("<i>what nobody knows</i>", BAD, "hat die Anmeldung nicht bestätigt"),
    ],
)
def test_whom_home_does_not_sign_in_is_told_why(sign_ons: SignOns, error: str, status: int, words: str) -> None:
    """By the error alone, and with the organisation's name; what else the answer says is shown to nobody, and the
    answer is good once.
    """
    visitor = sign_ons.visitor()
    state = query_of(visitor.authorize().headers["location"])["state"]
    said = {"state": state, "error": error, "error_description": "<b>x</b>y", "iss": sign_ons.home.issuer()}
    answer = visitor.get("/oauth2/callback", **said)
    assert answer.status_code == status
    assert ("retry-after" in answer.headers) == (status == httpx.codes.SERVICE_UNAVAILABLE)
    assert words in answer.text
    assert "Citylab" in answer.text
    assert not [each for each in ("<b>", "<i>", "xy", "nobody knows") if each in answer.text]
    assert "begonnen wurde" in visitor.get("/oauth2/callback", **said).text


def test_a_provider_that_is_down_is_named_with_when_to_try_again(sign_ons: SignOns) -> None:
    """The person knows whom to ask; it is no fault of theirs, and none of ours."""
    publish(sign_ons.home, "down")
    sign_ons.activate(sign_ons.draft("down", organisation="organisations/down", at="down"))
    sign_ons.home.serve("/down/.well-known/openid-configuration", {}, status=500)
    answer = sign_ons.visitor().authorize(login_hint="organisations/down", ui_locales="en")
    assert answer.status_code == httpx.codes.SERVICE_UNAVAILABLE
    assert int(answer.headers["retry-after"]) > 0
    assert "Down" in answer.text
    sign_ons.suspend("organisations/down/providers/down")


@pytest.mark.parametrize("forged", ["", "x", "citylab." + "x" * 43, "verein." + "x" * 43, "citylab.\u00e4"])
def test_a_forged_cookie_is_no_session(sign_ons: SignOns, forged: str) -> None:
    """Nor one that is cut, or of a session that never was."""
    visitor = sign_ons.visitor()
    sign_ons.code(visitor)
    good = visitor.cookies["__Host-verbund-session"]
    for value in (forged.encode("ascii", "ignore").decode(), good[:-1], good + "x"):
        visitor.cookies["__Host-verbund-session"] = value
        assert "code" not in query_of(visitor.authorize().headers["location"])


@pytest.mark.parametrize("path", ["/oauth2/organisation", "/oauth2/consent"])
def test_the_forms_of_our_pages_come_from_our_pages(sign_ons: SignOns, path: str) -> None:
    """Another site's form is refused, whatever cookies come with it; so is one that was never shown."""
    visitor = sign_ons.visitor()
    assert visitor.post(path, "https://evil.example", form="x").status_code == httpx.codes.FORBIDDEN
    assert visitor.post(path, "null", form="x").status_code == httpx.codes.FORBIDDEN
    assert visitor.post(path, form="x").status_code == BAD


def test_a_request_that_is_no_form_is_refused(sign_ons: SignOns) -> None:
    """In every other content type."""
    for kind in ("application/json", "text/plain", "multipart/form-data; boundary=x"):
        answer = sign_ons.mesh.http.post("/oauth2/consent", content=b"{}", headers={"content-type": kind})
        assert answer.status_code == httpx.codes.UNSUPPORTED_MEDIA_TYPE
    assert sign_ons.mesh.http.get("/oauth2/authorize?" + "x" * 20_000).status_code >= BAD


def test_signing_out_leads_nowhere_that_is_not_registered(sign_ons: SignOns) -> None:
    """There is no open redirect at the other end either."""
    visitor = sign_ons.visitor()
    answer = visitor.get("/oauth2/logout", client_id="console", post_logout_redirect_uri="https://evil.example/")
    assert answer.status_code == BAD
    visitor.cookies["__Host-verbund-after"] = "https://evil.example/"
    assert "location" not in visitor.get("/oauth2/signed-out").headers
