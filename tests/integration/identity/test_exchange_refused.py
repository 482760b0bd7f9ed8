"""What token exchange refuses, over HTTP: whatever is wrong with a token, nobody learns what, and nothing is kept."""

import base64
import json
import time
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from joserfc.jwk import ECKey, OctKey, RSAKey
from verbund.identity.v1 import organisation_service_pb2 as organisations_pb
from verbund.identity.v1 import person_service_pb2 as people_pb
from verbund.identity.v1 import provider_service_pb2 as pb
from verbund.identity.v1 import system_service_pb2 as systems_pb

from tests.integration.identity.mesh import ASSERTION_TYPE, ISSUER, Refused
from tests.integration.identity.signing_in import ACCESS_TOKEN, ID_TOKEN, JWT, SignIns
from tests.support.home_provider import CLIENT, signed

REFUSED = {
    "error": "invalid_grant",
    "error_description": "the subject token is not one that this mesh accepts",
}
OTHER_KEY = RSAKey.generate_key(2048, auto_kid=True)
NOW = time.time


@pytest.fixture(scope="module", autouse=True)
def others(sign_ins: SignIns) -> None:
    """Beside CityLAB's provider there are one with other keys, a draft, and a suspended one."""
    sign_ins.home.publish(OTHER_KEY, at="other")
    sign_ins.activate(sign_ins.draft("other", organisation="organisations/bezirksamt", at="other"), key=OTHER_KEY)
    sign_ins.home.publish(at="draft")
    sign_ins.draft("draft", at="draft")
    sign_ins.home.publish(at="suspended")
    sign_ins.suspend(sign_ins.activate(sign_ins.draft("suspended", at="suspended")).name)
    sign_ins.home.publish(at="strict")
    required = {"tenant": "citylab"}
    sign_ins.activate(sign_ins.draft("strict", at="strict", required_claims=required), tenant="citylab")


def unsigned(sign_ins: SignIns) -> str:
    """A token that says it needs no signature."""
    _, payload, _ = sign_ins.home.token().split(".")
    return f"{text({'alg': 'none', 'typ': 'JWT'})}.{payload}."


def by_public_key(sign_ins: SignIns) -> str:
    """A token whose MAC key is the provider's public key, which everybody has."""
    content = json.dumps(sign_ins.home.key.as_dict(private=False))
    return sign_ins.home.token(key=OctKey.import_key(content), header={"kid": sign_ins.home.key.kid})


def altered(sign_ins: SignIns) -> str:
    """A token of Anna that says Berta."""
    header, payload, signature = sign_ins.home.token("anna").split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return f"{header}.{text(claims | {'sub': 'berta'})}.{signature}"


def text(content: Any) -> str:
    """JSON in base64url."""
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


def deep(sign_ins: SignIns) -> str:
    """A token of five thousand lists within each other, as deep as 8 KiB allow."""
    key = sign_ins.home.key
    return signed({"alg": "RS256", "kid": key.kid}, '{"sub":' + "[" * 2500 + "]" * 2500 + "}", key)


def hostile(make: Callable[[SignIns], str], name: str) -> Any:
    return pytest.param(make, id=name)


def claiming(name: str, /, **claims: Any) -> Any:
    """A token that is right but for some claims."""
    return hostile(lambda s: s.home.token("mallory", **claims), name)


