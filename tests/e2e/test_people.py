"""A person signs in at home and acts in the mesh: the built-in provider, the real gateway, JSON and gRPC."""

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from verbund.identity.v1.access_service_pb2 import GetCallerRequest
from verbund.identity.v1.access_service_pb2_grpc import AccessServiceStub
from verbund.sdk.client import Client
from verbund.tour.signing_in import sign_in

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("mesh")]

GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"


@pytest.fixture(scope="module")
def web(mesh: dict[str, Any]) -> Iterator[httpx.Client]:
    """Anybody, through the gateway."""
    trust = ssl.create_default_context(cafile=mesh["ca"])
    with httpx.Client(base_url=mesh["gateway"], verify=trust, timeout=30) as client:
        yield client


@pytest.fixture(scope="module")
def home_token(mesh: dict[str, Any]) -> str:
    """What the built-in provider gives somebody who signs in there."""
    person = mesh["people"][0]
    return sign_in(person["issuer"], ca=Path(mesh["ca"]), username=person["username"], password=person["password"])


def exchanged(web: httpx.Client, home_token: str) -> httpx.Response:
    """A token exchange."""
    form = {"grant_type": GRANT, "subject_token": home_token, "subject_token_type": ID_TOKEN}
    return web.post("/oauth2/token", data=form)


@pytest.fixture(scope="module")
def person(toured: dict[str, Any], web: httpx.Client, home_token: str) -> str:
    """A token of the mesh of that person, whose organisation trusts the provider."""
    assert toured["people"]
    answer = exchanged(web, home_token)
    assert answer.status_code == httpx.codes.OK, answer.text
    return str(answer.json()["access_token"])


def test_a_person_acts_through_the_gateway(mesh: dict[str, Any], web: httpx.Client, person: str) -> None:
    """Over JSON and gRPC they are the same, and may read what everybody may."""
    headers = {"authorization": f"Bearer {person}"}
    caller = web.get("/v1/caller", headers=headers).json()
    assert caller["subject"] == caller["person"]
    assert "/people/" in caller["person"]
    assert web.get("/v1/projects", headers=headers).status_code == httpx.codes.OK
    with Client(mesh["gateway"], ca=Path(mesh["ca"]), token=person) as client:
        over_grpc = AccessServiceStub(client.channel).GetCaller(GetCallerRequest(), timeout=20)
    assert over_grpc.subject == caller["subject"]
    assert list(over_grpc.permissions) == caller["permissions"]


def test_a_person_reads_who_they_are(web: httpx.Client, person: str) -> None:
    """Their own row, with what home says of them; nobody without a token does."""
    headers = {"authorization": f"Bearer {person}"}
    name = web.get("/v1/caller", headers=headers).json()["person"]
    found = web.get(f"/v1/{name}", headers=headers)
    assert found.status_code == httpx.codes.OK
    assert found.json()["displayName"]
    assert web.get(f"/v1/{name}").status_code == httpx.codes.UNAUTHORIZED
    stranger = name[: -len("aaaaaaaa")] + "aaaaaaaa"
    assert web.get(f"/v1/{stranger}", headers=headers).status_code == httpx.codes.NOT_FOUND


def test_what_is_no_token_of_home_is_refused(web: httpx.Client, home_token: str, person: str) -> None:
    """Through the gateway as at the service: altered, cut, or one of the mesh itself."""
    header, payload, signature = home_token.split(".")
    for token in (f"{header}.{payload}.{signature[::-1]}", f"{header}.{payload}.", person):
        answer = exchanged(web, token)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


def test_the_metadata_names_the_grant(web: httpx.Client) -> None:
    """RFC 8414: a client finds out that it can exchange, and that a public client need not authenticate."""
    found = web.get("/.well-known/oauth-authorization-server").json()
    assert GRANT in found["grant_types_supported"]
    assert "none" in found["token_endpoint_auth_methods_supported"]
