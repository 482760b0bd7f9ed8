"""Clients that others wrote sign people in without a word about this provider but its issuer."""

import ssl
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from authlib.deprecate import AuthlibDeprecationWarning
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from verbund.embedded import certificates
from verbund.tour.signing_in import SignInFailed, sign_in

from tests.integration.provider.visitor import REDIRECT_URI, USERNAME, Provider, Visitor


def authlib_client() -> Any:
    """Authlib's client over httpx, which it would rather have over httpx's successor."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AuthlibDeprecationWarning)
        from authlib.integrations.httpx_client import OAuth2Client  # noqa: PLC0415

        return OAuth2Client


def test_authlib_signs_a_person_in(visitor: Visitor) -> None:
    """Authlib's client finds its way by discovery, and finds the id token good by the rules that it knows."""
    trust = ssl.create_default_context(cafile=visitor.provider.ca)
    with authlib_client()(
        "verbund",
        scope="openid profile email",
        redirect_uri=REDIRECT_URI,
        code_challenge_method="S256",
        token_endpoint_auth_method="none",
        verify=trust,
    ) as client:
        configuration = f"{visitor.issuer}/.well-known/openid-configuration"
        found = client.request("GET", configuration, withhold_token=True).json()
        address, state = client.create_authorization_url(
            found["authorization_endpoint"], code_verifier=visitor.verifier, nonce=visitor.nonce
        )
        answer = visitor.login(visitor.browser.get(address))
        given = client.fetch_token(
            found["token_endpoint"],
            authorization_response=answer.headers["location"],
            state=state,
            code_verifier=visitor.verifier,
        )
        claims = visitor.claims(given["id_token"])
        token = CodeIDToken(
            claims,
            {"alg": "ES256"},
            {"iss": {"essential": True, "value": found["issuer"]}, "aud": {"essential": True, "value": "verbund"}},
            {"nonce": visitor.nonce, "client_id": "verbund", "access_token": given["access_token"]},
        )
        token.validate()
        assert client.get(found["userinfo_endpoint"]).json()["sub"] == claims["sub"]


def test_the_challenge_is_authlibs_too(visitor: Visitor) -> None:
    """RFC 7636 as another maker reads it."""
    assert visitor.request()["code_challenge"] == create_s256_code_challenge(visitor.verifier)


def test_the_tour_signs_in_without_a_browser(visitor: Visitor, provider: Provider) -> None:
    """`sign_in` gives an id token of the person."""
    token = sign_in(visitor.issuer, ca=provider.ca, username=USERNAME, password=provider.password())
    assert visitor.claims(token)["name"] == "Beispiel: Projektleitung Senatskanzlei"


def test_the_tour_says_what_went_wrong_and_no_secret(visitor: Visitor, provider: Provider, tmp_path: Path) -> None:
    """A wrong password, an issuer that is not there, an authority that signed nothing here."""
    with pytest.raises(SignInFailed, match="did not accept the name and the password") as refused:
        sign_in(visitor.issuer, ca=provider.ca, username=USERNAME, password="wrong-and-private")
    assert "private" not in str(refused.value)
    with pytest.raises(SignInFailed, match="HTTP 404"):
        sign_in(f"{visitor.issuer}x", ca=provider.ca, username=USERNAME, password="x")
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    certificates.ensure(foreign, [], datetime.now(UTC))
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        sign_in(visitor.issuer, ca=foreign / "ca.pem", username=USERNAME, password="x")
