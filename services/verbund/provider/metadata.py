"""What an issuer says of itself: its configuration (OpenID Connect Discovery 1.0, section 3) and its public keys."""

from typing import Any

from verbund.openid.requests import CHALLENGE_METHOD, RESPONSE_TYPE, SCOPES
from verbund.provider.requests import PROMPTS
from verbund.provider.state import Issuer
from verbund.provider.texts import LANGUAGES
from verbund.provider.tokens import ALGORITHM, GRANT_TYPE

CONFIGURATION = "/.well-known/openid-configuration"
AUTHORIZE, TOKEN, USERINFO = "/authorize", "/token", "/userinfo"
KEYS, END_SESSION = "/jwks", "/end-session"
CLAIMS = ("iss", "sub", "aud", "azp", "exp", "iat", "auth_time", "acr", "nonce", "at_hash", "name", "email", "roles")


def configuration(issuer: Issuer) -> dict[str, Any]:
    """The provider's configuration."""
    return {
        "issuer": issuer.url,
        "authorization_endpoint": issuer.url + AUTHORIZE,
        "token_endpoint": issuer.url + TOKEN,
        "userinfo_endpoint": issuer.url + USERINFO,
        "jwks_uri": issuer.url + KEYS,
        "end_session_endpoint": issuer.url + END_SESSION,
        "scopes_supported": SCOPES,
        "response_types_supported": [RESPONSE_TYPE],
        "response_modes_supported": ["query"],
        "grant_types_supported": [GRANT_TYPE],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [ALGORITHM],
        "token_endpoint_auth_methods_supported": ["none"],
        "code_challenge_methods_supported": [CHALLENGE_METHOD],
        "prompt_values_supported": PROMPTS,
        "claims_supported": CLAIMS,
        "acr_values_supported": sorted({person.acr for person in issuer.organisation.people}),
        "ui_locales_supported": LANGUAGES,
        "authorization_response_iss_parameter_supported": True,
        "claims_parameter_supported": False,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
    }


def key_set(issuer: Issuer) -> dict[str, Any]:
    """The public keys (RFC 7517, section 5)."""
    return {"keys": [issuer.accounts.key.as_dict(private=False)]}
