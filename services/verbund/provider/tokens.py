"""The token and userinfo endpoints (RFC 6749, section 4.1.3; RFC 7636; OpenID Connect Core 1.0, sections 2 and 5.3)."""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError

from verbund.openid.requests import OAuthError
from verbund.provider.accounts import Account
from verbund.provider.requests import CLIENT_ID
from verbund.provider.state import Grant, Issuer

GRANT_TYPE = "authorization_code"
ALGORITHM = "ES256"
VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")
TOKEN_LENGTH_MAX = 8192


class Tokens:
    """Gives out and knows the tokens of one issuer."""

    def __init__(self, issuer: Issuer) -> None:
        self._issuer = issuer

    def exchange(self, form: Mapping[str, str], *, authenticated: bool = False) -> dict[str, Any]:
        """The answer to a token request; raises OAuthError. The one client is public and has nothing to prove.

        A code is good for one request, whatever becomes of it. One that comes again ends what came of it before.
        """
        if authenticated or "client_secret" in form or form.get("client_id") != CLIENT_ID:
            raise OAuthError("invalid_client", status=401 if authenticated else 400)
        if form.get("grant_type") != GRANT_TYPE:
            code = "unsupported_grant_type" if form.get("grant_type") else "invalid_request"
            raise OAuthError(code, f"grant_type must be {GRANT_TYPE}")
        for name in ("code", "redirect_uri", "code_verifier"):
            if name not in form:
                raise OAuthError("invalid_request", f"{name} is missing")
        grant = self._take(form["code"])
        if form["redirect_uri"] != grant.request.address.redirect_uri or not proves(form["code_verifier"], grant):
            raise OAuthError("invalid_grant")
        access_token = self._issuer.tokens.put(grant.session.account)
        self._issuer.used.keep(form["code"], [access_token])
        return {
            "access_token": access_token,
            "token_type": "Bearer",
            "expires_in": self._issuer.token_seconds,
            "scope": " ".join(grant.request.scope),
            "id_token": self._id_token(grant, access_token),
        }

    def claims(self, access_token: str) -> dict[str, Any] | None:
        """What userinfo says of the person whose token this is; None where it is none, or has ended."""
        account = self._issuer.tokens.get(access_token)
        return None if account is None else {"sub": account.subject, **described(account)}

    def subject_of(self, id_token: str) -> str | None:
        """Whom an id token of this issuer names, however old it is; None where it is none."""
        try:
            if len(id_token) > TOKEN_LENGTH_MAX:
                return None
            claims = jwt.decode(id_token, self._issuer.accounts.key, [ALGORITHM]).claims
        except (JoseError, ValueError, TypeError, RecursionError):
            return None
        ours = claims.get("iss") == self._issuer.url and claims.get("aud") == CLIENT_ID
        return str(claims["sub"]) if ours else None

    def _take(self, code: str) -> Grant:
        grant = self._issuer.codes.take(code)
        if grant is None:
            for token in self._issuer.used.take(code) or ():
                self._issuer.tokens.take(token)
            raise OAuthError("invalid_grant")
        return grant

    def _id_token(self, grant: Grant, access_token: str) -> str:
        account, now = grant.session.account, int(self._issuer.now())
        claims = {
            "iss": self._issuer.url,
            "sub": account.subject,
            "aud": CLIENT_ID,
            "azp": CLIENT_ID,
            "iat": now,
            "exp": now + self._issuer.token_seconds,
            "auth_time": grant.session.auth_time,
            "acr": account.person.acr,
            "at_hash": half_hash(access_token),
            **described(account),
        }
        nonce = {"nonce": grant.request.nonce} if grant.request.nonce else {}
        header = {"typ": "JWT", "alg": ALGORITHM, "kid": self._issuer.accounts.key.kid}
        return jwt.encode(header, claims | nonce, self._issuer.accounts.key, algorithms=[ALGORITHM])


def described(account: Account) -> dict[str, Any]:
    """What the organisation says of a person. The one client is given all of it, whatever scope it asks for."""
    person = account.person
    return {"name": person.name, "email": person.email, "roles": list(person.roles)}


def proves(verifier: str, grant: Grant) -> bool:
    """Whether the client that sends the verifier is the one that began (RFC 7636, section 4.6)."""
    if not VERIFIER.fullmatch(verifier):
        return False
    challenge = base64url(hashlib.sha256(verifier.encode("ascii")).digest())
    return hmac.compare_digest(challenge.encode(), grant.request.challenge.encode())


def half_hash(token: str) -> str:
    """An `at_hash` (OpenID Connect Core 1.0, section 3.1.3.6)."""
    return base64url(hashlib.sha256(token.encode("ascii")).digest()[:16])


def base64url(content: bytes) -> str:
    """Bytes as base64url without padding."""
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
