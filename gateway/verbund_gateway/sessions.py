"""Browsers: Envoy's oauth2 filter keeps their tokens in encrypted cookies, on the routes that say that browsers come.

Everywhere else it is off, so that a cookie never authenticates a call of the API. Before it stands a wall: what a
browser sends from another site changes nothing, whatever cookies come with it.
"""

from collections.abc import Iterable
from typing import Any

from verbund.console.routes import SESSION_COOKIES, SIGNED_OUT_PATH
from verbund.policy.table import HttpRoute

from verbund_gateway import jwt, rbac, transcoding
from verbund_gateway.bootstrap import watched
from verbund_gateway.clusters import name_of
from verbund_gateway.extension import Config, extension, seconds, typed
from verbund_gateway.settings import GatewaySettings

FILTER, WALL = "envoy.filters.http.oauth2", "verbund.filters.cross_site"
SIEVE = "envoy.filters.http.lua"
OAUTH2 = "extensions.filters.http.oauth2.v3"
CLIENT, CROSS_SITE = "console", "CROSS_SITE"
CALLBACK_PATH, SIGN_OUT_PATH = "/console/callback", "/console/signout"
CLIENT_SECRET, COOKIE_SECRET = "console-client", "browser-cookies"
SAFE_METHODS = "GET|HEAD|OPTIONS"
SESSION_SECONDS = 12 * 3600
SIGN_ON_SECONDS = 600
COOKIES = {
    **SESSION_COOKIES,
    # Of a sign-on that is under way: each has its own, so that two tabs do not disturb each other.
    "oauth_nonce": "__Host-verbund-nonce",
    "code_verifier": "__Host-verbund-verifier",
}

# It looks for its own and does not read the others: those that hold tokens are long.
SIEVE_SOURCE = """\
function envoy_on_request(handle)
  local sent = "; " .. (handle:headers():get("cookie") or "")
  local kept = {}
  for name in pairs(own) do
    local _, last = string.find(sent, "; " .. name .. "=", 1, true)
    if last then table.insert(kept, name .. "=" .. string.match(sent, "^[^;%s]*", last + 1)) end
  end
  handle:headers():remove("cookie")
  if #kept > 0 then handle:headers():add("cookie", table.concat(kept, "; ")) end
end
"""


def has_sessions(settings: GatewaySettings) -> bool:
    """Whether browsers sign on here."""
    return settings.console_secret_file is not None and settings.cookie_secret_file is not None


def filters(settings: GatewaySettings) -> list[Config]:
    """The wall and the filter, where browsers sign on; and what keeps the cookies of one from others."""
    # The last of them: what it takes away, the filter has read.
    sieve = {**extension(SIEVE, "extensions.filters.http.lua.v3.Lua"), "disabled": True}
    if not has_sessions(settings):
        return [sieve]
    oauth2_filter = {**extension(FILTER, f"{OAUTH2}.OAuth2", config=oauth2(settings)), "disabled": True}
    return [wall(settings), oauth2_filter, sieve]


def secrets(settings: GatewaySettings) -> dict[str, Config]:
    """The secrets as resources of the secret discovery service (SDS), by file: Envoy takes one from each.

    They name files, and say nothing of what stands in those.
    """
    if not has_sessions(settings):
        return {}
    found = {CLIENT_SECRET: settings.console_secret_file, COOKIE_SECRET: settings.cookie_secret_file}
    return {
        f"{name}.json": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
            "name": name,
            "generic_secret": {"secret": {"filename": str(file)}},
        }
        for name, file in found.items()
    }


def wall(settings: GatewaySettings) -> Config:
    """Refuses what a browser sends from another site with its cookies: whatever would change something."""
    foreign = [
        unless(header("origin", {"exact": settings.issuer})),
        {
            "and_rules": {
                "rules": [present("sec-fetch-site"), unless(header("sec-fetch-site", {"exact": "same-origin"}))]
            }
        },
    ]
    crossing = [
        present("cookie"),
        unless(present("authorization")),
        unless(header(":method", {"safe_regex": {"regex": SAFE_METHODS}})),
        {"or_rules": {"rules": foreign}},
    ]
    policy = {"permissions": [{"and_rules": {"rules": crossing}}], "principals": [{"any": True}]}
    return extension(
        WALL, "extensions.filters.http.rbac.v3.RBAC", rules={"action": "DENY", "policies": {CROSS_SITE: policy}}
    )


