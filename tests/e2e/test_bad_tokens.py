"""A token that is not good opens nothing, and one that is good opens what its roles may do."""

import base64
import hmac
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from google.rpc import code_pb2
from joserfc import jwt
from joserfc.jwk import ECKey
from verbund.policy import catalogue
from verbund.policy.roles import PERMISSIONS_OF
from verbund.policy.table import path_of
from verbund.registry.v1 import project_service_pb2 as pb
from verbund.sdk.tokens import ASSERTION_TYPE, read_key
from verbund_gateway.transcoding import bindings

from tests.support.asks import DIALECTS, Ask, Callers, dialects, get, new_id
from tests.support.dialects import info
from tests.support.load import System, wait_until

REFUSED_IN_A_ROW = 20  # then each of two workers was asked

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("mesh")]


def decoded(token: str) -> tuple[dict[str, Any], dict[str, Any], str]:
    """The header, the claims and the signature of a token."""
    header, claims, signature = token.split(".")
    opened = [json.loads(base64.urlsafe_b64decode(part + "==")) for part in (header, claims)]
    return opened[0], opened[1], signature


def encoded(part: dict[str, Any] | bytes) -> str:
    """A part of a token."""
    content = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def altered(system: System, **claims: Any) -> str:
    """The system's token with other claims under its true signature."""
    header, stated, signature = decoded(system.tokens.token())
    return f"{encoded(header)}.{encoded(stated | claims)}.{signature}"


def without_algorithm(system: System) -> str:
    """The system's token, unsigned."""
    header, claims, _ = decoded(system.tokens.token())
    return f"{encoded(header | {'alg': 'none'})}.{encoded(claims)}."


def by_public_key(system: System, form: str) -> str:
    """The system's token, signed by HMAC with the mesh's public key as everybody can read it."""
    header, claims, _ = decoded(system.tokens.token())
    (published,) = (key for key in system.anonymous.get("/oauth2/jwks").json()["keys"] if key["kid"] == header["kid"])
    key = ECKey.import_key(published).public_key
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    secret = {"pem": pem, "jwk": json.dumps(published).encode()}[form]
    signed = f"{encoded(header | {'alg': 'HS256'})}.{encoded(claims)}"
    return f"{signed}.{encoded(hmac.digest(secret, signed.encode(), 'sha256'))}"


def by_key(system: System, key: ECKey, **changed: Any) -> str:
    """The system's token, signed with another key under the id of the mesh's."""
    header, claims, _ = decoded(system.tokens.token())
    return jwt.encode(header, claims | changed, key, algorithms=["ES256"])


def own_key(system: System) -> ECKey:
    """The key with which the system proves who it is."""
    return ECKey.import_key(read_key(system.key_file).as_dict(private=True))


def by_own_key(system: System) -> str:
    """A token of the mesh's form that the system signed itself, under its own key's id."""
    key = own_key(system)
    header, claims, _ = decoded(system.tokens.token())
    return jwt.encode(header | {"kid": key.thumbprint()}, claims, key, algorithms=["ES256"])


def revoked(system: System) -> str:
    """A token that was good, and was given back."""
    tokens = system.new_tokens()
    token = tokens.token()
    form = {
        "token": token,
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": tokens._assertion(own_key(system), decoded(token)[1]["iat"]),
    }
    assert system.anonymous.post("/oauth2/revoke", data=form).status_code == 200
    wait_until(lambda: all(refuses(system, token) for _ in range(REFUSED_IN_A_ROW)), "a revoked token goes on")
    return token


def refuses(system: System, token: str) -> bool:
    """Whether the worker that is asked does not take a token."""
    answer = system.anonymous.get("/v1/projects/a.b", headers={"authorization": f"Bearer {token}"})
    return answer.status_code == httpx.codes.UNAUTHORIZED


