"""Identity's OAuth routes: tokens (RFC 6749), revocation (RFC 7009), keys (RFC 7517), metadata (RFC 8414).

Their rules stand in routes.py.
"""

from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import orjson
import structlog
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from verbund.identity.routes import (
    AUTHORIZE_PATH,
    JWKS_PATH,
    LOGOUT_PATH,
    REVOKE_PATH,
    ROUTES,
    TOKEN_PATH,
    USERINFO_PATH,
)
from verbund.identity.threads import run_in
from verbund.identity.tokens.domain import Form
from verbund.identity.tokens.endpoint import GRANTS, TokenEndpoint
from verbund.openid.requests import OAuthError
from verbund.serving import forms
from verbund.serving.refusals import Refusal

JSON_TYPE = "application/json"
BODY_BYTES_MAX = 64 * 1024
FIELDS_MAX = 32
ALGORITHMS = ["ES256", "Ed25519", "EdDSA", "PS256"]
NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
# Much shorter than keys are published before they sign, so that no honest cache misses one.
JWKS_HEADERS = {"Cache-Control": "public, max-age=60", "Content-Type": "application/jwk-set+json"}
METADATA_HEADERS = {"Cache-Control": "public, max-age=300"}
RETRY_SECONDS = "1"

Handler = Callable[[Request], Awaitable[Response]]

log = structlog.get_logger(__name__)


def application(
    endpoint: TokenEndpoint, sign_on: Mapping[str, Handler], *, issuer: str, jwks_file: Path, threads: Executor
) -> Starlette:
    """The ASGI application of identity's HTTP routes, whose work is done in `threads`."""
    known = metadata(issuer)

    async def metadata_read(_request: Request) -> Response:
        return JSONResponse(known, headers=METADATA_HEADERS)

    async def keys_read(_request: Request) -> Response:
        return await run_in(threads, published_keys, jwks_file)

    handlers = {
        "identity.tokens.issue": form_route(threads, lambda form: issued(endpoint, form)),
        "identity.tokens.revoke": form_route(threads, lambda form: revoked(endpoint, form)),
        "identity.keys.read": keys_read,
        "identity.metadata.read": metadata_read,
        **sign_on,
    }
    # Routes come from the rules: a handler without a rule is not reached, and a rule without a handler fails the start.
    routes = [Route(route.path, handlers[route.rule.name], methods=list(route.methods)) for route in ROUTES]
    return Starlette(routes=routes, exception_handlers={Exception: failed})


def metadata(issuer: str) -> dict[str, Any]:
    """What clients learn about this authorisation server (RFC 8414, section 2)."""
    return {
        "issuer": issuer,
        "token_endpoint": issuer + TOKEN_PATH,
        "token_endpoint_auth_methods_supported": ["private_key_jwt", "client_secret_post", "none"],
        "token_endpoint_auth_signing_alg_values_supported": ALGORITHMS,
        "revocation_endpoint": issuer + REVOKE_PATH,
        "revocation_endpoint_auth_methods_supported": ["private_key_jwt"],
        "revocation_endpoint_auth_signing_alg_values_supported": ALGORITHMS,
        "jwks_uri": issuer + JWKS_PATH,
        "grant_types_supported": [*GRANTS],
        "response_types_supported": ["code"],
        "authorization_endpoint": issuer + AUTHORIZE_PATH,
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
    }


