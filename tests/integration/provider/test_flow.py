"""Signing in at home: authorization code with PKCE, as OpenID Connect has it."""

import time

import httpx
import pytest

from tests.integration.provider.conftest import Visit
from tests.integration.provider.visitor import CHANCELLERY, DISTRICT, GATEWAY_CALLBACK, Provider, Visitor, sent


@pytest.mark.parametrize("provider_id", [CHANCELLERY, DISTRICT])
def test_a_person_signs_in_and_the_client_learns_who_it_is(visit: Visit, provider_id: str) -> None:
    """The id token names issuer, person, client, request, time and assurance, and is signed with a published key."""
    visitor = visit(provider_id)
    before = int(time.time())
    answer = sent(visitor.login(visitor.authorize()))
    assert (answer["state"], answer["iss"]) == (visitor.state, visitor.issuer)
    tokens = visitor.exchange(answer["code"])
    assert tokens.headers["cache-control"] == "no-store"
    given = tokens.json()
    assert (given["token_type"], given["scope"]) == ("Bearer", "openid profile email")
    claims = visitor.claims(given["id_token"])
    assert claims["iss"] == visitor.issuer
    assert claims["aud"] == claims["azp"] == "verbund"
    assert claims["nonce"] == visitor.nonce
    assert before <= claims["auth_time"] <= claims["iat"]
    assert claims["exp"] - claims["iat"] == 900
    assert claims["acr"] == "http://eidas.europa.eu/LoA/substantial"
    assert claims["name"].startswith("Beispiel: ")
    assert claims["email"].endswith(".example.org")
    assert claims["roles"] == ["Leitung", "Sachbearbeitung"]
    assert len(claims["sub"]) == 26


def test_userinfo_says_the_same_and_only_to_its_token(visitor: Visitor) -> None:
    """The access token opens what the id token says of the person; nothing else does."""
    given = visitor.exchange(visitor.code()).json()
    claims = visitor.claims(given["id_token"])
    told = visitor.userinfo(given["access_token"])
    assert told.json() == {name: claims[name] for name in ("sub", "name", "email", "roles")}
    assert told.headers["cache-control"] == "no-store"
    for wrong in (given["id_token"], given["access_token"][:-1], "x"):
        refused = visitor.userinfo(wrong)
        assert (refused.status_code, refused.content) == (401, b"")
        assert refused.headers["www-authenticate"].startswith("Bearer")


def test_people_are_the_same_at_the_next_sign_in_and_others_elsewhere(visit: Visit) -> None:
    """`sub` is stable for a person, differs between people, and says nothing of them."""
    subjects = []
    for provider_id in (CHANCELLERY, CHANCELLERY, DISTRICT):
        visitor = visit(provider_id)
        subjects.append(visitor.claims(visitor.exchange(visitor.code()).json()["id_token"])["sub"])
    assert subjects[0] == subjects[1] != subjects[2]


def test_who_has_signed_in_is_not_asked_again(visitor: Visitor) -> None:
    """The second request is answered at once, with the time of the first sign-in; prompt=none works then too."""
    first = visitor.claims(visitor.exchange(visitor.code()).json()["id_token"])
    visitor.provider.clock.ahead_seconds = 100
    for changes in ({}, {"prompt": "none"}, {"max_age": "3000"}):
        code = sent(visitor.authorize(**changes))["code"]
        again = visitor.claims(visitor.exchange(code).json()["id_token"])
        assert again["auth_time"] == first["auth_time"]
        assert again["iat"] >= first["iat"] + 100


@pytest.mark.parametrize("changes", [{"prompt": "login"}, {"max_age": "50"}, {"max_age": "0"}])
def test_a_fresh_sign_in_can_be_asked_for(visitor: Visitor, changes: dict[str, str]) -> None:
    """The person is asked although they are signed in, and the id token has the new time."""
    visitor.code()
    visitor.provider.clock.ahead_seconds = 100
    asked = visitor.authorize(**changes)
    assert asked.status_code == 200
    claims = visitor.claims(visitor.exchange(sent(visitor.login(asked))["code"]).json()["id_token"])
    assert claims["auth_time"] >= claims["iat"] - 1


