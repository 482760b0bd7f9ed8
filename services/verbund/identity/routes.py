"""The plain HTTP routes of identity, with their rules: OAuth and its metadata are HTTP by standard."""

from verbund.policy.table import HttpRoute, Rule
from verbund.policy.v1 import policy_pb2 as pb


def public(name: str, rate: int) -> Rule:
    """A rule for callers who have no token yet."""
    return Rule(name=name, permission="", audience=pb.AUDIENCE_PUBLIC, least_assurance=pb.ASSURANCE_LOW, rate=rate)


ROUTES: tuple[HttpRoute, ...] = (
    HttpRoute(
        area="identity",
        methods=("POST",),
        path="/oauth2/token",
        rule=public("identity.tokens.issue", pb.RATE_AUTHENTICATE),
    ),
    HttpRoute(
        area="identity",
        methods=("POST",),
        path="/oauth2/revoke",
        rule=public("identity.tokens.revoke", pb.RATE_AUTHENTICATE),
    ),
    HttpRoute(area="identity", methods=("GET",), path="/oauth2/jwks", rule=public("identity.keys.read", pb.RATE_READ)),
    HttpRoute(
        area="identity",
        methods=("GET",),
        path="/.well-known/oauth-authorization-server",
        rule=public("identity.metadata.read", pb.RATE_READ),
    ),
)
