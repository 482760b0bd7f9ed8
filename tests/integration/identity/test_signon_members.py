"""Systems of members as clients: they learn who a person is with their consent, and nothing more."""

from functools import partial

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet
from verbund.identity.v1 import system_service_pb2 as pb

from tests.integration.identity.mesh import ASSERTION_TYPE, ISSUER, Refused, System
from tests.integration.identity.signing_on import SignOns, Visitor, query_of
from tests.support.load import wait_until

BACK, AFTER = "https://member.example/back", "https://member.example/after"


@pytest.fixture(scope="module")
def member(sign_ons: SignOns) -> System:
    """A system of another organisation that people sign on to."""
    made = sign_ons.mesh.register(sign_ons.mesh.admit("member"), "portal", "system")
    allow(sign_ons, made)
    return made


def allow(sign_ons: SignOns, system: System, *, back: str = BACK, public: bool = False) -> pb.System:
    """The operator says where people come back to."""
    request = pb.SetSystemSignOnRequest(
        name=system.name, redirect_uris=[back], post_logout_redirect_uris=[AFTER], public_client=public
    )
    return sign_ons.mesh.systems.SetSystemSignOn(request, metadata=sign_ons.mesh.as_(sign_ons.mesh.operator))


def asked(sign_ons: SignOns, visitor: Visitor, member: System, **changed: str | None) -> httpx.Response:
    """The page that asks a person who signed on to the member's system."""
    return sign_ons.back(visitor, **{"client_id": member.name, "redirect_uri": BACK} | changed)


def answered(visitor: Visitor, page: httpx.Response, decision: str) -> dict[str, str]:
    """What the client is told after the person's decision."""
    form = page.text.partition('name="form" value="')[2].partition('"')[0]
    location = visitor.post("/oauth2/consent", form=form, decision=decision).headers["location"]
    assert location.startswith(BACK + "?")
    return query_of(location)


def redeemed(sign_ons: SignOns, visitor: Visitor, member: System, code: str) -> httpx.Response:
    """What the token endpoint answers to the member's proof of itself."""
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": BACK,
        "code_verifier": visitor.verifier,
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": member.assertion(),
    }
    return sign_ons.mesh.http.post("/oauth2/token", data=form)


def test_a_member_learns_who_it_is_after_consent(sign_ons: SignOns, member: System) -> None:
    """By a name that is the same at every sign-on and nowhere else, from userinfo, with a token good for that alone."""
    visitor = sign_ons.visitor()
    page = asked(sign_ons, visitor, member)
    assert (page.status_code, "Portal" in page.text, "Member" in page.text) == (200, True, True)
    tokens = redeemed(sign_ons, visitor, member, answered(visitor, page, "allow")["code"]).json()
    keys = KeySet.import_key_set(sign_ons.mesh.http.get("/oauth2/jwks").json())
    claims = jwt.decode(tokens["id_token"], keys, algorithms=["ES256"]).claims
    assert claims["aud"] == member.name
    assert "people/" not in claims["sub"]
    assert not sign_ons.mesh.accepts(tokens["access_token"])
    headers = {"authorization": f"Bearer {tokens['access_token']}"}
    told = sign_ons.mesh.http.get("/oauth2/userinfo", headers=headers).json()
    assert told == {"sub": claims["sub"], "name": "Anna", "email": "anna@example.org"}
    again = sign_ons.visitor()
    code = answered(again, asked(sign_ons, again, member, scope="openid"), "allow")["code"]
    second = redeemed(sign_ons, again, member, code).json()
    assert jwt.decode(second["id_token"], keys, algorithms=["ES256"]).claims["sub"] == claims["sub"]
    headers = {"authorization": f"Bearer {second['access_token']}"}
    assert sign_ons.mesh.http.get("/oauth2/userinfo", headers=headers).json() == {"sub": claims["sub"]}


def test_two_organisations_cannot_compare_what_they_know(sign_ons: SignOns, member: System) -> None:
    """Each has its own name for the person."""
    other = sign_ons.mesh.register(sign_ons.mesh.admit("other"), "portal", "system")
    allow(sign_ons, other)
    keys = KeySet.import_key_set(sign_ons.mesh.http.get("/oauth2/jwks").json())
    subjects = set()
    for client in (member, other):
        visitor = sign_ons.visitor()
        code = answered(visitor, asked(sign_ons, visitor, client), "allow")["code"]
        token = redeemed(sign_ons, visitor, client, code).json()["id_token"]
        subjects.add(jwt.decode(token, keys, algorithms=["ES256"]).claims["sub"])
    assert len(subjects) == 2


def test_who_declines_gives_nothing(sign_ons: SignOns, member: System) -> None:
    """The client is told; the answer is good once; who agreed is not asked again in the same session."""
    visitor = sign_ons.visitor()
    page = asked(sign_ons, visitor, member)
    said = answered(visitor, page, "deny")
    assert (said["error"], said["state"], said["iss"]) == ("access_denied", "the-state", ISSUER)
    form = page.text.partition('name="form" value="')[2].partition('"')[0]
    assert visitor.post("/oauth2/consent", form=form, decision="allow").status_code == httpx.codes.BAD_REQUEST
    request = {"client_id": member.name, "redirect_uri": BACK}
    assert query_of(visitor.authorize(prompt="none", **request).headers["location"])["error"] == "consent_required"
    answered(visitor, visitor.authorize(**request), "allow")
    assert "code" in query_of(visitor.authorize(prompt="none", **request).headers["location"])