HOSTILE = [
    claiming("another audience", aud="elsewhere"),
    claiming("no audience", aud=None),
    claiming("audience of a wrong type", aud=7),
    claiming("an empty list of audiences", aud=[]),
    claiming("two audiences, none authorised", aud=[CLIENT, "elsewhere"]),
    claiming("two audiences, another authorised", aud=[CLIENT, "elsewhere"], azp="elsewhere"),
    claiming("one audience, another authorised", azp="elsewhere"),
    claiming("two audiences, an authorised one of a wrong type", aud=[CLIENT, 7], azp=7),
    claiming("another issuer", iss="https://elsewhere.example"),
    claiming("no issuer", iss=None),
    claiming("issuer of a wrong type", iss=["https://elsewhere.example"]),
    claiming("the mesh as the issuer", iss=ISSUER),
    claiming("a U+0000 in the issuer", iss="https://a\0b"),
    hostile(lambda s: s.home.token(iss=s.home.issuer() + "/"), "issuer with a slash more"),
    hostile(lambda s: s.home.token(iss=s.home.issuer("other")), "another organisation's issuer, this one's key"),
    hostile(lambda s: s.home.token(key=OTHER_KEY), "this issuer, another provider's key"),
    hostile(lambda s: s.home.token(key=OTHER_KEY, header={"kid": s.home.key.kid}), "another provider's key as ours"),
    hostile(lambda s: s.home.token(at="draft"), "a provider that is a draft"),
    hostile(lambda s: s.home.token(at="suspended"), "a provider that is suspended"),
    hostile(lambda s: s.home.token(at="unknown"), "a provider that nobody registered"),
    hostile(lambda s: s.home.token(at="strict"), "a required claim is missing"),
    hostile(lambda s: s.home.token(at="strict", tenant="other"), "a required claim says something else"),
    hostile(lambda s: s.home.token(at="strict", tenant=["citylab"]), "a required claim of a wrong type"),
    claiming("expired", exp=int(NOW()) - 1),
    claiming("without end", exp=None),
    claiming("an end of a wrong type", exp="2099-01-01"),
    claiming("an endless end", exp=10**400),
    claiming("an end that is true", exp=True),
    claiming("good for a month", exp=int(NOW()) + 30 * 86_400),
    claiming("without a beginning", iat=None),
    claiming("issued in the future", iat=int(NOW()) + 3600, exp=int(NOW()) + 7200),
    claiming("not good yet", nbf=int(NOW()) + 3600),
    claiming("a beginning of a wrong type", nbf="now"),
    claiming("no subject", sub=None),
    claiming("an empty subject", sub=""),
    claiming("a subject of a wrong type", sub=7),
    claiming("a subject of 256 characters", sub="x" * 256),
    claiming("a U+0000 in the subject", sub="a\0b"),
    claiming("a name of 300 characters", name="x" * 300),
    claiming("a name with a line's end", name="Mallory\nAdministrator"),
    claiming("a name that is turned around", name="\u202emallory"),
    claiming("a name of a wrong type", name={"first": "M"}),
    claiming("an address of 300 characters", email="x" * 300),
    claiming("roles of a wrong type", roles={"staff": True}),
    claiming("roles that are not texts", roles=["staff", 7]),
    claiming("two thousand roles", roles=["staff"] * 2_000),
    claiming("more roles than anybody has", roles=["s"] * 600),
    claiming("no role that is mapped", roles=["stranger"]),
    claiming("the mesh's own roles", roles=["operator", "system", "admin"]),
    claiming("an acr of a wrong type", acr=3),
    claiming("a logout token", events={"http://schemas.openid.net/event/backchannel-logout": {}}),
    hostile(lambda s: s.home.token(header={"typ": "logout+jwt"}), "a typ of a logout token"),
    hostile(lambda s: s.home.token(header={"typ": "at+jwt"}), "an access token as an ID token"),
    hostile(lambda s: s.home.token(header={"typ": 7}), "a typ of a wrong type"),
    hostile(lambda s: s.home.token(header={"kid": "unknown"}), "an unknown kid"),
    hostile(lambda s: s.home.token(header={"kid": 7}), "a kid of a wrong type"),
    hostile(lambda s: s.home.token(header={"crit": ["exp"]}), "a critical extension"),
    hostile(lambda s: s.home.token(header={"alg": "RS384"}), "RS384"),
    hostile(lambda s: s.home.token(header={"alg": "ES256"}), "another kind of algorithm than the key's"),
    hostile(lambda s: s.home.token(header={"alg": ["RS256"]}), "an algorithm of a wrong type"),
    hostile(
        lambda s: s.home.token(header={"alg": "RS256", "jwk": OTHER_KEY.as_dict(private=False)}, key=OTHER_KEY),
        "a key that it brings itself",
    ),
    hostile(unsigned, "alg none"),
    hostile(by_public_key, "HS256 with the public key"),
    hostile(altered, "an altered payload"),
    hostile(deep, "deep JSON"),
    hostile(lambda s: s.home.token()[:-6], "a shortened signature"),
    hostile(lambda s: s.home.token() + ".x", "a part too many"),
    hostile(lambda s: s.home.token(filler="x" * 9000), "a token of more than 8 KiB"),
    hostile(lambda _: "nonsense", "no JWT"),
    hostile(lambda _: "äöü", "not ASCII"),
    hostile(lambda _: "..", "nothing between the dots"),
    hostile(lambda s: signed({"alg": "RS256"}, "[]", s.home.key), "a list"),
    hostile(lambda s: s.mesh.token(s.administrator("organisations/citylab")), "a token of the mesh itself"),
]


