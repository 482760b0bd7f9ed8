"""Token exchange (RFC 8693) over HTTP: whoever signed in at home gets a token of the mesh."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import psycopg
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OKPKey, RSAKey
from verbund.identity.v1 import person_service_pb2 as people_pb
from verbund.identity.v1 import provider_service_pb2 as pb
from verbund.policy.v1 import policy_pb2

from tests.integration.identity.mesh import ASSERTION_TYPE, ISSUER
from tests.integration.identity.signing_in import ACCESS_TOKEN, ID_TOKEN, JWT, SignIns
from tests.support.home_provider import CLIENT, HomeProvider, Key


def claims_of(sign_ins: SignIns, token: str) -> dict[str, object]:
    """The claims of a token of the mesh, verified with its published keys."""
    keys = KeySet.import_key_set(json.loads((sign_ins.mesh.published / "jwks.json").read_bytes()))
    read = jwt.decode(token, keys, algorithms=["ES256"])
    assert read.header["typ"] == "at+jwt"
    return read.claims


def test_a_person_gets_a_token_that_says_nothing_about_them(sign_ins: SignIns) -> None:
    """An at+jwt with a pseudonym, what they may do and how sure that is: no name, no address, no name from home."""
    answer = sign_ins.exchange(sign_ins.home.token("anna", acr="gold"))
    body = answer.json()
    token = body.pop("access_token")
    assert body == {"issued_token_type": ACCESS_TOKEN, "token_type": "Bearer", "expires_in": 300}
    claims = claims_of(sign_ins, token)
    name = str(claims["sub"])
    assert name.startswith("organisations/citylab/people/")
    assert len(name.rpartition("/")[2]) == 26
    assert {key: claims[key] for key in claims.keys() - {"iat", "exp", "jti", "sub"}} == {
        "iss": ISSUER,
        "aud": "verbund",
        "client_id": CLIENT,
        "org": "organisations/citylab",
        "roles": ["caseworker"],
        "acr": "high",
        "idp": "organisations/citylab/providers/home",
    }
    principal = sign_ins.mesh.verifier.verify(token)
    assert (principal.person, principal.system) == (name, None)
    assert principal.assurance == policy_pb2.ASSURANCE_HIGH


def test_a_pseudonym_is_stable_and_follows_changes(sign_ins: SignIns) -> None:
    """The same person has one name for ever; what home says about them is kept as it says it now."""
    first = sign_ins.principal("berta")
    again = sign_ins.principal("berta", name="Berta Neu", email=None)
    assert first.subject == again.subject != sign_ins.principal("carla").subject
    found = sign_ins.person(first.subject, sign_ins.as_admin())
    assert (found.display_name, found.email, found.home_subject) == ("Berta Neu", "", "berta")
    assert found.provider == "organisations/citylab/providers/home"
    assert found.create_time.ToDatetime() < found.update_time.ToDatetime()


def test_many_first_sign_ins_at_once_are_one_person(sign_ins: SignIns) -> None:
    """Whoever comes first draws the name; the others get it too."""
    # The provider's keys are here already: only a few requests may wait for them, the others are told to come again.
    assert sign_ins.exchange(sign_ins.home.token("first")).status_code == 200
    token = sign_ins.home.token("dora")
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: sign_ins.exchange(token), range(32)))
    assert {answer.status_code for answer in answers} == {200}
    names = {claims_of(sign_ins, answer.json()["access_token"])["sub"] for answer in answers}
    assert len(names) == 1


def test_a_known_person_costs_no_write(sign_ins: SignIns) -> None:
    """The second sign-in of a person leaves their row as it was."""
    token = sign_ins.home.token("emma")
    assert sign_ins.exchange(token).status_code == httpx.codes.OK

    def written() -> tuple[int, ...]:
        with psycopg.connect(sign_ins.mesh.dsn, user="postgres") as connection:
            row = connection.execute(
                "SELECT xmin::text::bigint, ctid::text FROM identity.people WHERE home_subject = 'emma'"
            ).fetchone()
            assert row is not None
            return tuple(row)

    before = written()
    assert sign_ins.exchange(token).status_code == httpx.codes.OK
    assert written() == before


def test_a_token_does_not_outlive_the_one_it_was_given_for(sign_ins: SignIns) -> None:
    """Whoever is signed out at home in a minute is so in the mesh."""
    answer = sign_ins.exchange(sign_ins.home.token("anna", exp=int(time.time()) + 60))
    assert 50 <= answer.json()["expires_in"] <= 60
    claims = claims_of(sign_ins, answer.json()["access_token"])
    assert float(str(claims["exp"])) <= time.time() + 60


@pytest.mark.parametrize(
    ("key", "header"),
    [
        (RSAKey.generate_key(2048, auto_kid=True), {"alg": "RS256"}),
        (RSAKey.generate_key(3072, auto_kid=True), {"alg": "PS256"}),
        (ECKey.generate_key("P-256", auto_kid=True), {"alg": "ES256"}),
        (OKPKey.generate_key("Ed25519", auto_kid=True), {"alg": "Ed25519"}),
        (OKPKey.generate_key("Ed25519", auto_kid=True), {"alg": "EdDSA"}),
    ],
    ids=["RS256", "PS256", "ES256", "Ed25519", "EdDSA"],
)
def test_each_algorithm_is_taken(sign_ins: SignIns, key: Key, header: dict[str, str]) -> None:
    """A provider may sign with any of them; the keys are found by discovery."""
    name = header["alg"].lower()
    sign_ins.home.publish(key, at=name)
    active = sign_ins.activate(sign_ins.draft(name, at=name), key=key, header=header)
    assert active.state == pb.PROVIDER_STATE_ACTIVE
    assert sign_ins.principal(at=name, key=key, header=header).provider == active.name


def test_each_kind_of_token_is_taken_under_its_name(sign_ins: SignIns) -> None:
    """ID tokens, access tokens that are JWTs, and JWTs; an access token is no ID token."""
    token = sign_ins.home.token(header={"typ": "at+jwt"})
    for kind in (ACCESS_TOKEN, JWT):
        assert sign_ins.exchange(token, subject_token_type=kind).status_code == httpx.codes.OK
    assert sign_ins.exchange(token, subject_token_type=ID_TOKEN).status_code == httpx.codes.BAD_REQUEST
    for kind in (ACCESS_TOKEN, JWT, ID_TOKEN):
        assert sign_ins.exchange(sign_ins.home.token(), subject_token_type=kind).status_code == httpx.codes.OK


def test_several_audiences_need_the_authorised_party(sign_ins: SignIns) -> None:
    """OpenID Connect Core, 3.1.3.7: of several `azp` says whom the token was made for."""
    good = sign_ins.home.token(aud=["account", CLIENT], azp=CLIENT)
    assert sign_ins.exchange(good).status_code == httpx.codes.OK


def test_roles_may_lie_in_an_object_and_everybody_may_have_some(sign_ins: SignIns) -> None:
    """As Keycloak writes them; what is not mapped gives nothing, and the order is the mesh's."""
    sign_ins.home.publish(at="nested")
    sign_ins.activate(
        sign_ins.draft(
            "nested",
            at="nested",
            roles_claim="realm_access.roles",
            role_mappings=[pb.RoleMapping(value="boss", role="approver"), pb.RoleMapping(value="boss", role="admin")],
            default_roles=["viewer"],
        )
    )
    nested: dict[str, Any] = {"realm_access": {"roles": ["boss", "operator", "system"]}}
    assert claims_of(sign_ins, sign_ins.token(at="nested", **nested))["roles"] == ["admin", "approver", "viewer"]
    plain = claims_of(sign_ins, sign_ins.token(at="nested"))
    assert (plain["roles"], plain["acr"]) == (["viewer"], "low")


