"""The token endpoint over HTTP: who proves to be a system gets a token, and nobody else learns why not."""

import base64
import json
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import httpx
import psycopg
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OctKey, OKPKey, RSAKey
from verbund.identity.v1 import organisation_service_pb2 as organisations_pb
from verbund.identity.v1 import system_service_pb2 as systems_pb

from tests.integration.identity.mesh import ASSERTION_TYPE, ISSUER, TOKEN_URL, Mesh, System

REFUSED = (401, {"error": "invalid_client"})


@pytest.fixture(scope="module")
def portal(mesh: Mesh) -> System:
    """A partner's system."""
    return mesh.register(mesh.admit("citylab"), "portal", "caseworker")


def keys_of(mesh: Mesh) -> KeySet:
    """The published keys."""
    return KeySet.import_key_set(json.loads((mesh.published / "jwks.json").read_bytes()))


def asked(mesh: Mesh, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
    """Status and body of a token request."""
    answer = mesh.http.post("/oauth2/token", data=form)
    assert answer.headers["cache-control"] == "no-store"
    return answer.status_code, answer.json()


def test_a_system_gets_a_token_that_the_mesh_accepts(mesh: Mesh, portal: System) -> None:
    """An at+jwt (RFC 9068) that the published keys verify, with what gateway and services decide by."""
    answer = mesh.http.post("/oauth2/token", data=portal.form())
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert {name: body[name] for name in ("token_type", "expires_in")} == {"token_type": "Bearer", "expires_in": 300}
    read = jwt.decode(body["access_token"], keys_of(mesh), algorithms=["ES256"])
    assert (read.header["typ"], read.header["alg"]) == ("at+jwt", "ES256")
    claims = read.claims
    assert abs(claims["iat"] - time.time()) < 10
    assert claims["exp"] - claims["iat"] == 300
    assert len(claims["jti"]) >= 20
    assert {name: claims[name] for name in claims.keys() - {"iat", "exp", "jti"}} == {
        "iss": ISSUER,
        "aud": "verbund",
        "sub": portal.name,
        "client_id": portal.name,
        "org": "organisations/citylab",
        "sys": portal.name,
        "roles": ["caseworker"],
        "acr": "substantial",
    }
    principal = mesh.verifier.verify(body["access_token"])
    assert (principal.system, principal.roles) == (portal.name, frozenset({"caseworker"}))


@pytest.mark.parametrize(
    "key", [OKPKey.generate_key("Ed25519"), RSAKey.generate_key(2048)], ids=lambda key: str(key.key_type)
)
def test_each_kind_of_key_gets_a_token(mesh: Mesh, portal: System, key: OKPKey | RSAKey) -> None:
    """EC is tried everywhere else."""
    system = mesh.register(portal.organisation, f"portal-{key.key_type.lower()}", key=key)
    assert mesh.verifier.verify(mesh.token(system)).system == system.name


def test_a_request_made_by_hand_after_the_standards_is_understood(mesh: Mesh, portal: System) -> None:
    """RFC 7523 and RFC 6749 with nothing but a curve, base64 and a form: no library of ours on the client's side."""
    private = ec.derive_private_key(
        int.from_bytes(decoded(str(portal.key.as_dict(private=True)["d"])), "big"), ec.SECP256R1()
    )
    metadata = mesh.http.get("/.well-known/oauth-authorization-server").json()
    now = int(time.time())
    claims = {
        "iss": portal.name,
        "sub": portal.name,
        "aud": metadata["issuer"],
        "jti": str(uuid.uuid4()),
        "exp": now + 30,
    }
    signing_input = (
        f"{encoded(json.dumps({'alg': 'ES256', 'typ': 'JWT'}).encode())}.{encoded(json.dumps(claims).encode())}"
    )
    r, s = utils.decode_dss_signature(private.sign(signing_input.encode(), ec.ECDSA(hashes.SHA256())))
    assertion = f"{signing_input}.{encoded(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"
    body = (
        "grant_type=client_credentials"
        "&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer"
        f"&client_id={portal.name.replace('/', '%2F')}&client_assertion={assertion}"
    )
    headers = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
    path = metadata["token_endpoint"].removeprefix(ISSUER)
    answer = mesh.http.post(path, content=body, headers=headers)
    assert answer.status_code == 200, answer.text
    header, payload, signature = answer.json()["access_token"].split(".")
    assert json.loads(decoded(payload))["sub"] == portal.name
    jwks = mesh.http.get(metadata["jwks_uri"].removeprefix(ISSUER)).json()["keys"]
    [jwk] = [key for key in jwks if key["kid"] == json.loads(decoded(header))["kid"]]
    x, y = (int.from_bytes(decoded(jwk[name]), "big") for name in ("x", "y"))
    raw = decoded(signature)
    der = utils.encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    public = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    public.verify(der, f"{header}.{payload}".encode(), ec.ECDSA(hashes.SHA256()))


def encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


STRANGER = System("organisations/citylab/systems/stranger")
OTHER_KEY = ECKey.generate_key("P-256")


@pytest.mark.parametrize(
    "form",
    [
        pytest.param(lambda s, _: s.form(key=OTHER_KEY), id="another key under its kid"),
        pytest.param(lambda s, _: s.form(key=OTHER_KEY, header={"kid": None}), id="another key"),
        pytest.param(lambda s, _: s.form(key=OTHER_KEY, header={"kid": OTHER_KEY.thumbprint()}), id="another kid"),
        pytest.param(lambda _s, _: STRANGER.form(), id="unknown client"),
        pytest.param(lambda _s, _: System("organisations/nowhere/systems/portal").form(), id="unknown organisation"),
        pytest.param(lambda s, _: s.form(sub="organisations/senatskanzlei/systems/operator"), id="another's name"),
        pytest.param(lambda s, _: s.form(iss=STRANGER.name), id="another issuer"),
        pytest.param(lambda s, _: s.form(aud="https://elsewhere.example"), id="another audience"),
        pytest.param(lambda s, _: s.form(aud=[TOKEN_URL, "https://elsewhere.example"]), id="two audiences"),
        pytest.param(lambda s, _: s.form(exp=int(time.time()) - 60), id="expired"),
        pytest.param(lambda s, _: s.form(exp=int(time.time()) + 3600), id="good for an hour"),
        pytest.param(lambda s, _: s.form(exp=None), id="without end"),
        pytest.param(lambda s, _: s.form(exp=10**400), id="good for ever"),
        pytest.param(lambda s, _: s.form(nbf=int(time.time()) + 60), id="not good yet"),
        pytest.param(lambda s, _: s.form(jti=None), id="without jti"),
        pytest.param(lambda s, _: s.form(jti="x" * 300), id="long jti"),
        pytest.param(lambda s, _: s.form() | {"client_id": STRANGER.name}, id="another client_id"),
        pytest.param(lambda s, _: s.form() | {"client_assertion_type": "jwt"}, id="another type"),
        pytest.param(lambda s, _: s.form() | {"client_assertion": "a.b"}, id="no JWT"),
        pytest.param(lambda s, _: s.form() | {"client_assertion": unsigned(s)}, id="alg none"),
        pytest.param(lambda s, m: s.form() | {"client_assertion": by_public_key(s, m)}, id="HS256 with our public key"),
        pytest.param(lambda s, m: s.form() | {"client_assertion": m.token(s)}, id="an access token"),
        pytest.param(lambda s, _: {"grant_type": "client_credentials", "client_id": s.name}, id="no proof"),
        pytest.param(
            lambda s, _: {"grant_type": "client_credentials", "client_id": s.name, "client_secret": "x"}, id="a secret"
        ),
    ],
)
def test_what_proves_nothing_is_refused_alike(
    mesh: Mesh, portal: System, form: Callable[[System, Mesh], dict[str, str]]
) -> None:
    """Status and body are the same whatever was wrong: nobody learns which clients and keys there are."""
    assert asked(mesh, form(portal, mesh)) == REFUSED


def unsigned(system: System) -> str:
    """An assertion that says it needs no signature."""
    header, payload, _ = system.assertion().split(".")
    assert header
    return f"{encoded(json.dumps({'alg': 'none'}).encode())}.{payload}."


def by_public_key(system: System, mesh: Mesh) -> str:
    """An assertion whose MAC key is our public key, which everybody has."""
    key = OctKey.import_key((mesh.published / "jwks.json").read_text())
    return system.assertion(key=key, header={"kid": system.key.thumbprint()})


def test_an_assertion_is_good_once(mesh: Mesh, portal: System) -> None:
    """Of a hundred at the same time, one gets a token."""
    form = portal.form()
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: asked(mesh, form), range(100)))
    assert sorted(status for status, _ in answers) == [200] + [401] * 99
    assert [answer for answer in answers if answer[0] != 200] == [REFUSED] * 99


