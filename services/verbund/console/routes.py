"""The plain HTTP routes of the console, with their rules: pages are HTTP."""

from verbund.policy.table import HttpRoute, Rule
from verbund.policy.v1 import policy_pb2 as pb

OPENAPI_PATH = "/openapi.json"
DOCS_PATH = "/docs"
PAGES_PATH = "/docs/"
PROTOS_PATH = "/protos.zip"
READ = ("GET", "HEAD")


def public(name: str) -> Rule:
    """A rule for readers, whoever they are: an interface that is documented in secret is documented badly."""
    return Rule(
        name=name,
        permission="",
        audience=pb.AUDIENCE_PUBLIC,
        least_assurance=pb.ASSURANCE_LOW,
        rate=pb.RATE_READ,
        safe_to_retry=True,
    )


ROUTES: tuple[HttpRoute, ...] = (
    HttpRoute(area="console", methods=READ, path=OPENAPI_PATH, rule=public("console.openapi.read")),
    HttpRoute(area="console", methods=READ, path=DOCS_PATH, rule=public("console.contents.read")),
    HttpRoute(area="console", methods=READ, path=PAGES_PATH, rule=public("console.pages.read")),
    HttpRoute(area="console", methods=READ, path=PROTOS_PATH, rule=public("console.protos.read")),
)