def configuration(issuer: str) -> dict[str, Any]:
    """What clients learn about this OpenID provider (OpenID Connect Discovery 1.0, section 3)."""
    return metadata(issuer) | {
        "userinfo_endpoint": issuer + USERINFO_PATH,
        "end_session_endpoint": issuer + LOGOUT_PATH,
        "scopes_supported": ["openid", "profile", "email"],
        "response_modes_supported": ["query"],
        "subject_types_supported": ["pairwise", "public"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "prompt_values_supported": ["none", "login", "consent", "select_account"],
        "acr_values_supported": ["low", "substantial", "high"],
        "claims_supported": ["iss", "sub", "aud", "exp", "iat", "auth_time", "acr", "nonce", "sid", "name", "email"],
        "ui_locales_supported": ["de", "en"],
        "claims_parameter_supported": False,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
    }


def issued(endpoint: TokenEndpoint, form: Form) -> Response:
    """The answer of RFC 6749, section 5.1, and of RFC 8693, section 2.2.1."""
    token = endpoint.issue(form)
    content = {"access_token": token.token, "token_type": "Bearer", "expires_in": token.life_seconds}
    if token.kind:
        content["issued_token_type"] = token.kind
    content |= token.more
    return Response(orjson.dumps(content), headers=NO_STORE, media_type=JSON_TYPE)


def revoked(endpoint: TokenEndpoint, form: Form) -> Response:
    """The answer of RFC 7009, section 2.2: the same for a token that was none."""
    endpoint.revoke(form)
    return Response(headers=NO_STORE)


def published_keys(jwks_file: Path) -> Response:
    """The public keys as gateway and services have them: what is published, not what the database says."""
    try:
        return Response(jwks_file.read_bytes(), headers=JWKS_HEADERS)
    except FileNotFoundError:
        return unavailable()


def form_route(threads: Executor, handle: Callable[[Form], Response]) -> Callable[[Request], Any]:
    """A route that reads a form, and hands it to a synchronous function in a thread."""

    async def route(request: Request) -> Response:
        scheme = request.headers.get("authorization", "").partition(" ")[0]
        try:
            form = form_of(request.headers, await body_of(request))
        except OAuthError as error:
            return error_of(error, scheme)
        except ClientDisconnect:
            return Response(status_code=400)
        return await run_in(threads, answer, handle, form, scheme)

    return route


def answer(handle: Callable[[Form], Response], form: Form, scheme: str) -> Response:
    """What `handle` answers, or the error it means."""
    try:
        return handle(form)
    except OAuthError as error:
        log.info("refused", error=error.code)
        return error_of(error, scheme)
    except Refusal as refusal:  # the database is away, or slower than the deadline
        log.warning("unavailable", reason=refusal.reason)
        return unavailable()


async def body_of(request: Request) -> bytes:
    """The request's body; raises OAuthError where it is larger than a form needs to be."""
    try:
        return await forms.body_of(request, BODY_BYTES_MAX)
    except forms.TooLarge:
        said = f"the body is larger than {BODY_BYTES_MAX} bytes"
        raise OAuthError("invalid_request", said, status=413) from None


def form_of(headers: Mapping[str, str], body: bytes) -> Form:
    """The fields of a form; empty ones count as left out, and none may stand twice (RFC 6749, section 3.2)."""
    if not forms.is_form(headers.get("content-type", "")):
        raise OAuthError("invalid_request", f"the body must be {forms.FORM_TYPE}")
    try:
        pairs = [(name, value) for name, value in forms.pairs_of(body, fields_max=FIELDS_MAX) if value]
    except ValueError:
        raise OAuthError("invalid_request", "the body is not a form") from None
    form = dict(pairs)
    if len(form) != len(pairs):
        raise OAuthError("invalid_request", "a field stands twice")
    return form


def error_of(error: OAuthError, scheme: str) -> Response:
    """The answer of RFC 6749, section 5.2: a 401 names the scheme that was tried in vain."""
    content = {"error": error.code} | ({"error_description": error.description} if error.description else {})
    headers = dict(NO_STORE)
    if error.status == 401 and scheme.lower() in ("basic", "bearer"):  # noqa: PLR2004
        headers["WWW-Authenticate"] = f'{scheme.capitalize()} realm="verbund"'
    if error.status == 429:  # noqa: PLR2004
        headers["Retry-After"] = RETRY_SECONDS
    return JSONResponse(content, status_code=error.status, headers=headers)


def failed(_request: Request, _error: Exception) -> Response:
    """A fault of ours; its cause is logged, and never told."""
    return JSONResponse({"error": "server_error"}, status_code=500, headers=NO_STORE)


def unavailable() -> Response:
    """A part that the endpoint needs is away."""
    headers = NO_STORE | {"Retry-After": RETRY_SECONDS}
    return JSONResponse({"error": "temporarily_unavailable"}, status_code=503, headers=headers)