def test_a_question_is_answered_in_the_browser_that_asked(sign_ons: SignOns, member: System) -> None:
    """Nobody consents for another."""
    page = asked(sign_ons, sign_ons.visitor(), member)
    form = page.text.partition('name="form" value="')[2].partition('"')[0]
    stranger = sign_ons.visitor()
    sign_ons.code(stranger, "berta")
    assert stranger.post("/oauth2/consent", form=form, decision="allow").status_code == httpx.codes.BAD_REQUEST


def test_a_code_of_a_member_is_its_own(sign_ons: SignOns, member: System) -> None:
    """Another system's proof, the console's secret, or none gets nothing for it."""
    visitor = sign_ons.visitor()
    code = answered(visitor, asked(sign_ons, visitor, member), "allow")["code"]
    other = sign_ons.mesh.register(sign_ons.organisation, "thief", "system")
    allow(sign_ons, other)
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": BACK, "code_verifier": visitor.verifier}
    answer = sign_ons.mesh.http.post("/oauth2/token", data=form | {"client_id": member.name})
    assert answer.json()["error"] == "invalid_client"
    assert redeemed(sign_ons, visitor, other, code).json()["error"] == "invalid_grant"
    assert sign_ons.redeem(visitor, code).json()["error"] == "invalid_grant"


def test_a_program_without_a_key_proves_itself_by_pkce(sign_ons: SignOns) -> None:
    """A public client gets tokens for its verifier alone, and they end with the session."""
    client = sign_ons.mesh.register(sign_ons.organisation, "desktop", "system")
    allow(sign_ons, client, public=True)
    visitor = sign_ons.visitor()
    code = answered(visitor, asked(sign_ons, visitor, client), "allow")["code"]
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": BACK, "code_verifier": visitor.verifier}
    tokens = sign_ons.mesh.http.post("/oauth2/token", data=form | {"client_id": client.name}).json()
    renewed = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], "client_id": client.name}
    newest = sign_ons.mesh.http.post("/oauth2/token", data=renewed).json()
    visitor.post("/oauth2/logout", confirmed="yes")
    renewed["refresh_token"] = newest["refresh_token"]
    assert sign_ons.mesh.http.post("/oauth2/token", data=renewed).json()["error"] == "invalid_grant"


def test_a_suspended_system_is_no_client(sign_ons: SignOns) -> None:
    """Nobody signs on to it, and what it holds is good for nothing."""
    client = sign_ons.mesh.register(sign_ons.organisation, "gone", "system")
    allow(sign_ons, client)
    visitor = sign_ons.visitor()
    code = answered(visitor, asked(sign_ons, visitor, client), "allow")["code"]
    tokens = redeemed(sign_ons, visitor, client, code).json()
    operator = sign_ons.mesh.as_(sign_ons.mesh.operator)
    sign_ons.mesh.systems.SuspendSystem(pb.SuspendSystemRequest(name=client.name), metadata=operator)
    answer = visitor.authorize(client_id=client.name, redirect_uri=BACK)
    assert (answer.status_code, "location" in answer.headers) == (400, False)
    headers = {"authorization": f"Bearer {tokens['access_token']}"}
    userinfo = partial(sign_ons.mesh.http.get, "/oauth2/userinfo", headers=headers)
    wait_until(lambda: userinfo().status_code == httpx.codes.UNAUTHORIZED, "its token goes on")


@pytest.mark.parametrize(
    "address",
    [
        "http://member.example/",
        "https://member.example/#fragment",
        "https://user@member.example/",
        "https://member.example/ x",
        "javascript:alert(1)",
        "http://localhost:8000/",
    ],
)
def test_only_addresses_that_are_safe_can_be_registered(sign_ons: SignOns, member: System, address: str) -> None:
    """https, or this machine by its address; nothing that could end a header or start a script."""
    assert Refused.by(lambda: allow(sign_ons, member, back=address)).reason == "INPUT_INVALID"


def test_addresses_change_with_their_etag(sign_ons: SignOns) -> None:
    """What is set is read, once more is no change, and an old etag is refused."""
    client = sign_ons.mesh.register(sign_ons.organisation, "changing", "system")
    first = allow(sign_ons, client)
    assert (list(first.redirect_uris), list(first.post_logout_redirect_uris)) == ([BACK], [AFTER])
    assert allow(sign_ons, client).etag == first.etag
    assert allow(sign_ons, client, back=f"{BACK}/2").etag != first.etag
    request = pb.SetSystemSignOnRequest(name=client.name, etag=first.etag)
    operator = sign_ons.mesh.as_(sign_ons.mesh.operator)
    stale = Refused.by(lambda: sign_ons.mesh.systems.SetSystemSignOn(request, metadata=operator))
    assert stale.reason == "STALE"
