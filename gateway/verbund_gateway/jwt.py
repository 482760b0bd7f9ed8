"""Who calls: Envoy's jwt_authn with the mesh's keys inline, in a file of its own, so keys change without a break."""

import json
from collections.abc import Mapping
from typing import Any

from verbund_gateway.extension import Config, typed
from verbund_gateway.settings import GatewaySettings

FILTER = "envoy.filters.http.jwt_authn"
PROVIDER = "mesh"
CLAIMS = "claims"  # the token's payload in the filter's metadata
TYPE = "extensions.filters.http.jwt_authn.v3.JwtAuthentication"
PER_ROUTE = "extensions.filters.http.jwt_authn.v3.PerRouteConfig"
UNLESS_MISSING = "unless_missing"


def authentication(settings: GatewaySettings, jwks: Mapping[str, Any]) -> Config:
    """The filter's configuration: every request needs a token of the mesh, unless its route switches the filter off."""
    provider = {
        "issuer": settings.issuer,
        "audiences": [settings.audience],
        "require_expiration": True,
        "clock_skew_seconds": settings.clock_skew_seconds,
        # The services verify it too.
        "forward": True,
        "from_headers": [{"name": "authorization", "value_prefix": "Bearer "}],
        "payload_in_metadata": CLAIMS,
        "local_jwks": {"inline_string": json.dumps(public(jwks), separators=(",", ":"), sort_keys=True)},
        # A verified token is remembered, and forgotten with the keys: this filter is made anew when they change.
        "jwt_cache_config": {"jwt_cache_size": 1000},
    }
    needed = {"provider_name": PROVIDER}
    return typed(
        TYPE,
        providers={PROVIDER: provider},
        rules=[{"match": {"prefix": "/"}, "requires": needed}],
        # For routes that say so: no token, or a good one.
        requirement_map={UNLESS_MISSING: {"requires_any": {"requirements": [needed, {"allow_missing": {}}]}}},
        bypass_cors_preflight=True,
        # Its own answer repeats the whole URL in WWW-Authenticate, and says what is wrong with the token.
        strip_failure_response=True,
        stat_prefix="edge",
    )


def public(jwks: Mapping[str, Any]) -> dict[str, Any]:
    """Only keys for ES256, only their public members: nothing else is a key of the mesh, whatever the file says."""
    members = ("kty", "crv", "x", "y", "kid", "use", "alg")
    keys = [
        {member: key[member] for member in members if member in key}
        for key in jwks["keys"]
        if key.get("kty") == "EC" and key.get("crv") == "P-256" and key.get("alg", "ES256") == "ES256"
    ]
    if not keys:
        raise ValueError("the key set has no public key for ES256")
    return {"keys": [{**key, "alg": "ES256"} for key in keys]}


def resource(settings: GatewaySettings, jwks: Mapping[str, Any]) -> Config:
    """The filter as a resource of the extension config discovery service (ECDS)."""
    return {
        "@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
        "name": FILTER,
        "typed_config": authentication(settings, jwks),
    }


def discovered(source: Config) -> Config:
    """The filter's place in the chain; until its file was read, the listener waits."""
    return {
        "name": FILTER,
        "config_discovery": {"config_source": source, "type_urls": [f"type.googleapis.com/envoy.{TYPE}"]},
    }


def unless_missing() -> Config:
    """A route that lets those pass who have no token, and refuses a bad one."""
    return {FILTER: typed(PER_ROUTE, requirement_name=UNLESS_MISSING)}


def switched_off() -> Config:
    """A route that asks for no token."""
    return {FILTER: typed(PER_ROUTE, disabled=True)}
