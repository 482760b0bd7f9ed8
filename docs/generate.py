"""Writes what the documentation can derive: docs/errors.md, docs/access.md, the settings in docs/operations.md, and the
OpenAPI document that the gateway serves.

`python docs/generate.py` writes them; with `--check` it fails where one is not what protos, policy and settings say.
"""

import ast
import importlib.util
import inspect
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import MISSING, Field, fields
from functools import cache
from pathlib import Path
from typing import Any, get_type_hints

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from verbund import settings as loader
from verbund.console.openapi import comments
from verbund.console.openapi.document import as_text, document
from verbund.console.settings import ConsoleSettings
from verbund.database.settings import DatabaseSettings
from verbund.embedded.home import Home
from verbund.embedded.keycloak.settings import KeycloakSettings
from verbund.embedded.settings import EmbeddedSettings, for_parts
from verbund.embedded.users import ServiceUser
from verbund.errors.v1 import reason_pb2
from verbund.exchange.settings import ExchangeSettings
from verbund.identity.settings import IdentitySettings
from verbund.policy import catalogue
from verbund.policy.roles import PERMISSIONS_OF, roles_holding
from verbund.policy.table import ASSURANCE_NAMES, Rule, rule_of
from verbund.policy.v1 import policy_pb2
from verbund.provider.settings import ProviderSettings
from verbund.registry.settings import RegistrySettings
from verbund.serving.infrastructure import REFLECTION_RULE
from verbund.serving.settings import ServingSettings
from verbund.serving.status import advice_of
from verbund.traces.settings import TraceSettings
from verbund_gateway.refusals import mappings
from verbund_gateway.settings import GatewaySettings
from verbund_gateway.transcoding import bindings

ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- settings: written by docs/generate.py -->", "<!-- settings end -->"
WRITTEN = "<!-- Written by docs/generate.py from {source}. Change that, then run `make generate`. -->\n"
# google/rpc/code.proto says which HTTP status each code is mapped to.
HTTP_OF_CODE = {3: 400, 4: 504, 5: 404, 6: 409, 7: 403, 8: 429, 9: 400, 10: 409, 12: 501, 13: 500, 14: 503, 16: 401}
FIXERS = {
    "FIXER_CALLER": "the caller",
    "FIXER_CALLER_ADMINISTRATOR": "the administrator of the caller's organisation",
    "FIXER_PROVIDER": "the organisation whose resource it is",
    "FIXER_OPERATOR": "the operator of the mesh",
}
SETTINGS: tuple[tuple[str, str, type[Any]], ...] = (
    ("Embedded mode", "VERBUND_EMBEDDED_", EmbeddedSettings),
    ("Serving, of every service", "VERBUND_SERVING_", ServingSettings),
    ("Database, of every service", "VERBUND_DATABASE_", DatabaseSettings),
    ("Identity", "VERBUND_IDENTITY_", IdentitySettings),
    ("Exchange", "VERBUND_EXCHANGE_", ExchangeSettings),
    ("Registry", "VERBUND_REGISTRY_", RegistrySettings),
    ("Console", "VERBUND_CONSOLE_", ConsoleSettings),
    ("Gateway", "VERBUND_GATEWAY_", GatewaySettings),
    ("Trace store", "VERBUND_TRACES_", TraceSettings),
    ("Built-in provider", "VERBUND_PROVIDER_", ProviderSettings),
    ("Keycloak, with `--idp keycloak`", "VERBUND_KEYCLOAK_", KeycloakSettings),
)


def main(arguments: Sequence[str]) -> int:
    """Writes or checks; the exit code is 0 where everything matches."""
    stale = [path for path, text in documents().items() if not path.exists() or path.read_text() != text]
    if "--check" in arguments:
        for path in stale:
            print(f"{path.relative_to(ROOT)} is not what the sources say: run `make generate`", file=sys.stderr)
        return 1 if stale else 0
    for path in stale:
        path.write_text(documents()[path])
    return 0