BAD_TOKENS: dict[str, Callable[[System], str]] = {
    "garbage": lambda _: "garbage",
    "three empty parts": lambda _: "..",
    "a later end": lambda system: altered(system, exp=4_102_444_800),
    "another audience": lambda system: altered(system, aud="another"),
    "more roles": lambda system: altered(system, roles=["operator", "admin"]),
    "another organisation": lambda system: altered(system, org="organisations/operator"),
    "no signature": lambda system: ".".join(system.tokens.token().split(".")[:2]) + ".",
    "no algorithm": without_algorithm,
    "our public key as a secret, PEM": lambda system: by_public_key(system, "pem"),
    "our public key as a secret, JWK": lambda system: by_public_key(system, "jwk"),
    "a foreign key": lambda system: by_key(system, ECKey.generate_key("P-256")),
    "a foreign key, expired": lambda system: by_key(system, ECKey.generate_key("P-256"), exp=1),
    "the system's own key": by_own_key,
    "the system's own key under our id": lambda system: by_key(system, own_key(system)),
    "the proof of a key": lambda system: system.tokens._assertion(own_key(system), 0),
    "revoked": revoked,
}


@dialects
@pytest.mark.parametrize("kind", BAD_TOKENS)
def test_a_token_that_is_not_good_is_refused_and_why_is_not_said(callers: Callers, dialect: str, kind: str) -> None:
    """UNAUTHENTICATED, TOKEN_INVALID, the same words for each, and no detail beside them."""
    status = DIALECTS[dialect](get("projects/a.b"), callers.owner, BAD_TOKENS[kind](callers.owner))
    assert (status.code, status.message) == (code_pb2.UNAUTHENTICATED, "The token is not valid.")
    assert info(status).reason == "TOKEN_INVALID"
    assert set(info(status).metadata) <= {"retry", "fixer", "remedy", "traceId"}
    assert len(status.details) == 1


@dialects
def test_without_a_token_nothing_is_told(callers: Callers, dialect: str) -> None:
    """UNAUTHENTICATED, NO_TOKEN, for what there is and for what there is not."""
    standing = callers.owner.create(new_id(), pb.VISIBILITY_PUBLIC)
    for name in (standing.name, "projects/nobody.nothing"):
        status = DIALECTS[dialect](get(name), callers.owner, "")
        assert (status.code, info(status).reason, len(status.details)) == (code_pb2.UNAUTHENTICATED, "NO_TOKEN", 1)


def methods_beyond(role: str) -> Iterator[tuple[Ask, str, str]]:
    """Every method that the role may not call, with the rule and the permission in the way."""
    for services in catalogue.AREAS.values():
        for service in services:
            for method in service.methods:
                rule = catalogue.rules()[path_of(method)]
                if not rule.permission or rule.permission in PERMISSIONS_OF[role]:
                    continue
                verb, template = next(iter(bindings(method)), ("", ""))
                url = re.sub(r"\{[^=}]+=([^}]+)\}", r"\1", template).replace("*", "x")
                yield Ask(path_of(method), pb.GetProjectRequest(), verb, url), rule.name, rule.permission


@pytest.mark.parametrize(
    ("dialect", "beyond"),
    [
        pytest.param(dialect, found, id=f"{dialect}-{found[1].rpartition('.')[2]}")
        for dialect in DIALECTS
        for found in methods_beyond("viewer")
        if found[0].verb or dialect != "json"  # a download has no binding to JSON
    ],
)
def test_a_method_beyond_the_role_is_refused_with_its_rule(
    callers: Callers, dialect: str, beyond: tuple[Ask, str, str]
) -> None:
    """PERMISSION_DENIED with the name of the rule and the permission, for every method that a reader may not call."""
    ask, rule, permission = beyond
    status = DIALECTS[dialect](ask, callers.reader)
    assert (status.code, info(status).reason) == (code_pb2.PERMISSION_DENIED, "PERMISSION_MISSING")
    assert (info(status).metadata["rule"], info(status).metadata["permission"]) == (rule, permission)