def test_a_session_ends_by_itself(visitor: Visitor) -> None:
    """After the hour the person is asked again."""
    visitor.code()
    visitor.provider.clock.ahead_seconds = visitor.provider.settings.session_seconds + 1
    assert visitor.authorize().status_code == 200


def test_a_session_at_one_organisation_is_none_at_the_other(visitor: Visitor, provider: Provider) -> None:
    """They share a host, and no cookie of one means anything to the other."""
    visitor.code()
    other = f"{provider.issuer(DISTRICT)}/authorize"
    assert visitor.browser.get(other, params=visitor.request()).status_code == 200


def test_a_request_may_come_as_a_form(visitor: Visitor) -> None:
    """The authorization endpoint takes GET and POST alike (OpenID Connect Core, section 3.1.2.1)."""
    page = visitor.browser.post(f"{visitor.issuer}/authorize", data=visitor.request())
    assert sent(visitor.login(page))["state"] == visitor.state


def test_the_gateway_is_returned_to_by_its_exact_address(visitor: Visitor) -> None:
    """Besides this machine only what the settings name is a place to return to."""
    answer = visitor.login(visitor.authorize(redirect_uri=GATEWAY_CALLBACK))
    code = sent(answer, GATEWAY_CALLBACK)["code"]
    assert visitor.exchange(code, redirect_uri=GATEWAY_CALLBACK).is_success


def test_a_redirect_uri_keeps_its_own_query(visitor: Visitor) -> None:
    """What the client put there comes back with the answer."""
    uri = "http://[::1]:8080/back?tab=2"
    answer = sent(visitor.login(visitor.authorize(redirect_uri=uri)), uri + "&")
    assert (answer["tab"], answer["state"]) == ("2", visitor.state)


@pytest.mark.parametrize("state", ["a b+c&d=e#f%41", "ä€\U0001f600", "x" * 2000, "\r\nSet-Cookie: a=b"])
def test_a_state_comes_back_as_it_was_sent(visitor: Visitor, state: str) -> None:
    """Whatever stands in it, in answers and in errors, and it never becomes anything else."""
    answer = visitor.login(visitor.authorize(state=state))
    assert sent(answer)["state"] == state
    assert "a" not in answer.cookies
    assert sent(visitor.authorize(state=state, prompt="other"))["state"] == state


def test_a_person_may_cancel(visitor: Visitor) -> None:
    """The client is told that access was denied."""
    answer = sent(visitor.login(visitor.authorize(), cancel="yes", password=""))
    assert answer == {"error": "access_denied", "state": visitor.state, "iss": visitor.issuer}


def test_the_metadata_is_what_is_done(visitor: Visitor) -> None:
    """What discovery names exists, and it promises nothing else."""
    found = visitor.browser.get(f"{visitor.issuer}/.well-known/openid-configuration").json()
    assert found["issuer"] == visitor.issuer
    assert found["code_challenge_methods_supported"] == ["S256"]
    assert found["token_endpoint_auth_methods_supported"] == ["none"]
    assert found["request_uri_parameter_supported"] is False
    for name, address in found.items():
        if name.endswith("_endpoint") or name == "jwks_uri":
            assert address.startswith(f"{visitor.issuer}/")
            assert visitor.browser.get(address).status_code != httpx.codes.NOT_FOUND
    keys = visitor.browser.get(found["jwks_uri"]).json()["keys"]
    assert len(keys) == 1
    assert keys[0].keys() == {"kty", "crv", "x", "y", "kid", "use", "alg"}


def test_organisations_sign_with_keys_of_their_own(visit: Visit) -> None:
    """A provider cannot speak for another."""
    kids = set()
    for provider_id in (CHANCELLERY, DISTRICT):
        visitor = visit(provider_id)
        kids |= {key["kid"] for key in visitor.browser.get(f"{visitor.issuer}/jwks").json()["keys"]}
    assert len(kids) == 2