def test_a_system_of_the_organisation_acts_as_the_client(sign_ins: SignIns) -> None:
    """RFC 8693, section 4.1: the token says whose it is, and who got it."""
    portal = sign_ins.administrator("organisations/citylab")
    proof = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": portal.assertion()}
    answer = sign_ins.exchange(sign_ins.home.token("anna"), **proof)
    claims = claims_of(sign_ins, answer.json()["access_token"])
    assert (claims["client_id"], claims["act"], claims["sub"]) == (
        portal.name,
        {"sub": portal.name},
        sign_ins.principal("anna").subject,
    )
    assert "sys" not in claims
    again = sign_ins.exchange(sign_ins.home.token("anna"), **proof)
    assert (again.status_code, again.json()) == (401, {"error": "invalid_client"})


def test_the_mesh_may_be_named_as_the_target(sign_ins: SignIns) -> None:
    """By its audience or its issuer; the client may name itself."""
    for fields in (
        {"audience": "verbund"},
        {"audience": ISSUER},
        {"resource": ISSUER},
        {"client_id": CLIENT},
        {"requested_token_type": ACCESS_TOKEN},
    ):
        assert sign_ins.exchange(sign_ins.home.token(), **fields).status_code == httpx.codes.OK


def test_a_new_key_of_the_provider_is_found(sign_ins: SignIns) -> None:
    """An unknown `kid` is asked for, at once where nobody asked within ten seconds."""
    key, new = RSAKey.generate_key(2048, auto_kid=True), ECKey.generate_key("P-256", auto_kid=True)
    sign_ins.home.publish(key, at="turning")
    draft = sign_ins.draft("turning", at="turning")
    assert sign_ins.test(draft.name, sign_ins.home.token(at="turning", key=key)).fault == 0
    sign_ins.home.publish(key, new, at="turning")
    assert sign_ins.test(draft.name, sign_ins.home.token(at="turning", key=new)).fault == pb.TOKEN_FAULT_KEY
    asked = sign_ins.home.asked.count("/turning/keys")
    assert asked == 1, "an unknown kid may not have a provider asked without end"


