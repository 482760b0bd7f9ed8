"""Sign-on: a browser is sent home, comes back, and its client gets tokens that end when they should."""

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet
from verbund.identity.v1 import person_service_pb2 as people_pb

from tests.integration.identity.mesh import ISSUER
from tests.integration.identity.signing_on import CALLBACK, SignOns, publish, query_of


def test_a_person_signs_on_and_the_console_gets_tokens_of_the_mesh(sign_ons: SignOns) -> None:
    """The tokens say who, of which organisation, with which roles and in which session, and no name or address."""
    visitor = sign_ons.visitor()
    answer = sign_ons.back(visitor)
    said = query_of(answer.headers["location"])
    assert answer.headers["location"].startswith(CALLBACK + "?")
    assert (said["state"], said["iss"]) == ("the-state", ISSUER)
    tokens = sign_ons.redeem(visitor, said["code"]).json()
    principal = sign_ons.mesh.verifier.verify(tokens["access_token"])
    assert principal.organisation == "organisations/citylab"
    assert principal.person == principal.subject
    assert principal.roles == {"caseworker"}
    assert principal.session
    keys = KeySet.import_key_set(sign_ons.mesh.http.get("/oauth2/jwks").json())
    claims = jwt.decode(tokens["id_token"], keys, algorithms=["ES256"]).claims
    assert (claims["iss"], claims["aud"], claims["nonce"]) == (ISSUER, "console", "the-nonce")
    assert (claims["sub"], claims["sid"]) == (principal.subject, principal.session)
    assert not {"name", "email"} & claims.keys()


def test_a_second_client_asks_nobody_again(sign_ons: SignOns) -> None:
    """Single sign-on: while the session goes on a request is answered at once, with prompt=none too."""
    visitor = sign_ons.visitor()
    sign_ons.code(visitor)
    for prompt in (None, "none"):
        answer = visitor.authorize(prompt=prompt)
        assert "code" in query_of(answer.headers["location"])
    assert query_of(visitor.authorize(prompt="login").headers["location"])["client_id"] == "verbund"


def test_who_is_not_there_is_not_asked_with_prompt_none(sign_ons: SignOns) -> None:
    """The client learns that it must ask."""
    said = query_of(sign_ons.visitor().authorize(prompt="none").headers["location"])
    assert (said["error"], said["state"], said["iss"]) == ("login_required", "the-state", ISSUER)


def test_userinfo_tells_the_name_as_long_as_the_session_goes_on(sign_ons: SignOns) -> None:
    """Name and address come from the one erasable row, for whoever holds the token and the scope."""
    visitor = sign_ons.visitor()
    tokens = sign_ons.tokens(visitor)
    headers = {"authorization": f"Bearer {tokens['access_token']}"}
    told = sign_ons.mesh.http.get("/oauth2/userinfo", headers=headers).json()
    assert (told["name"], told["email"]) == ("Anna", "anna@example.org")
    visitor.post("/oauth2/logout", confirmed="yes")
    answer = sign_ons.mesh.http.get("/oauth2/userinfo", headers=headers)
    assert answer.status_code == httpx.codes.UNAUTHORIZED
    assert sign_ons.mesh.http.get("/oauth2/userinfo").status_code == httpx.codes.UNAUTHORIZED


def test_a_code_is_good_once_and_used_twice_it_ends_what_came_of_it(sign_ons: SignOns) -> None:
    """Whoever steals a code either comes too late or takes everything with them."""
    visitor = sign_ons.visitor()
    code = sign_ons.code(visitor)
    tokens = sign_ons.redeem(visitor, code).json()
    assert sign_ons.redeem(visitor, code).json()["error"] == "invalid_grant"
    sign_ons.mesh.ends(tokens["access_token"])
    assert sign_ons.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    "changed",
    [
        {"code_verifier": "x" * 43},
        {"code_verifier": ""},
        {"redirect_uri": ISSUER + "/elsewhere"},
        {"code": "citylab." + "x" * 43},
        {"code": "nobody"},
        {"code": ""},
    ],
)
def test_a_code_is_good_for_who_asked_for_it(sign_ons: SignOns, changed: dict[str, str]) -> None:
    """Another verifier, another address or another code gets nothing."""
    visitor = sign_ons.visitor()
    answer = sign_ons.redeem(visitor, sign_ons.code(visitor), **changed)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


@pytest.mark.parametrize("changed", [{"client_secret": "wrong"}, {"client_secret": ""}, {"client_id": "others"}])
def test_the_console_must_prove_itself(sign_ons: SignOns, changed: dict[str, str]) -> None:
    """A code alone is worth nothing."""
    visitor = sign_ons.visitor()
    answer = sign_ons.redeem(visitor, sign_ons.code(visitor), **changed)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


def test_parallel_refreshes_get_the_same_successor_and_an_old_token_ends_all(sign_ons: SignOns) -> None:
    """A browser with six tabs stays signed on; a token from before its predecessor was stolen."""
    first = sign_ons.tokens(sign_ons.visitor())["refresh_token"]
    seconds = {sign_ons.refresh(first).json()["refresh_token"] for _ in range(3)}
    assert len(seconds) == 1
    (second,) = seconds
    third = sign_ons.refresh(second).json()
    assert sign_ons.refresh(first).json()["error"] == "invalid_grant"
    sign_ons.mesh.ends(third["access_token"])
    assert sign_ons.refresh(third["refresh_token"]).json()["error"] == "invalid_grant"


