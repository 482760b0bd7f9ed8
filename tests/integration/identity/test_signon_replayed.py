"""Sign-on with what was good once, or for somebody else: states, codes, nonces, issuers and refresh tokens."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlencode

import httpx
import psycopg
import pytest
from verbund.identity.signon.domain import CODE_LIFE, REFRESH_GRACE, SIGN_ON_LIFE

from tests.integration.identity.signing_on import SignOns, publish, query_of

BAD, SEE_OTHER = httpx.codes.BAD_REQUEST, httpx.codes.SEE_OTHER
SESSION = "__Host-verbund-session"


def passed(sign_ons: SignOns, statement: str, seconds: float) -> None:
    """Time passes for some rows; the statement says for which."""
    with psycopg.connect(sign_ons.mesh.dsn, user="postgres") as connection:
        assert connection.execute(statement.encode(), [seconds]).rowcount > 0


def error_of(answer: httpx.Response) -> str:
    """What the token endpoint says is wrong."""
    assert answer.status_code == BAD
    return str(answer.json()["error"])


def test_a_state_is_good_for_ten_minutes(sign_ons: SignOns) -> None:
    """Who was away for longer begins once more."""
    visitor = sign_ons.visitor()
    said = sign_ons.at_home(visitor.authorize().headers["location"])
    aged = "UPDATE identity.sign_ons SET expire_time = expire_time - make_interval(secs => %s)"
    passed(sign_ons, aged, SIGN_ON_LIFE.total_seconds())
    assert visitor.get("/oauth2/callback", **said).status_code == BAD
    assert SESSION not in visitor.cookies


def test_what_two_tabs_got_is_not_mixed(sign_ons: SignOns) -> None:
    """The state of one with the code of the other signs nobody on: each code needs its own verifier and nonce."""
    visitor = sign_ons.visitor()
    first, second = (visitor.authorize(state=name).headers["location"] for name in ("one", "two"))
    theirs = sign_ons.at_home(first)
    own = sign_ons.at_home(second)
    assert visitor.get("/oauth2/callback", **theirs | {"code": own["code"]}).status_code == BAD
    assert SESSION not in visitor.cookies


def test_a_token_of_an_earlier_sign_on_is_none(sign_ons: SignOns) -> None:
    """A nonce is good once, though everything else in the token is as it should be."""
    visitor = sign_ons.visitor()
    first = visitor.authorize().headers["location"]
    assert visitor.get("/oauth2/callback", **sign_ons.at_home(first)).status_code == SEE_OTHER
    again = sign_ons.visitor()
    said = sign_ons.at_home(again.authorize().headers["location"], nonce=query_of(first)["nonce"])
    assert again.get("/oauth2/callback", **said).status_code == BAD
    assert SESSION not in again.cookies


@pytest.mark.parametrize("stated", [[], ["https://e.example"], ["home", "home"], ["home", "https://e.example"]])
def test_who_names_itself_is_named_once_in_every_answer(sign_ons: SignOns, stated: list[str]) -> None:
    """An answer without issuer, with another, or with two is another's (RFC 9207), also where it is an error."""
    issuers = [("iss", sign_ons.home.issuer() if each == "home" else each) for each in stated]
    for answered in ("code", "error"):
        visitor = sign_ons.visitor()
        said = sign_ons.at_home(visitor.authorize().headers["location"])
        pairs = [("state", said["state"]), (answered, said["code"]), *issuers]
        headers = {"cookie": "; ".join(f"{name}={value}" for name, value in visitor.cookies.items())}
        answer = visitor.http.get("/oauth2/callback?" + urlencode(pairs), headers=headers)
        assert answer.status_code == BAD
        assert "gehört zu keiner Anmeldung" in answer.text
        assert SESSION not in str(answer.headers)


@pytest.mark.parametrize(("changed", "status"), [({"iss": None}, SEE_OTHER), ({"iss": "https://e.example"}, BAD)])
def test_who_does_not_name_itself_is_not_named_wrongly(sign_ons: SignOns, changed: dict[str, Any], status: int) -> None:
    """A provider that knows nothing of RFC 9207 needs no issuer in its answers; another's is refused."""
    at = f"silent-{status}"
    publish(sign_ons.home, at, authorization_response_iss_parameter_supported=False)
    organisation = f"organisations/{at}"
    active = sign_ons.activate(sign_ons.draft("silent", organisation=organisation, at=at))
    visitor = sign_ons.visitor()
    said = sign_ons.at_home(visitor.authorize(login_hint=organisation).headers["location"], at=at) | changed
    given = {name: value for name, value in said.items() if value is not None}
    assert visitor.get("/oauth2/callback", **given).status_code == status
    sign_ons.suspend(active.name)


def test_a_code_is_good_for_a_minute(sign_ons: SignOns) -> None:
    """Whoever finds it later gets nothing."""
    visitor = sign_ons.visitor()
    code = sign_ons.code(visitor)
    aged = "UPDATE identity.sign_on_grants SET code_expire_time = code_expire_time - make_interval(secs => %s)"
    passed(sign_ons, aged, CODE_LIFE.total_seconds())
    assert error_of(sign_ons.redeem(visitor, code)) == "invalid_grant"


def test_a_code_that_comes_twice_at_once_brings_one_set_of_tokens_that_ends(sign_ons: SignOns) -> None:
    """One of two wins, whichever; what it got is over as soon as the other is looked at."""
    visitor = sign_ons.visitor()
    code = sign_ons.code(visitor)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: sign_ons.redeem(visitor, code), range(4)))
    won = [answer.json() for answer in answers if answer.status_code == httpx.codes.OK]
    assert len(won) == 1
    sign_ons.mesh.ends(won[0]["access_token"])
    assert error_of(sign_ons.refresh(won[0]["refresh_token"])) == "invalid_grant"


def test_a_code_that_failed_once_is_good_no_more(sign_ons: SignOns) -> None:
    """Nobody tries verifiers until one fits."""
    visitor = sign_ons.visitor()
    code = sign_ons.code(visitor)
    assert error_of(sign_ons.redeem(visitor, code, code_verifier="x" * 43)) == "invalid_grant"
    assert error_of(sign_ons.redeem(visitor, code)) == "invalid_grant"


def test_a_refresh_token_comes_again_within_its_grace_and_not_after(sign_ons: SignOns) -> None:
    """A tab that was slow gets the same as the others; a token that turns up later was stolen, and ends all."""
    first = sign_ons.tokens(sign_ons.visitor())["refresh_token"]
    newest = sign_ons.refresh(first).json()
    aged = "UPDATE identity.sign_on_grants SET refresh_time = refresh_time - make_interval(secs => %s)"
    passed(sign_ons, aged, REFRESH_GRACE.total_seconds() / 2)
    assert sign_ons.refresh(first).json()["refresh_token"] == newest["refresh_token"]
    passed(sign_ons, aged, REFRESH_GRACE.total_seconds() / 2)
    assert error_of(sign_ons.refresh(first)) == "invalid_grant"
    sign_ons.mesh.ends(newest["access_token"])
    assert error_of(sign_ons.refresh(newest["refresh_token"])) == "invalid_grant"