def oauth2(settings: GatewaySettings) -> Config:
    """The filter: it sends browsers to identity, and takes codes and refresh tokens there by itself."""
    cookie = {"same_site": "LAX"}
    return {
        "token_endpoint": {
            "cluster": name_of("identity", "http"),
            "uri": f"{settings.issuer}/oauth2/token",
            "timeout": seconds(10),
        },
        "authorization_endpoint": f"{settings.issuer}/oauth2/authorize",
        "end_session_endpoint": f"{settings.issuer}/oauth2/logout",
        "post_logout_redirect_uri": {"uri": settings.issuer + SIGNED_OUT_PATH},
        "redirect_uri": settings.issuer + CALLBACK_PATH,
        # Before the path that the browser asked for: the gateway knows hosts without their ports.
        "original_request_uri": settings.issuer,
        "redirect_path_matcher": {"path": {"exact": CALLBACK_PATH}},
        "signout_path": {"path": {"exact": SIGN_OUT_PATH}},
        "credentials": {
            "client_id": CLIENT,
            "token_secret": secret(settings, CLIENT_SECRET),
            "hmac_secret": secret(settings, COOKIE_SECRET),
            "cookie_names": COOKIES,
        },
        "auth_scopes": ["openid"],
        # The token goes on as a header, which jwt_authn and the services verify as anybody's.
        "forward_bearer_token": True,
        # Who brings a token of their own is no browser.
        "pass_through_matcher": [{"name": "authorization", "present_match": True}],
        # Programs are told that they are nobody; so is a form, which no redirect would bring back.
        "deny_redirect_matcher": [
            {"name": "accept", "string_match": {"prefix": "application/json"}},
            {"name": ":method", "string_match": {"safe_regex": {"regex": SAFE_METHODS}}, "invert_match": True},
        ],
        "use_refresh_token": True,
        "default_refresh_token_expires_in": seconds(SESSION_SECONDS),
        "csrf_token_expires_in": seconds(SIGN_ON_SECONDS),
        "code_verifier_token_expires_in": seconds(SIGN_ON_SECONDS),
        "cookie_configs": {f"{name}_cookie_config": cookie for name in COOKIES},
        "stat_prefix": "edge",
    }


def secret(settings: GatewaySettings, name: str) -> Config:
    """Where a secret is found."""
    return {"name": name, "sds_config": watched(settings.directory, f"{name}.json")}


def switches(settings: GatewaySettings, route: HttpRoute) -> Config:
    """What a route asks of these filters."""
    works = switched_on(settings, **passing(route)) if route.browser and has_sessions(settings) else {}
    return works | (own_cookies(route.cookies) if route.cookies else {})


def switched_on(settings: GatewaySettings, **more: Any) -> Config:
    """A route on which the filter works."""
    return {FILTER: typed(f"{OAUTH2}.OAuth2PerRoute", config=oauth2(settings) | more)}


def passing(route: HttpRoute) -> Config:
    """What lets those pass who have no session, without their cookies, where the area refuses them itself."""
    return {"allow_failed_matcher": [{"name": ":method", "present_match": True}]} if route.refuses_itself else {}


def routes(settings: GatewaySettings) -> list[Config]:
    """The two paths that the filter answers itself."""
    if not has_sessions(settings):
        return []
    free = {rbac.FILTER: typed("extensions.filters.http.rbac.v3.RBACPerRoute")}
    off = free | jwt.switched_off() | transcoding.switched_off() | switched_on(settings)
    return [
        {
            "name": f"gateway.sessions{path}",
            "match": {"path": path},
            "direct_response": {"status": 404},
            "typed_per_filter_config": off,
        }
        for path in (CALLBACK_PATH, SIGN_OUT_PATH)
    ]


def own_cookies(names: Iterable[str]) -> Config:
    """The filter on a route that cookies reach: its area sees its own, and none of those that hold tokens."""
    listed = ", ".join(f'["{name}"] = true' for name in names)
    source = {"inline_string": f"local own = {{ {listed} }}\n{SIEVE_SOURCE}"}
    return {SIEVE: typed("extensions.filters.http.lua.v3.LuaPerRoute", source_code=source)}


def header(name: str, value: Config) -> Config:
    """The requests in which a header is so."""
    return {"header": {"name": name, "string_match": value}}


def present(name: str) -> Config:
    """The requests that have a header."""
    return {"header": {"name": name, "present_match": True}}


def unless(rule: Config) -> Config:
    """The other requests."""
    return {"not_rule": rule}
