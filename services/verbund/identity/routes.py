"""The plain HTTP routes of identity, with their rules: OAuth and its metadata are HTTP by standard."""

from verbund.policy.table import HttpRoute, Rule
from verbund.policy.v1 import policy_pb2 as pb

TOKEN_PATH = "/oauth2/token"  # noqa: S105 - a path
REVOKE_PATH = "/oauth2/revoke"
JWKS_PATH = "/oauth2/jwks"
METADATA_PATH = "/.well-known/oauth-authorization-server"


def public(name: str, rate: int) -> Rule:
    """A rule for callers who have no token yet."""
    return Rule(name=name, permission="", audience=pb.AUDIENCE_PUBLIC, least_assurance=pb.ASSURANCE_LOW, rate=rate)


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
)
