"""What identity's plain HTTP routes take and answer: fragments for the OpenAPI document, by the names of the rules."""

from typing import Any

from verbund.identity.signon import manual

Fragment = dict[str, Any]
FORM = "application/x-www-form-urlencoded"
TITLE = "OAuth"
DESCRIPTION = """\
Tokens of the mesh, as OAuth has them. A system proves itself with a signed assertion (RFC 7523); a person's token of
their own organisation's provider is exchanged (RFC 8693). Errors are those of RFC 6749, section 5.2.
"""
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
TOKEN_TYPES = [f"urn:ietf:params:oauth:token-type:{kind}" for kind in ("id_token", "jwt", "access_token")]


def refers(name: str) -> Fragment:
    """A reference to a schema."""
    return {"$ref": f"#/components/schemas/{name}"}


def answer(description: str, schema: Fragment, media: str = "application/json", **more: Any) -> Fragment:
    """An answer with a body."""
    return {"description": description, "content": {media: {"schema": schema, **more}}}


def refused(description: str, code: str, *more: str) -> Fragment:
    """An error of RFC 6749; where the gateway refuses with the same status, a Status."""
    either = {"anyOf": [refers("oauth.Error"), refers("google.rpc.Status")]}
    told = ", ".join(f"`{name}`" for name in (code, *more))
    return answer(f"{description} {told}.", either, example={"error": code})


def form(schema: str, example: Fragment) -> Fragment:
    """The body of a request."""
    return {"required": True, "content": {FORM: {"schema": refers(schema), "example": example}}}


ERRORS: Fragment = {
    "400": refused("The request is not one that the standard knows.", "invalid_request", "invalid_grant"),
    "401": refused("The client did not prove who it is.", "invalid_client"),
    "413": refused("The body is larger than a form needs to be.", "invalid_request"),
    "429": refused("Too many requests: keep a token until it expires.", "temporarily_unavailable"),
    "500": refused("A fault of the mesh.", "server_error"),
    "503": refused("A part of the mesh is not reachable at the moment.", "temporarily_unavailable"),
}
PROOF: Fragment = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": "eyJhbGciOiJFUzI1NiJ9.…"}
OPERATIONS: dict[str, Fragment] = {
    "identity.tokens.issue": {
        "summary": "Obtains an access token",
        "description": (
            "For a system by a signed assertion (RFC 6749, section 4.4, with RFC 7523), for a person by the token of "
            "their organisation's provider (RFC 8693). Keep the token until it expires."
        ),
        "requestBody": form("oauth.TokenRequest", {"grant_type": "client_credentials"} | PROOF),
        "responses": {"200": answer("The token.", refers("oauth.Token")), **ERRORS},
        "curl": 'curl --cacert "$CA" "$MESH/oauth2/token" \\\n'
        "  -d grant_type=client_credentials \\\n"
        f"  -d client_assertion_type={ASSERTION_TYPE} \\\n"
        '  --data-urlencode "client_assertion=$ASSERTION"',
    },
    "identity.tokens.revoke": {
        "summary": "Ends a token of the client's own",
        "description": "A token that is none, or has expired, needs no end: the answer is the same (RFC 7009).",
        "requestBody": form("oauth.RevocationRequest", {"token": "eyJhbGciOiJFUzI1NiJ9.…"} | PROOF),
        "responses": {"200": {"description": "The token is good for nothing any more."}, **ERRORS},
        "curl": 'curl --cacert "$CA" "$MESH/oauth2/revoke" \\\n'
        '  -d "token=$TOKEN" \\\n'
        f"  -d client_assertion_type={ASSERTION_TYPE} \\\n"
        '  --data-urlencode "client_assertion=$ASSERTION"',
    },
    "identity.keys.read": {
        "summary": "Reads the public keys of the mesh's tokens",
        "description": "A JWK Set (RFC 7517). A key is in it ten minutes before it signs: a cache of a minute is safe.",
        "responses": {
            "200": answer("The keys.", refers("oauth.Keys"), "application/jwk-set+json"),
            "500": ERRORS["500"],
            "503": ERRORS["503"],
        },
    },
    "identity.metadata.read": {
        "summary": "Reads what the authorisation server offers",
        "description": "The metadata of RFC 8414.",
        "responses": {"200": answer("The metadata.", refers("oauth.Metadata")), "500": ERRORS["500"]},
    },
}
OPERATIONS |= manual.OPERATIONS
TEXT: Fragment = {"type": "string"}
TEXTS: Fragment = {"type": "array", "items": TEXT}
PROVEN: Fragment = {
    "client_assertion_type": {"const": ASSERTION_TYPE},
    "client_assertion": {
        "type": "string",
        "description": "A JWT that the system signed with its key: `iss` and `sub` are its name, `aud` is the issuer.",
    },
    "client_id": {"type": "string", "description": "Where given, the system's name."},
}
SCHEMAS: dict[str, Fragment] = {
    "oauth.TokenRequest": {
        "type": "object",
        "properties": {
            "grant_type": {
                "type": "string",
                "enum": ["client_credentials", EXCHANGE, "authorization_code", "refresh_token"],
            },
            **PROVEN,
            "subject_token": {"type": "string", "description": "For an exchange: the token of the person's provider."},
            "code": {"type": "string", "description": "For a sign-on: what came back."},
            "code_verifier": {"type": "string", "description": "For a sign-on: what the challenge was made of."},
            "redirect_uri": {"type": "string", "description": "For a sign-on: the address of the request."},
            "refresh_token": {"type": "string", "description": "For a refresh: the newest one."},
            "client_secret": {"type": "string", "description": "Of the mesh's own pages."},
            "subject_token_type": {"type": "string", "enum": TOKEN_TYPES},
        },
        "required": ["grant_type"],
    },
    "oauth.Token": {
        "type": "object",
        "properties": {
            "access_token": TEXT,
            "token_type": {"const": "Bearer"},
            "expires_in": {"type": "integer", "minimum": 1, "description": "Its life in seconds."},
            "refresh_token": {"type": "string", "description": "Of a sign-on: good once."},
            "id_token": {"type": "string", "description": "Of a sign-on: who the person is."},
            "scope": {"type": "string", "description": "Of a sign-on."},
            "issued_token_type": {"type": "string", "description": "Of an exchange."},
        },
        "required": ["access_token", "token_type", "expires_in"],
    },
    "oauth.RevocationRequest": {
        "type": "object",
        "properties": {"token": TEXT, **PROVEN},
        "required": ["token", "client_assertion_type", "client_assertion"],
    },
    "oauth.Error": {
        "type": "object",
        "properties": {"error": TEXT, "error_description": TEXT},
        "required": ["error"],
    },
    "oauth.Keys": {
        "type": "object",
        "properties": {"keys": {"type": "array", "items": {"type": "object", "required": ["kty", "kid"]}}},
        "required": ["keys"],
    },
    "oauth.Metadata": {
        "type": "object",
        "properties": {
            "issuer": TEXT,
            "token_endpoint": TEXT,
            "jwks_uri": TEXT,
            "grant_types_supported": TEXTS,
            "response_types_supported": TEXTS,
        },
        "required": ["issuer", "token_endpoint", "jwks_uri"],
    },
}