def test_the_same_jti_serves_two_systems(mesh: Mesh, portal: System) -> None:
    """One client cannot use up another's ids."""
    other = mesh.register(mesh.admit("bezirksamt"), "portal")
    assert [asked(mesh, system.form(jti="shared"))[0] for system in (portal, other, portal)] == [200, 200, 401]


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({}, "invalid_request"),
        ({"grant_type": ""}, "invalid_request"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer"}, "unsupported_grant_type"),
        ({"grant_type": ["client_credentials", "client_credentials"]}, "invalid_request"),
        ({f"field{index}": "x" for index in range(40)}, "invalid_request"),
    ],
)
def test_a_request_that_is_none_is_told_so(mesh: Mesh, form: dict[str, Any], error: str) -> None:
    """With the errors of RFC 6749, section 5.2, before anything is proven."""
    answer = mesh.http.post("/oauth2/token", data=form)
    assert (answer.status_code, answer.json()["error"]) == (400, error)


def test_scopes_are_refused_to_a_client_that_proved_itself(mesh: Mesh, portal: System) -> None:
    """The mesh has roles; a token that ignored a scope would promise something else."""
    status, body = asked(mesh, portal.form() | {"scope": "everything"})
    assert (status, body["error"]) == (400, "invalid_scope")


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{}", "application/json", 400),
        (b"grant_type=client_credentials", "", 400),
        (b"grant_type=%ff", "application/x-www-form-urlencoded", 400),
        ("grant_type=ü".encode(), "application/x-www-form-urlencoded", 400),
        (b"a=" + b"x" * 65536, "application/x-www-form-urlencoded", 413),
    ],
)
def test_a_body_that_is_no_form_is_refused(mesh: Mesh, content: bytes, kind: str, status: int) -> None:
    """By its type, its characters or its size."""
    answer = mesh.http.post("/oauth2/token", content=content, headers={"content-type": kind})
    assert (answer.status_code, answer.json()["error"]) == (status, "invalid_request")