@cache
def documents() -> dict[Path, str]:
    """Every derived document as it should read."""
    operations = ROOT / "docs" / "operations.md"
    return {
        ROOT / "docs" / "errors.md": errors(),
        ROOT / "docs" / "access.md": access(),
        operations: with_settings(operations.read_text()),
        ROOT / "services" / "verbund" / "console" / "openapi.json": as_text(document(comments.comments_of(image()))),
    }


def image() -> FileDescriptorSet:
    """The protos with their comments, which only protoc knows."""
    specification = importlib.util.spec_from_file_location("generate_protos", ROOT / "protos" / "generate.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    with tempfile.TemporaryDirectory() as directory:
        found: FileDescriptorSet = module.described(Path(directory))
        return found


def errors() -> str:
    """Every reason of a refusal: first as a table, then one by one."""
    reasons = [value.name.removeprefix("REASON_") for value in reason_pb2.Reason.DESCRIPTOR.values if value.number]
    rows = [reason_row(reason) for reason in reasons]
    return "\n".join(
        [
            WRITTEN.format(source="protos/verbund/errors/v1/reason.proto"),
            "# Refusals\n",
            ERRORS_INTRODUCTION,
            *table(("Reason", "gRPC", "HTTP", "A retry can help", "Who can remove the cause"), rows),
            "",
            *(line for reason in reasons for line in reason_section(reason)),
        ]
    )


ERRORS_INTRODUCTION = """\
Every refusal is a `google.rpc.Status` with a `google.rpc.ErrorInfo` of the domain `verbund`. Branch on its `reason`.
The message is one constant sentence; what varies stands in `metadata` and in the other details. `metadata` always has
`retry`, `fixer` and `remedy`, and `traceId` where the call was traced. Gateway and services refuse in the same form.

Over gRPC the status is in the trailer `grpc-status-details-bin`. Over JSON it is the body:

```json
{
  "code": 7,
  "message": "The caller's roles do not hold the permission that the rule asks for.",
  "details": [
    {
      "@type": "type.googleapis.com/google.rpc.ErrorInfo",
      "reason": "PERMISSION_MISSING",
      "domain": "verbund",
      "metadata": {
        "rule": "verbund.registry.v1.ProjectService.UpdateProject",
        "permission": "registry.projects.update",
        "retry": "false",
        "fixer": "caller_administrator",
        "remedy": "Ask your organisation's administrator for a role that holds the permission.",
        "traceId": "4bf92f3577b34da6a3ce929d0e0e4736"
      }
    }
  ]
}
```

The OAuth endpoints below `/oauth2/` answer as RFC 6749 says (`error`, `error_description`) instead.

Statuses of HTTP are those of `google/rpc/code.proto`. Where the gateway refuses by itself with a more exact one, it is
given after "edge".
"""


def reason_row(reason: str) -> tuple[str, ...]:
    """A reason in the table."""
    advice = advice_of(reason)
    return (
        f"[{reason}](#{reason.lower()})",
        code_name(advice.code),
        http_of(reason, advice.code),
        "yes" if advice.retry_can_help else "no",
        FIXERS[reason_pb2.Fixer.Name(advice.fixer)],
    )


def reason_section(reason: str) -> Iterator[str]:
    """A reason by itself."""
    advice = advice_of(reason)
    meaning, _, example = comment_of("verbund/errors/v1/reason.proto", f"REASON_{reason} =").partition("Example:")
    yield f"## {reason}\n"
    yield f"{meaning.strip()}\n"
    yield f"- Message: {advice.message}"
    yield f"- Remedy, for {FIXERS[reason_pb2.Fixer.Name(advice.fixer)]}: {advice.remedy}"
    yield f"- Example: {example.strip()}\n"


def code_name(number: int) -> str:
    """The name of a gRPC status code."""
    return next(code.name for code in grpc.StatusCode if code.value[0] == number)


def http_of(reason: str, code: int) -> str:
    """The statuses over HTTP: a service's, and the gateway's own where it has another."""
    mapped = HTTP_OF_CODE[code]
    edge = sorted({mapping.http for mapping in mappings() if mapping.refusal.reason == reason} - {mapped})
    return f"{mapped}; edge {', '.join(map(str, edge))}" if edge else str(mapped)


def access() -> str:
    """Who may call what, and what roles hold."""
    return "\n".join(
        [
            WRITTEN.format(source="the rules in protos/ and in verbund/<area>/routes.py"),
            "# Access\n",
            ACCESS_INTRODUCTION,
            *(line for area in catalogue.AREAS for line in area_section(area)),
            *plain_section(),
            *roles_section(),
        ]
    )


ACCESS_INTRODUCTION = """\
Who may call which method. The gateway checks it, and the service once more. It is about methods only: whose resource it
is, the service decides, and the database holds it a third time (row-level security).

- **Audience**: PUBLIC is anybody, SIGNED_IN every caller with a token, MEMBER a caller of a member organisation whose
  roles hold the permission, OPERATOR the same among those who run the mesh.
- **Rate** is the class of calls that a call is counted against, `VERBUND_GATEWAY_RATE_…` in
  [the gateway's settings](operations.md#gateway).
- **Retry**: the gateway sends the call to another worker where one dies, and a client may repeat it. Methods that
  change something take a `request_id` instead, which makes a repetition harmless.
- A rule has the name of its method, `verbund.registry.v1.ProjectService.GetProject`, unless another is given.
- The assurance `low` satisfies every rule, unless another is given.
"""
HEADINGS = ("Method", "JSON", "Permission", "Audience", "Rate", "Retry", "Roles")


def area_section(area: str) -> Iterator[str]:
    """The methods of an area, service by service; nothing of one that has routes of plain HTTP only."""
    if catalogue.AREAS[area]:
        yield f"## {area.capitalize()}\n"
    for service in catalogue.AREAS[area]:
        yield f"### `{service.full_name}`\n"
        yield from table(HEADINGS, [method_row(method) for method in service.methods])
        yield ""


def method_row(method: MethodDescriptor) -> tuple[str, ...]:
    """One method."""
    routes = "<br>".join(f"`{verb} {plain(path)}`" for verb, path in bindings(method))
    streaming = " (stream)" if method.server_streaming else ""
    return (f"`{method.name}`{streaming}", routes, *rule_columns(rule_of(method)))


def plain(path: str) -> str:
    """A route's template as people write it: `/v1/{name=projects/*}` is `/v1/projects/*`."""
    return re.sub(r"\{[^=}]+=([^}]+)\}", r"\1", path)


def rule_columns(rule: Rule) -> tuple[str, ...]:
    """What a rule says."""
    assurance = ASSURANCE_NAMES[rule.least_assurance]
    stronger = f", {assurance}" if rule.least_assurance > policy_pb2.ASSURANCE_LOW else ""
    audience = policy_pb2.Audience.Name(policy_pb2.Audience.ValueType(rule.audience)).removeprefix("AUDIENCE_")
    return (
        f"`{rule.permission}`" if rule.permission else "none",
        audience + stronger,
        policy_pb2.Rate.Name(policy_pb2.Rate.ValueType(rule.rate)).removeprefix("RATE_"),
        "yes" if rule.safe_to_retry else "no",
        roles_of(rule),
    )


def roles_of(rule: Rule) -> str:
    """The roles that a rule lets in, in words."""
    if not rule.permission:
        return "none needed"
    callers = callers_of(rule)
    return "every role" if callers == set(PERMISSIONS_OF) else ", ".join(sorted(callers))


def callers_of(rule: Rule) -> frozenset[str]:
    """The roles that a rule lets in."""
    holders = roles_holding(rule.permission)
    return holders & {"operator"} if rule.audience == policy_pb2.AUDIENCE_OPERATOR else holders


def plain_section() -> Iterator[str]:
    """What standards define: OAuth, its metadata, reflection, health."""
    yield "## Plain HTTP, reflection, health\n"
    rows = [
        (f"`{' '.join(route.methods)} {route.path}`", f"`{route.rule.name}`", *rule_columns(route.rule))
        for route in catalogue.HTTP_ROUTES
    ]
    rows.append(
        ("`grpc.reflection.v1alpha.ServerReflection`", f"`{REFLECTION_RULE.name}`", *rule_columns(REFLECTION_RULE))
    )
    yield from table(("Route", "Rule", *HEADINGS[2:]), rows)
    yield "\n`GET /healthz` is answered by the gateway itself, to anybody."
    yield "`grpc.health.v1.Health` is for the mesh's own parts, and not routed.\n"


def roles_section() -> Iterator[str]:
    """The permissions of each role."""
    yield "## Roles\n"
    yield "Tokens carry roles. `services/verbund/policy/roles.py` says what each may do.\n"
    permissions = sorted(frozenset().union(*PERMISSIONS_OF.values()))
    rows = [
        (f"`{permission}`", *("yes" if permission in PERMISSIONS_OF[role] else "" for role in PERMISSIONS_OF))
        for permission in permissions
    ]
    yield from table(("Permission", *PERMISSIONS_OF), rows)
    yield ""


def with_settings(text: str) -> str:
    """The operator's manual with its settings as the code has them."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    sections = (line for heading, prefix, kind in SETTINGS for line in settings_section(heading, prefix, kind))
    return "\n".join([before + BEGIN, "", *sections, END + after])


def settings_section(heading: str, prefix: str, kind: type[Any]) -> Iterator[str]:
    """The settings of one area; those that share a comment share a row."""
    hints, comments, given = get_type_hints(kind), comments_of(kind), set_by_up()
    yield f"### {heading}\n"
    rows: dict[str, list[tuple[str, str, str]]] = {}
    for field in fields(kind):
        variable = prefix + field.name.upper()
        cells = (f"`{variable}`", loader.describe(hints[field.name]), default_of(field, given.get(variable)))
        rows.setdefault(comments[field.name], []).append(cells)
    joined = [(*map("<br>".join, zip(*cells, strict=True)), comment) for comment, cells in rows.items()]
    yield from table(("Variable", "Takes", "Default", "Meaning"), joined)
    yield ""


def default_of(field: Field[Any], given: str | None) -> str:
    """What a setting is where nobody sets it."""
    if given is not None:
        return f"`verbund up` sets `{given}`"
    if field.default is MISSING:
        return "none: required"
    match field.default:
        case tuple(values):
            text = ",".join(values)
        case bool(value):
            text = "true" if value else "false"
        case value:
            text = "" if value is None else str(value)
    return f"`{text}`" if text else "empty"


@cache
def set_by_up() -> dict[str, str]:
    """What `verbund up` sets for its parts, as the documentation writes it."""
    home = Path("HOME")
    user = ServiceUser("verbund", 0, 0)
    return for_parts(Home(home, home, user, home / "run"), {})


def comments_of(kind: type[Any]) -> dict[str, str]:
    """The comment above each field. Fields that follow without one of their own share it."""
    lines = inspect.getsource(kind).splitlines()
    found, shared = {}, ""
    for node in ast.walk(ast.parse("\n".join(lines))):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            shared = " ".join(above(lines, node.lineno - 1, "#")) or shared
            found[node.target.id] = shared
    return found


def comment_of(proto: str, start: str) -> str:
    """The comment above the line of a proto that starts so; raises StopIteration where there is none."""
    lines = (ROOT / "protos" / proto).read_text().splitlines()
    number = next(number for number, line in enumerate(lines) if line.strip().startswith(start))
    return " ".join(above(lines, number, "//"))


def above(lines: Sequence[str], number: int, mark: str) -> Iterable[str]:
    """The lines of a comment that ends above line `number`, counted from 0."""
    first = number
    while first > 0 and lines[first - 1].strip().startswith(mark):
        first -= 1
    return (line.strip().removeprefix(mark).strip() for line in lines[first:number])


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """A table of Markdown."""
    yield f"| {' | '.join(headings)} |"
    yield f"|{'---|' * len(headings)}"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