def test_nothing_about_a_person_lies_elsewhere(sign_ins: SignIns) -> None:
    """Every row of every other table of the area is searched for what their provider said."""
    sign_ins.token("zacharias", name="Zacharias Zimt", email="zimt@example.org")
    with psycopg.connect(sign_ins.mesh.dsn, user="postgres") as connection:
        tables = [
            row[0]
            for row in connection.execute(
                "SELECT schemaname || '.' || tablename FROM pg_tables WHERE schemaname IN ('identity', 'evidence')"
            )
        ]
        found = {
            table
            for table in tables
            for (text,) in connection.execute(f"SELECT t::text FROM {table} t")  # noqa: S608
            if "imt" in text or "zacharias" in text.lower()
        }
    assert found == {"identity.people"}


def test_who_am_i(sign_ins: SignIns) -> None:
    """A person and a system learn who they are in the mesh and what they may do, and nothing else."""
    caller = sign_ins.caller(sign_ins.as_person("anna", acr="silver"))
    assert caller.subject == caller.person == sign_ins.principal("anna").subject
    assert (caller.organisation, caller.system, list(caller.roles)) == ("organisations/citylab", "", ["caseworker"])
    assert caller.assurance == policy_pb2.ASSURANCE_SUBSTANTIAL
    assert list(caller.permissions) == sorted(caller.permissions)
    assert "registry.projects.read" in caller.permissions
    assert "identity.people.read" not in caller.permissions
    assert caller.expire_time.seconds > time.time() + 200
    administrator = sign_ins.caller(sign_ins.as_admin())
    assert (administrator.person, administrator.system) == ("", "organisations/citylab/systems/administration")
    assert "identity.people.read" in administrator.permissions


def test_a_person_acts_by_their_roles(sign_ins: SignIns, home: HomeProvider) -> None:
    """A caseworker reads themselves and lists nobody."""
    assert home
    anna = sign_ins.as_person("anna")
    name = sign_ins.principal("anna").subject
    assert sign_ins.person(name, anna).display_name == "Anna"
    listed = sign_ins.people.ListPeople(
        people_pb.ListPeopleRequest(parent=sign_ins.organisation, page_size=2), metadata=sign_ins.as_admin()
    )
    assert len(listed.people) == 2
    assert listed.next_page_token
