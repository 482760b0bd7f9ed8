"""Judges that others wrote: OpenID clients sign on at the mesh, and the mesh signs on at an OpenID provider."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from joserfc import jws
from joserfc.jwk import ECKey
from verbund.embedded import ports
from verbund.sdk.client import Client
from verbund.tour.signing_in import REDIRECT_URI, sign_in

from tests.support.home import Up
from tests.support.oidc.judges import Registration, authorization_url, console, oidc_provider, signed_on_and_out
from tests.support.oidc.visitor import Stuck, Visitor, browser

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("mesh"), pytest.mark.timeout(600)]
JUDGES = ("openid-client", "oauth4webapi", "go-oidc")
CHANCELLERY = "organisations/senatskanzlei"
DISTRICT = "organisations/charlottenburg-wilmersdorf"
APPLICATION = "https://fachverfahren.example"  # nobody listens there: the browser's address is read
PAIRWISE_LENGTH = 64
GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"


@pytest.fixture(scope="module")
def person(toured: dict[str, Any]) -> dict[str, str]:
    """Somebody of an organisation whose provider the mesh trusts, which it does after a tour."""
    found: dict[str, str] = next(each for each in toured["people"] if each["organisation"] == CHANCELLERY)
    return found


@pytest.fixture
def visitor(mesh: dict[str, Any], person: dict[str, str]) -> Iterator[Visitor]:
    """Their browser."""
    with browser(Path(mesh["ca"])) as client:
        provider = f"{CHANCELLERY}/providers/"
        yield Visitor(client, provider=provider, username=person["username"], password=person["password"])


@pytest.mark.parametrize("judge", JUDGES)
def test_with_a_secret(judge: str, mesh: dict[str, Any], running: Up, person: dict[str, str], visitor: Visitor) -> None:
    """The console's client gets a token of the mesh, and the person's own name."""
    told = signed_on_and_out(judge, console(running), Path(mesh["ca"]), visitor)
    assert told["claims"]["sub"].startswith(f"{CHANCELLERY}/people/")
    assert told["userinfo"]["name"] == person["name"]
    assert visitor.agreed == 0


@pytest.fixture(scope="module")
def member(mesh: dict[str, Any], running: Up, person: dict[str, str]) -> Callable[[str], Registration]:
    """Registers a system of another organisation than the person's, as a member's own application."""
    key = ECKey.generate_key("P-256")

    def register(kind: str) -> Registration:
        with Client.from_home(running.home) as operator:
            made = operator.http.post(
                f"/v1/{DISTRICT}/systems",
                params={"systemId": f"judge-{uuid4().hex[:8]}", "jwk": json.dumps(key.as_dict(private=False))},
                json={"title": "Beispiel: Fachverfahren", "roles": ["system"]},
            ).raise_for_status()
            name = made.json()["name"]
            uris = {"redirectUris": [f"{APPLICATION}/back"], "postLogoutRedirectUris": [f"{APPLICATION}/left"]}
            operator.http.post(
                f"/v1/{name}:setSignOn", json=uris | {"publicClient": kind == "public"}
            ).raise_for_status()
        return Registration(
            issuer=mesh["gateway"],
            client=name,
            kind=kind,
            redirectUri=f"{APPLICATION}/back",
            afterUri=f"{APPLICATION}/left",
            key=key.as_pem(private=True).decode(),
            kid=key.thumbprint(),
        )

    assert person["organisation"] != DISTRICT
    return register


@pytest.mark.parametrize(
    ("judge", "kind"), [(judge, "public") for judge in JUDGES] + [("openid-client", "key"), ("oauth4webapi", "key")]
)
def test_at_a_member(
    judge: str,
    kind: str,
    mesh: dict[str, Any],
    member: Callable[[str], Registration],
    person: dict[str, str],
    visitor: Visitor,
) -> None:
    """By PKCE alone or with a key; the person agrees, and the member gets a name for them that is its own, and a token
    that is good for asking who they are.
    """
    told = signed_on_and_out(judge, member(kind), Path(mesh["ca"]), visitor)
    assert visitor.agreed == 1
    assert len(told["claims"]["sub"]) == PAIRWISE_LENGTH
    assert told["userinfo"]["name"] == person["name"]
    with browser(Path(mesh["ca"])) as client:
        headers = {"authorization": f"Bearer {told['accessToken']}"}
        assert client.get(f"{mesh['gateway']}/v1/caller", headers=headers).status_code == httpx.codes.UNAUTHORIZED


@pytest.fixture(scope="module")
def upstream(mesh: dict[str, Any], running: Up) -> Iterator[dict[str, str]]:
    """Npm's oidc-provider; what signs somebody in there."""
    port = ports.free_port("127.0.0.1")
    account = {"username": "petra", "password": "richtig-2026"}
    told = account | {
        "port": port,
        "gateway": mesh["gateway"],
        "redirectUris": [REDIRECT_URI, f"{mesh['gateway']}/oauth2/callback"],
        "certificate": str(running.home / "tls" / "server.pem"),
        "key": str(running.home / "tls" / "server.key"),
    }
    with oidc_provider(told, Path(mesh["ca"])) as issuer:
        yield {"issuer": issuer, **account}


