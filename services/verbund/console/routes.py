"""The plain HTTP routes of the console, with their rules: pages are HTTP."""

from collections.abc import Mapping
from dataclasses import replace

from verbund.policy.table import HttpRoute, Rule
from verbund.policy.v1 import policy_pb2 as pb

OPENAPI_PATH = "/openapi.json"
DOCS_PATH = "/docs"
PAGES_PATH = "/docs/"
PROTOS_PATH = "/protos.zip"
START_PATH = "/console/"
STYLE_PATH = "/console/style.css"
SIGNED_IN_PATH = "/console/signed-in"
SIGNED_OUT_PATH = "/console/signed-out"
PROJECTS_PATH = "/console/projects"
DELIVERIES_PATH = "/console/deliveries/"
DECISIONS_PATH = "/console/decisions/"
READ = ("GET", "HEAD")
LANGUAGE_COOKIE = "__Host-verbund-language"
# What the gateway keeps of a session in the browser, by its own words. The prefix __Host- makes browsers see to it that
# they are of the same host, over TLS, for every path.
SESSION_COOKIES: Mapping[str, str] = {
    "bearer_token": "__Host-verbund-token",
    "oauth_hmac": "__Host-verbund-hmac",
    "oauth_expires": "__Host-verbund-expires",
    "id_token": "__Host-verbund-id",
    "refresh_token": "__Host-verbund-refresh",
}


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


def personal(name: str, permission: str, *, changes: bool = False) -> Rule:
    """A rule for a person's pages: who may read such things at all. The services decide what each may see and do."""
    return Rule(
        name=name,
        permission=permission,
        audience=pb.AUDIENCE_MEMBER,
        least_assurance=pb.ASSURANCE_LOW,
        rate=pb.RATE_WRITE if changes else pb.RATE_READ,
        safe_to_retry=not changes,
    )


START = personal("console.start.read", "registry.projects.read")
PROJECTS = personal("console.projects.list", "registry.projects.read")
PROJECT = personal("console.projects.read", "registry.projects.read")
DELIVERY = personal("console.deliveries.read", "exchange.deliveries.read")
DECISION = personal("console.decisions.make", "exchange.deliveries.read", changes=True)
SIGNED_IN = Rule(
    name="console.signed-in.read",
    permission="",
    audience=pb.AUDIENCE_SIGNED_IN,
    least_assurance=pb.ASSURANCE_LOW,
    rate=pb.RATE_READ,
    safe_to_retry=True,
)


def page(path: str, rule: Rule) -> HttpRoute:
    """A route of a person's page: behind a session, in the language that the browser remembers."""
    return HttpRoute(area="console", methods=READ, path=path, rule=rule, browser=True, cookies=(LANGUAGE_COOKIE,))


def form(path: str, rule: Rule) -> HttpRoute:
    """A route that takes what a person typed: it is given back where their session has ended meanwhile."""
    return replace(page(path, rule), methods=("POST",), refuses_itself=True)


ROUTES: tuple[HttpRoute, ...] = (
    HttpRoute(area="console", methods=READ, path=OPENAPI_PATH, rule=public("console.openapi.read")),
    HttpRoute(area="console", methods=READ, path=DOCS_PATH, rule=public("console.contents.read")),
    HttpRoute(area="console", methods=READ, path=PAGES_PATH, rule=public("console.pages.read")),
    HttpRoute(area="console", methods=READ, path=PROTOS_PATH, rule=public("console.protos.read")),
    HttpRoute(area="console", methods=READ, path=STYLE_PATH, rule=public("console.style.read")),
    HttpRoute(
        area="console",
        methods=READ,
        path=SIGNED_OUT_PATH,
        rule=public("console.signed-out.read"),
        cookies=(LANGUAGE_COOKIE,),
    ),
    page(PROJECTS_PATH, PROJECTS),
    page(f"{PROJECTS_PATH}/", PROJECT),
    page(DELIVERIES_PATH, DELIVERY),
    form(DECISIONS_PATH, DECISION),
    page(SIGNED_IN_PATH, SIGNED_IN),
    # The last: every other path below it is a page that there is not.
    page(START_PATH, START),
)