@pytest.mark.parametrize("make", HOSTILE)
def test_what_is_not_a_good_token_is_refused_alike(sign_ins: SignIns, make: Callable[[SignIns], str]) -> None:
    """One status, one error, one sentence; and nobody is entered."""
    before = people(sign_ins)
    answer = sign_ins.exchange(make(sign_ins))
    assert (answer.status_code, answer.json()) == (400, REFUSED)
    assert people(sign_ins) == before


def test_ten_thousand_roles_are_not_even_read(sign_ins: SignIns) -> None:
    """A form is as large as forms are."""
    answer = sign_ins.exchange(sign_ins.home.token(roles=["staff"] * 10_000))
    assert (answer.status_code, answer.json()["error"]) == (413, "invalid_request")


def people(sign_ins: SignIns) -> int:
    """How many people there are."""
    with psycopg.connect(sign_ins.mesh.dsn, user="postgres") as connection:
        row = connection.execute("SELECT count(*) FROM identity.people").fetchone()
    assert row is not None
    return int(row[0])


def test_nothing_of_a_refused_token_is_logged(sign_ins: SignIns, capsys: pytest.CaptureFixture[str]) -> None:
    """The log says which check failed, and quotes no claim."""
    token = sign_ins.home.token("verysecretsubject", aud="verysecretaudience", name="Verysecret Name")
    assert sign_ins.exchange(token).status_code == 400
    written = capsys.readouterr().out.lower()
    assert "fault=issuer" in written
    assert "verysecret" not in written
    assert token.lower()[:40] not in written


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"subject_token": None}, "invalid_request"),
        ({"subject_token": ""}, "invalid_request"),
        ({"subject_token": ["a.b.c", "a.b.c"]}, "invalid_request"),
        ({"subject_token_type": None}, "invalid_request"),
        ({"subject_token_type": "urn:ietf:params:oauth:token-type:saml2"}, "invalid_request"),
        ({"subject_token_type": "urn:ietf:params:oauth:token-type:refresh_token"}, "invalid_request"),
        ({"requested_token_type": ID_TOKEN}, "invalid_request"),
        ({"requested_token_type": JWT}, "invalid_request"),
        ({"actor_token": "a.b.c"}, "invalid_request"),
        ({"actor_token_type": ACCESS_TOKEN}, "invalid_request"),
        ({"scope": "openid"}, "invalid_scope"),
        ({"audience": "elsewhere"}, "invalid_target"),
        ({"resource": "https://elsewhere.example"}, "invalid_target"),
        ({"audience": ["verbund", "elsewhere"]}, "invalid_request"),
        ({"client_id": "another"}, "invalid_grant"),
    ],
)
def test_what_is_asked_for_besides_is_refused(sign_ins: SignIns, fields: dict[str, Any], error: str) -> None:
    """It is never ignored: whoever asks for less would get more."""
    answer = sign_ins.exchange(sign_ins.home.token(), **fields)
    assert (answer.status_code, answer.json()["error"]) == (400, error)


@pytest.mark.parametrize(
    "fields",
    [
        {"client_secret": "x"},
        {"client_assertion": "a.b.c"},
        {"client_assertion_type": ASSERTION_TYPE},
        {"client_assertion": "a.b.c", "client_assertion_type": ASSERTION_TYPE},
    ],
)
def test_a_client_that_means_to_prove_itself_must(sign_ins: SignIns, fields: dict[str, str]) -> None:
    """A wrong proof is not treated as none."""
    answer = sign_ins.exchange(sign_ins.home.token(), **fields)
    assert (answer.status_code, answer.json()) == (401, {"error": "invalid_client"})