@pytest.fixture(scope="module")
def home_token(mesh: dict[str, Any], upstream: dict[str, str]) -> str:
    """What it says of somebody who signed in there."""
    return sign_in(upstream["issuer"], ca=Path(mesh["ca"]), username="petra", password=upstream["password"])


@pytest.fixture(scope="module")
def provider(running: Up, person: dict[str, str], upstream: dict[str, str], home_token: str) -> Iterator[str]:
    """Its name as a provider of an organisation's people, registered and tried; afterwards nobody signs in there."""
    content = {
        "title": "Beispiel: oidc-provider",
        "issuer": upstream["issuer"],
        "audience": "verbund",
        "nameClaim": "name",
        "emailClaim": "email",
        "rolesClaim": "roles",
        "roleMappings": [{"value": "Leitung", "role": "approver"}],
    }
    with Client.from_home(running.home) as operator:
        url, number = f"/v1/{person['organisation']}/providers", upstream["issuer"].rpartition(":")[2]
        made = operator.http.post(url, params={"providerId": f"judge-{number}"}, json=content).raise_for_status()
        name: str = made.json()["name"]
        operator.http.post(f"/v1/{name}:activate", json={"homeToken": home_token}).raise_for_status()
        yield name
        operator.http.post(f"/v1/{name}:suspend", json={}).raise_for_status()


def test_an_id_token_of_another_provider_becomes_one_of_the_mesh(
    mesh: dict[str, Any], provider: str, home_token: str
) -> None:
    """By token exchange; roles come from the claim that was mapped."""
    form = {"grant_type": GRANT, "subject_token": home_token, "subject_token_type": ID_TOKEN}
    with browser(Path(mesh["ca"])) as client:
        answer = client.post(mesh["token_endpoint"], data=form).raise_for_status()
    told = json.loads(jws.extract_compact(answer.json()["access_token"].encode()).payload)
    assert told["sub"].startswith(f"{provider.partition('/providers/')[0]}/people/")
    assert told["roles"] == ["approver"]


def test_a_browser_signs_on_through_another_provider(
    mesh: dict[str, Any], running: Up, provider: str, upstream: dict[str, str]
) -> None:
    """From the choice of the organisation over its form and back, out again over its question; its own code is used."""
    with browser(Path(mesh["ca"])) as client:
        visitor = Visitor(client, provider=provider, username="petra", password=upstream["password"])
        told = signed_on_and_out("openid-client", console(running), Path(mesh["ca"]), visitor)
    assert told["userinfo"] == {
        "sub": told["claims"]["sub"],
        "name": "Beispiel: Petra Muster",
        "email": "petra@example.org",
    }
    assert any(page.startswith("/interaction/") for page in visitor.pages)


def test_whoever_is_refused_there_is_not_signed_on(mesh: dict[str, Any], running: Up, provider: str) -> None:
    """The client gets no code; the person is told whose sign-in it was, and the mesh has no session of theirs."""
    told = console(running)
    with browser(Path(mesh["ca"])) as client:
        visitor = Visitor(client, provider=provider, username="petra", password="wrong")
        with pytest.raises(Stuck, match=r"You were not signed in at: Senatskanzlei"):
            visitor.visit(authorization_url(told), frozenset({told.redirectUri}))
        assert "__Host-verbund-session" not in client.cookies