@pytest.mark.parametrize("place", [0, 10, 30, -1])
def test_a_forged_refresh_token_is_none(sign_ons: SignOns, place: int) -> None:
    """No character of it can be another."""
    token = list(sign_ons.tokens(sign_ons.visitor())["refresh_token"])
    token[place] = "a" if token[place] != "a" else "b"
    assert sign_ons.refresh("".join(token)).json()["error"] == "invalid_grant"


def test_signing_out_ends_the_session_everywhere(sign_ons: SignOns) -> None:
    """Services refuse its tokens, the cookie is good for nothing, and home is asked to end its own session."""
    visitor = sign_ons.visitor()
    tokens = sign_ons.tokens(visitor)
    cookies = dict(visitor.cookies)
    answer = visitor.get(
        "/oauth2/logout",
        id_token_hint=tokens["id_token"],
        client_id="console",
        post_logout_redirect_uri=f"{ISSUER}/console/signed-out",
    )
    assert answer.headers["location"].startswith(sign_ons.home.issuer() + "/end_session?")
    assert visitor.get("/oauth2/signed-out").headers["location"] == f"{ISSUER}/console/signed-out"
    sign_ons.mesh.ends(tokens["access_token"])
    assert sign_ons.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"
    visitor.cookies = cookies
    assert "code" not in query_of(visitor.authorize().headers["location"])


def test_nobody_is_signed_out_by_a_link(sign_ons: SignOns) -> None:
    """Without a token that proves the client's part the person is asked; a foreign page's form does nothing."""
    visitor = sign_ons.visitor()
    sign_ons.tokens(visitor)
    others = sign_ons.tokens(sign_ons.visitor(), "berta")
    for hint in ("", others["id_token"], "x.y.z"):
        assert "Möchten Sie sich abmelden" in visitor.get("/oauth2/logout", id_token_hint=hint).text
    assert visitor.post("/oauth2/logout", "https://evil.example", confirmed="yes").status_code == httpx.codes.FORBIDDEN
    assert "code" in query_of(visitor.authorize().headers["location"])


def test_an_erased_person_is_signed_on_nowhere(sign_ons: SignOns) -> None:
    """Session, tokens and refresh tokens go with the row that says who it was."""
    visitor = sign_ons.visitor()
    tokens = sign_ons.tokens(visitor, "erased")
    name = sign_ons.mesh.verifier.verify(tokens["access_token"]).subject
    sign_ons.people.ErasePerson(people_pb.ErasePersonRequest(name=name), metadata=sign_ons.as_admin())
    sign_ons.mesh.ends(tokens["access_token"])
    assert sign_ons.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"
    assert "code" not in query_of(visitor.authorize().headers["location"])


def test_two_tabs_sign_on_side_by_side(sign_ons: SignOns) -> None:
    """Each has its own state; what the first got stays good when the second comes home."""
    visitor = sign_ons.visitor()
    first, second = visitor.authorize(state="one"), visitor.authorize(state="two")
    answers = [
        visitor.get("/oauth2/callback", **sign_ons.at_home(sent.headers["location"])) for sent in (second, first)
    ]
    codes = [query_of(answer.headers["location"]) for answer in answers]
    assert [said["state"] for said in codes] == ["two", "one"]
    tokens = [sign_ons.redeem(visitor, said["code"]).json() for said in codes]
    assert all(sign_ons.mesh.verifier.verify(each["access_token"]) for each in tokens)


def test_another_person_in_the_same_browser_ends_the_first_ones_session(sign_ons: SignOns) -> None:
    """Two people are never signed on in one browser."""
    visitor = sign_ons.visitor()
    first = sign_ons.tokens(visitor, "anna")
    sign_ons.tokens(visitor, "berta", prompt="login")
    sign_ons.mesh.ends(first["access_token"])


def test_the_person_chooses_where_several_organisations_are(sign_ons: SignOns) -> None:
    """The page finds an organisation by part of its name, sends there, and next time nobody is asked."""
    publish(sign_ons.home, "second")
    sign_ons.activate(sign_ons.draft("second", organisation="organisations/verein", at="second"))
    visitor = sign_ons.visitor()
    page = visitor.authorize()
    assert "Bei welcher Organisation arbeiten Sie?" in page.text
    form = page.text.partition('name="form" value="')[2].partition('"')[0]
    found = visitor.post("/oauth2/organisation", form=form, search="verei").text
    assert "Verein" in found
    assert "Citylab" not in found
    sent = visitor.post("/oauth2/organisation", form=form, provider="organisations/verein/providers/second")
    location = sent.headers["location"]
    assert location.startswith(sign_ons.home.issuer("second") + "/authorization?")
    assert "code" in visitor.get("/oauth2/callback", **sign_ons.at_home(location, at="second")).headers["location"]
    visitor.cookies.pop("__Host-verbund-session")
    assert visitor.authorize().headers["location"].startswith(sign_ons.home.issuer("second"))
    hinted = sign_ons.visitor().authorize(login_hint="organisations/citylab").headers["location"]
    assert hinted.startswith(sign_ons.home.issuer("home"))
    sign_ons.suspend("organisations/verein/providers/second")