def test_other_methods_and_paths_are_not_there(mesh: Mesh) -> None:
    """A token is never asked for with GET, where the proof would stand in logs."""
    assert mesh.http.get("/oauth2/token").status_code == 405
    assert mesh.http.get("/oauth2/nothing").status_code == 404


def test_a_tried_scheme_is_named(mesh: Mesh, portal: System) -> None:
    """RFC 6749, section 5.2: a client that tried Basic is answered in its scheme."""
    answer = mesh.http.post("/oauth2/token", data={"grant_type": "client_credentials"}, auth=(portal.name, "secret"))
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Basic ")


def test_the_metadata_says_what_is_served(mesh: Mesh) -> None:
    """RFC 8414: every address in it answers, and it states the methods that work."""
    answer = mesh.http.get("/.well-known/oauth-authorization-server")
    body = answer.json()
    assert "max-age" in answer.headers["cache-control"]
    assert body["issuer"] == ISSUER
    assert body["token_endpoint"] == TOKEN_URL
    assert body["token_endpoint_auth_methods_supported"] == ["private_key_jwt", "client_secret_post", "none"]
    assert body["grant_types_supported"] == [
        "client_credentials",
        "urn:ietf:params:oauth:grant-type:token-exchange",
        "authorization_code",
        "refresh_token",
    ]
    for name in ("token_endpoint", "revocation_endpoint"):
        assert mesh.http.post(body[name].removeprefix(ISSUER)).status_code in (400, 401)
    jwks = mesh.http.get(body["jwks_uri"].removeprefix(ISSUER))
    assert jwks.headers["content-type"] == "application/jwk-set+json"
    assert jwks.content == (mesh.published / "jwks.json").read_bytes()


def test_no_private_key_is_published_or_stored_in_the_clear(mesh: Mesh) -> None:
    """Neither the published set nor the database holds what signs."""
    for key in json.loads((mesh.published / "jwks.json").read_bytes())["keys"]:
        assert key.keys() == {"kty", "crv", "x", "y", "kid", "use", "alg"}
    with psycopg.connect(mesh.dsn, user="postgres") as connection:
        stored = connection.execute("SELECT jwk, sealed_key FROM identity.signing_keys").fetchall()
    assert stored
    for jwk, sealed in stored:
        assert "d" not in json.loads(jwk)
        assert json.loads(decoded(sealed.split(".")[0])) == {"alg": "dir", "enc": "A256GCM"}


# ---- revocation ----


def revoked(mesh: Mesh, system: System, token: str) -> httpx.Response:
    """A revocation request by a system."""
    form = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": system.assertion(), "token": token}
    return mesh.http.post("/oauth2/revoke", data=form)


def test_a_client_ends_its_own_token(mesh: Mesh, portal: System) -> None:
    """RFC 7009: the token ends within the mesh, the others go on, and a repetition is no error."""
    token, other = mesh.token(portal), mesh.token(portal)
    for _ in range(2):
        answer = revoked(mesh, portal, token)
        assert (answer.status_code, answer.content) == (200, b"")
    mesh.ends(token)
    assert mesh.accepts(other)


