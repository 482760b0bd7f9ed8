"""The plain HTTP routes of identity, with their rules: OAuth and its metadata are HTTP by standard."""

from verbund.policy.table import HttpRoute, Rule
from verbund.policy.v1 import policy_pb2 as pb

TOKEN_PATH = "/oauth2/token"  # noqa: S105 - a path
REVOKE_PATH = "/oauth2/revoke"
JWKS_PATH = "/oauth2/jwks"
METADATA_PATH = "/.well-known/oauth-authorization-server"
CONFIGURATION_PATH = "/.well-known/openid-configuration"
# The browser's key, its session's, where it signed in last, and where a sign-out ends that leads over the provider.
BROWSER, SESSION, ORGANISATION, AFTER = (
    f"__Host-verbund-{name}" for name in ("signon", "session", "organisation", "after")
)
AUTHORIZE_PATH, USERINFO_PATH, LOGOUT_PATH = "/oauth2/authorize", "/oauth2/userinfo", "/oauth2/logout"
SIGNED_OUT_PATH, REFUSED_PATH = "/oauth2/signed-out", "/oauth2/refused"


def public(name: str, rate: int) -> Rule:
    """A rule for callers who have no token yet."""
    return Rule(name=name, permission="", audience=pb.AUDIENCE_PUBLIC, least_assurance=pb.ASSURANCE_LOW, rate=rate)


def sign_on(name: str, path: str, *methods: str, rate: int = pb.RATE_AUTHENTICATE) -> HttpRoute:
    """A route of the sign-on: the one place where cookies that prove something reach a service."""
    return HttpRoute(
        area="identity",
        methods=methods,
        path=path,
        rule=public(f"identity.signon.{name}", rate),
        cookies=(BROWSER, SESSION, ORGANISATION, AFTER),
    )


ROUTES: tuple[HttpRoute, ...] = (
    HttpRoute(
        area="identity",
        methods=("POST",),
        path=TOKEN_PATH,
        rule=public("identity.tokens.issue", pb.RATE_AUTHENTICATE),
    ),
    HttpRoute(
        area="identity",
        methods=("POST",),
        path=REVOKE_PATH,
        rule=public("identity.tokens.revoke", pb.RATE_AUTHENTICATE),
    ),
    HttpRoute(area="identity", methods=("GET",), path=JWKS_PATH, rule=public("identity.keys.read", pb.RATE_READ)),
    HttpRoute(
        area="identity",
        methods=("GET",),
        path=METADATA_PATH,
        rule=public("identity.metadata.read", pb.RATE_READ),
    ),
    sign_on("metadata", CONFIGURATION_PATH, "GET", rate=pb.RATE_READ),
    sign_on("style", "/oauth2/style.css", "GET", rate=pb.RATE_READ),
    sign_on("authorize", AUTHORIZE_PATH, "GET", "POST"),
    sign_on("choose", "/oauth2/organisation", "POST"),
    sign_on("callback", "/oauth2/callback", "GET"),
    sign_on("consent", "/oauth2/consent", "POST"),
    sign_on("userinfo", USERINFO_PATH, "GET", "POST"),
    sign_on("leave", LOGOUT_PATH, "GET", "POST"),
    sign_on("left", SIGNED_OUT_PATH, "GET"),
    sign_on("refused", REFUSED_PATH, "GET", rate=pb.RATE_READ),
)