def test_a_system_of_another_organisation_gets_nobodys_token(sign_ins: SignIns) -> None:
    """It proved who it is; the person is not one of its organisation."""
    other = sign_ins.administrator("organisations/bezirksamt")
    proof = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": other.assertion()}
    answer = sign_ins.exchange(sign_ins.home.token("nobody-yet"), **proof)
    assert (answer.status_code, answer.json()) == (400, REFUSED)


def test_the_same_subject_of_two_providers_is_two_people(sign_ins: SignIns) -> None:
    """Whoever names their people alike does not get another's."""
    at_home, elsewhere = sign_ins.principal("anna"), sign_ins.principal("anna", at="other", key=OTHER_KEY)
    assert at_home.subject != elsewhere.subject
    assert (at_home.organisation, elsewhere.organisation) == ("organisations/citylab", "organisations/bezirksamt")


def test_a_suspended_provider_ends_its_peoples_tokens(sign_ins: SignIns) -> None:
    """At once, and no others'; when it is active again its people get new ones."""
    sign_ins.home.publish(at="fickle")
    active = sign_ins.activate(sign_ins.draft("fickle", at="fickle"))
    token, other = sign_ins.token(at="fickle"), sign_ins.token()
    assert sign_ins.mesh.goes_on(token)
    sign_ins.suspend(active.name)
    sign_ins.mesh.ends(token)
    assert sign_ins.mesh.accepts(other)
    assert sign_ins.exchange(sign_ins.home.token(at="fickle")).json() == REFUSED
    sign_ins.activate(active)
    assert sign_ins.mesh.goes_on(sign_ins.token(at="fickle"))
    assert not sign_ins.mesh.accepts(token)


def test_a_suspended_organisation_ends_its_peoples_tokens(sign_ins: SignIns) -> None:
    """Nobody signs in, and nobody who did goes on."""
    sign_ins.home.publish(at="closing")
    organisation = "organisations/closing"
    sign_ins.activate(sign_ins.draft("home", organisation=organisation, at="closing"))
    token = sign_ins.token(at="closing")
    operator = sign_ins.mesh.as_(sign_ins.mesh.operator)
    request = organisations_pb.SuspendOrganisationRequest(name=organisation)
    sign_ins.mesh.organisations.SuspendOrganisation(request, metadata=operator)
    sign_ins.mesh.ends(token)
    assert sign_ins.exchange(sign_ins.home.token(at="closing")).json() == REFUSED
    resume = organisations_pb.ResumeOrganisationRequest(name=organisation)
    sign_ins.mesh.organisations.ResumeOrganisation(resume, metadata=operator)
    assert sign_ins.mesh.goes_on(sign_ins.token(at="closing"))


def test_a_suspended_system_ends_the_tokens_that_it_was_given(sign_ins: SignIns) -> None:
    """A person's token in its hands ends with its own; the person's others do not."""
    portal = sign_ins.mesh.register(sign_ins.organisation, "portal", "system")

    def given() -> str:
        proof = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": portal.assertion()}
        return str(sign_ins.exchange(sign_ins.home.token(), **proof).json()["access_token"])

    token, other = given(), sign_ins.token()
    assert sign_ins.mesh.goes_on(token)
    name = {"name": portal.name}
    sign_ins.mesh.systems.SuspendSystem(systems_pb.SuspendSystemRequest(**name), metadata=sign_ins.as_admin())
    sign_ins.mesh.ends(token)
    assert sign_ins.mesh.accepts(other)
    sign_ins.mesh.systems.ResumeSystem(systems_pb.ResumeSystemRequest(**name), metadata=sign_ins.as_admin())
    assert sign_ins.mesh.goes_on(given())
    assert not sign_ins.mesh.accepts(token)