@pytest.mark.parametrize("token", ["nonsense", "a.b.c", "ä" * 10, "x" * 9000])
def test_what_is_no_token_needs_no_end(mesh: Mesh, portal: System, token: str) -> None:
    """RFC 7009, section 2.2: the client's purpose is reached already."""
    assert revoked(mesh, portal, token).status_code == 200


def test_a_foreign_token_is_not_ended(mesh: Mesh, portal: System) -> None:
    """Whoever found a token cannot shut its owner out."""
    other = mesh.register(mesh.admit("thief"), "portal")
    token = mesh.token(portal)
    answer = revoked(mesh, other, token)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    assert mesh.goes_on(token)


def test_a_forged_token_ends_nothing(mesh: Mesh, portal: System) -> None:
    """A token that we did not sign is none, whatever it says."""
    header, payload, signature = mesh.token(portal).split(".")
    answer = revoked(mesh, portal, f"{header}.{payload}.{signature[::-1]}")
    assert answer.status_code == 200
    assert mesh.goes_on(f"{header}.{payload}.{signature}")


def test_revoking_needs_a_proof(mesh: Mesh, portal: System) -> None:
    """And says no more than the token endpoint does."""
    answer = mesh.http.post("/oauth2/revoke", data={"token": mesh.token(portal)})
    assert (answer.status_code, answer.json()) == REFUSED
    answer = revoked(mesh, portal, "")
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_a_suspended_system_gets_no_token_and_loses_those_it_has(mesh: Mesh, portal: System) -> None:
    """At once; resumed, it gets new ones that count, and the old ones stay ended."""
    system = mesh.register(portal.organisation, "suspended")
    token = mesh.token(system)
    operator = mesh.as_(mesh.operator)
    mesh.systems.SuspendSystem(systems_pb.SuspendSystemRequest(name=system.name), metadata=operator)
    mesh.ends(token)
    assert asked(mesh, system.form()) == REFUSED
    mesh.systems.ResumeSystem(systems_pb.ResumeSystemRequest(name=system.name), metadata=operator)
    fresh = mesh.token(system)
    assert (mesh.goes_on(fresh), mesh.accepts(token)) == (True, False)


def test_a_suspended_organisation_is_out_with_all_its_systems(mesh: Mesh) -> None:
    """Its tokens end for calls too, not only for new tokens; after the suspension it comes back."""
    organisation = mesh.admit("suspended")
    systems = [mesh.register(organisation, name, "admin") for name in ("one", "two")]
    tokens = [mesh.token(system) for system in systems]
    operator = mesh.as_(mesh.operator)
    mesh.organisations.SuspendOrganisation(
        organisations_pb.SuspendOrganisationRequest(name=organisation), metadata=operator
    )
    mesh.ends(*tokens)
    assert [asked(mesh, system.form()) for system in systems] == [REFUSED, REFUSED]
    with pytest.raises(grpc.RpcError) as caught:
        mesh.organisations.GetOrganisation(
            organisations_pb.GetOrganisationRequest(name=organisation),
            metadata=(("authorization", f"Bearer {tokens[0]}"),),
        )
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    mesh.organisations.ResumeOrganisation(
        organisations_pb.ResumeOrganisationRequest(name=organisation), metadata=operator
    )
    assert all(mesh.goes_on(mesh.token(system)) for system in systems)
    assert not any(mesh.accepts(token) for token in tokens)


def test_no_token_slips_through_a_suspension(mesh: Mesh, portal: System) -> None:
    """Tokens asked for while the suspension commits are refused by the mesh, also those that were answered after it."""
    system = mesh.register(portal.organisation, "racing")
    operator = mesh.as_(mesh.operator)
    tokens: list[str] = []

    def issue(_: int) -> None:
        for _ in range(40):
            status, body = asked(mesh, system.form())
            if status != 200:
                return
            tokens.append(body["access_token"])

    with ThreadPoolExecutor(4) as pool:
        loads = pool.map(issue, range(4))
        while not tokens:
            time.sleep(0.01)
        mesh.systems.SuspendSystem(systems_pb.SuspendSystemRequest(name=system.name), metadata=operator)
        assert list(loads) == [None] * 4
    mesh.ends(*tokens)
    mesh.systems.ResumeSystem(systems_pb.ResumeSystemRequest(name=system.name), metadata=operator)
    fresh = mesh.token(system)
    assert mesh.goes_on(fresh)
    assert not any(mesh.accepts(token) for token in tokens)
