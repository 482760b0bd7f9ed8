"""The routes of Jaeger's query API, with their rules. Traces tell who called whom, so they are the operator's."""

from verbund.policy.table import HttpRoute, Rule
from verbund.policy.v1 import policy_pb2 as pb

AREA = "traces"
PERMISSION = "traces.read"


def route(name: str, path: str) -> HttpRoute:
    """A route for operators."""
    rule = Rule(
        name=name,
        permission=PERMISSION,
        audience=pb.AUDIENCE_OPERATOR,
        least_assurance=pb.ASSURANCE_LOW,
        rate=pb.RATE_READ,
        safe_to_retry=True,
    )
    return HttpRoute(area=AREA, methods=("GET",), path=path, rule=rule)


ROUTES: tuple[HttpRoute, ...] = (
    route("traces.services.list", "/api/services"),
    route("traces.services.operations", "/api/services/"),  # {service}/operations
    route("traces.operations.list", "/api/operations"),
    route("traces.traces.search", "/api/traces"),
    route("traces.traces.get", "/api/traces/"),  # {trace id}
    route("traces.dependencies.list", "/api/dependencies"),
)