def test_an_erased_person_is_gone_and_comes_back_as_somebody_else(sign_ins: SignIns) -> None:
    """Row and tokens end; what was done stays under a name that leads nowhere; a new sign-in draws a new one."""
    token = sign_ins.token("erna")
    name = sign_ins.mesh.verifier.verify(token).subject
    request = people_pb.ErasePersonRequest(name=name, request_id="9f3b8f1c-6f0f-4a38-9d0e-2f43a1b7f001")
    administrator = sign_ins.as_admin()
    for _ in range(2):
        sign_ins.people.ErasePerson(request, metadata=administrator)
    sign_ins.mesh.ends(token)
    refused = Refused.by(lambda: sign_ins.person(name, administrator))
    assert (refused.reason, refused.metadata["resource"]) == ("NOT_FOUND", name)
    again = sign_ins.token("erna")
    assert sign_ins.mesh.goes_on(again)
    assert sign_ins.mesh.verifier.verify(again).subject != name
    with psycopg.connect(sign_ins.mesh.dsn, user="postgres") as connection:
        leaves = [json.loads(bytes(leaf)) for (leaf,) in connection.execute("SELECT leaf FROM evidence.intents")]
    kinds = [leaf["type"] for leaf in leaves]
    assert kinds.count("identity.person.erased") == 1
    assert "identity.provider.activated" in kinds
    assert not [leaf for leaf in leaves if "erna" in json.dumps(leaf).lower()]


@pytest.mark.parametrize("which", ["caseworker", "stranger", "operator"])
def test_who_people_are_is_nobody_elses_business(sign_ins: SignIns, which: str) -> None:
    """A colleague, another organisation's administrator and the operator learn nothing, and erase nobody."""
    name = sign_ins.principal("frieda").subject
    metadata = {
        "caseworker": lambda: sign_ins.as_person("anna"),
        "stranger": lambda: sign_ins.as_admin("organisations/bezirksamt"),
        "operator": lambda: sign_ins.mesh.as_(sign_ins.mesh.operator),
    }[which]()
    assert Refused.by(lambda: sign_ins.person(name, metadata)).reason == "NOT_FOUND"
    erasing = Refused.by(
        lambda: sign_ins.people.ErasePerson(people_pb.ErasePersonRequest(name=name), metadata=metadata)
    )
    assert erasing.reason == ("PERMISSION_MISSING" if which == "caseworker" else "NOT_FOUND")
    listing = people_pb.ListPeopleRequest(parent=sign_ins.organisation)
    if which == "caseworker":
        assert Refused.by(lambda: sign_ins.people.ListPeople(listing, metadata=metadata)).reason == "PERMISSION_MISSING"
    else:
        assert not sign_ins.people.ListPeople(listing, metadata=metadata).people
    assert sign_ins.person(name, sign_ins.as_admin()).display_name == "Frieda"


def test_a_dry_run_tells_an_administrator_why_and_keeps_nothing(sign_ins: SignIns) -> None:
    """What the token endpoint never says is said here, without a claim's value."""
    before = people(sign_ins)
    home = "organisations/citylab/providers/home"
    good = sign_ins.test(home, sign_ins.home.token("tried", acr="gold"))
    assert (good.fault, good.display_name, list(good.roles), good.assurance) == (0, "Tried", ["caseworker"], 3)
    for token, fault in (
        (sign_ins.home.token(exp=1), pb.TOKEN_FAULT_EXPIRED),
        (sign_ins.home.token(aud="elsewhere"), pb.TOKEN_FAULT_AUDIENCE),
        (sign_ins.home.token(at="other"), pb.TOKEN_FAULT_ISSUER),
        (sign_ins.home.token(roles=["stranger"]), pb.TOKEN_FAULT_ROLES),
        (sign_ins.home.token(key=ECKey.generate_key("P-256", auto_kid=True)), pb.TOKEN_FAULT_KEY),
        (altered(sign_ins), pb.TOKEN_FAULT_SIGNATURE),
        (unsigned(sign_ins), pb.TOKEN_FAULT_ALGORITHM),
        ("nonsense", pb.TOKEN_FAULT_MALFORMED),
    ):
        told = sign_ins.test(home, token)
        assert told.fault == fault
        assert told.description
        assert "stranger" not in told.description
    assert people(sign_ins) == before
