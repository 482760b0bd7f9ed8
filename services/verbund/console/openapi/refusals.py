"""Which refusals an operation can answer with, by HTTP status, with an example of each reason."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf import json_format
from verbund_gateway.refusals import mappings

from verbund.console.openapi.comments import Comments
from verbund.console.openapi.constraints import Schema
from verbund.errors.v1 import reason_pb2
from verbund.policy.table import ASSURANCES, Rule
from verbund.policy.v1 import policy_pb2
from verbund.serving.refusals import (
    Absent,
    Down,
    Exhausted,
    Exists,
    Forbidden,
    Invalid,
    Refusal,
    StateForbids,
    Violation,
)
from verbund.serving.status import CHALLENGES, DOMAIN, advice_of, http_status_of, status_of

PREFIX = "REASON_"
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"  # the example of W3C Trace Context
EXAMPLE_RESOURCE = "projects/charlottenburg-wilmersdorf.smart-space-hardenbergplatz"
EXAMPLE_RULE = "verbund.registry.v1.ProjectService.UpdateProject"
# Reasons that only what moves content piece by piece has.
OF_STREAMS = ("DIGEST_MISMATCH", "STORAGE_FULL", "STORAGE_QUOTA_REACHED", "STREAM_TOO_SLOW")
# Reasons that one method alone has, by its rule.
OF_METHODS = {"MAILBOX_FULL": "verbund.exchange.v1.DeliveryService.SubmitDelivery"}
DETAILS = "type.googleapis.com/google.rpc."


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What of an operation decides how it can be refused."""

    rule: Rule
    changes: bool
    has_parameters: bool
    has_body: bool
    has_cursor: bool
    has_request_id: bool
    streams: bool = False


def reasons() -> list[str]:
    """Every reason, without its prefix."""
    return [value.name.removeprefix(PREFIX) for value in reason_pb2.Reason.DESCRIPTOR.values if value.number]


def refusals_of(facts: Facts) -> dict[int, list[str]]:
    """The reasons that an operation can be refused with, by HTTP status."""
    found: dict[int, list[str]] = {}
    for reason in reasons():
        if can_come(reason, facts):
            for status in statuses_of(reason, facts):
                found.setdefault(status, []).append(reason)
    return dict(sorted(found.items()))


def can_come(reason: str, facts: Facts) -> bool:
    """Whether a reason fits an operation. What is not named here follows from its code."""
    named = {
        "PERMISSION_MISSING": bool(facts.rule.permission),
        "ASSURANCE_TOO_LOW": facts.rule.least_assurance > ASSURANCES["low"],
        "CURSOR_INVALID": facts.has_cursor,
        "REQUEST_ID_REUSED": facts.has_request_id,
        "INPUT_INVALID": True,
        "NOT_FOUND": facts.has_parameters or facts.changes,
        "UNKNOWN_METHOD": facts.has_parameters,
        **dict.fromkeys(OF_STREAMS, facts.streams),
        **{reason: facts.rule.name == name for reason, name in OF_METHODS.items()},
    }
    code = http_status_of(advice_of(reason).code)
    by_code = {
        401: facts.rule.audience != policy_pb2.AUDIENCE_PUBLIC,
        **dict.fromkeys((400, 403, 404, 409), facts.changes),
    }
    return named.get(reason, by_code.get(code, True))


def statuses_of(reason: str, facts: Facts) -> list[int]:
    """The statuses of a reason: the service's, and those with which the gateway refuses by itself."""
    edge = {mapping.http for mapping in mappings() if mapping.refusal.reason == reason}
    mapped = http_status_of(advice_of(reason).code)
    with_body_only = {413, 415}
    never = {405} | (set() if facts.has_body else with_body_only)
    # An unknown method is answered by the gateway alone: services have all that it routes.
    own = edge if reason == "UNKNOWN_METHOD" else edge | {mapped}
    return sorted(own - never)


def response_name(status: int, found: Iterable[str]) -> str:
    """What a response is called among the components."""
    return ".".join([str(status), *found])


def response_of(status: int, found: Iterable[str]) -> Schema:
    """A response with the reasons that it can state."""
    told = [f"- `{reason}`: {advice_of(reason).message}" for reason in found]
    headers: Schema = {"x-trace-id": {"$ref": "#/components/headers/x-trace-id"}}
    if status in {429, 503}:
        headers["retry-after"] = {"$ref": "#/components/headers/retry-after"}
    if any(reason in CHALLENGES for reason in found):
        headers["www-authenticate"] = {"$ref": "#/components/headers/www-authenticate"}
    examples = {reason: {"$ref": f"#/components/examples/{reason}"} for reason in found}
    media = {"schema": {"$ref": "#/components/schemas/google.rpc.Status"}, "examples": examples}
    return {
        "description": "\n".join(["Refused:", "", *told]),
        "headers": headers,
        "content": {"application/json": media},
    }


def examples(comments: Comments) -> Schema:
    """An example of each reason, with what it means and who can remove its cause."""
    return {reason: example(reason, comments) for reason in reasons()}


def example(reason: str, comments: Comments) -> Schema:
    """An example of a reason."""
    advice = advice_of(reason)
    meaning, _, told = comments.get(f"verbund.errors.v1.Reason.{PREFIX}{reason}", "").partition("Example:")
    return {
        "summary": advice.message,
        "description": meaning.strip(),
        "value": shown(refusal_of(reason)),
        "x-example": told.strip(),
        "x-remedy": advice.remedy,
        "x-fixer": reason_pb2.Fixer.Name(advice.fixer).removeprefix("FIXER_").lower(),
        "x-retry": advice.retry_can_help,
        "x-statuses": sorted(
            {http_status_of(advice.code), *(m.http for m in mappings() if m.refusal.reason == reason)}
        ),
    }


def shown(refusal: Refusal) -> Schema:
    """A refusal as callers see it, with its metadata in order: protobuf's maps have none."""
    found: Schema = json_format.MessageToDict(status_of(refusal, trace_id=TRACE_ID))
    info = found["details"][0]
    info["metadata"] = dict(sorted(info["metadata"].items()))
    return found


def refusal_of(reason: str) -> Refusal:
    """A refusal with a reason, with the details that its code has."""
    made: Mapping[str, Refusal] = {
        "PERMISSION_MISSING": Forbidden(reason, rule=EXAMPLE_RULE, permission="registry.projects.update"),
        "ASSURANCE_TOO_LOW": Forbidden(reason, rule=EXAMPLE_RULE, leastAssurance="substantial"),
        "NOT_OWNER": Forbidden(reason, rule=EXAMPLE_RULE, resource=EXAMPLE_RESOURCE),
        "INPUT_INVALID": Invalid(Violation("project.period", "it ends before it begins")),
        "NOT_FOUND": Absent(EXAMPLE_RESOURCE),
        "ALREADY_EXISTS": Exists(EXAMPLE_RESOURCE),
        "STATE_FORBIDS": StateForbids(EXAMPLE_RESOURCE, type="STATE", description="The state does not allow this."),
        "RATE_LIMITED": Exhausted(limit="calls", reason=reason),
        "LIMIT_REACHED": Exhausted(limit="watches", reason=reason),
        "UNAVAILABLE": Down(),
    }
    return made.get(reason, Refusal(reason))


def schemas() -> Schema:
    """The shape of every refusal: `google.rpc.Status`, whose first detail is a `google.rpc.ErrorInfo`."""
    return {
        "google.rpc.Status": {
            "type": "object",
            "description": "A refusal. Branch on the `reason` of its first detail, `google.rpc.ErrorInfo`.",
            "properties": {
                "code": {"type": "integer", "description": "The gRPC status code, a value of `google.rpc.Code`."},
                "message": {"type": "string", "description": "What happened, in one constant sentence."},
                "details": {
                    "type": "array",
                    "description": "What varies: ErrorInfo first, then the details of its kind.",
                    "prefixItems": [{"$ref": "#/components/schemas/google.rpc.ErrorInfo"}],
                    "items": {"$ref": "#/components/schemas/google.rpc.Detail"},
                },
            },
            "required": ["code", "message"],
        },
        "google.rpc.ErrorInfo": error_info(),
        "google.rpc.Detail": {
            "type": "object",
            "description": "A detail of `google/rpc/error_details.proto`: its `@type` says which.",
            "properties": {"@type": {"type": "string", "pattern": r"^type\.googleapis\.com/google\.rpc\."}},
            "required": ["@type"],
        },
    }


def error_info() -> Schema:
    """Why a call was refused, and what to do."""
    known: dict[str, Any] = {
        "retry": {
            "type": "string",
            "enum": ["true", "false"],
            "description": "Whether the same call can succeed later.",
        },
        "fixer": {
            "type": "string",
            "enum": [name.removeprefix("FIXER_").lower() for name in reason_pb2.Fixer.keys()[1:]],
            "description": "Who can remove the cause.",
        },
        "remedy": {"type": "string", "description": "What they do, in one sentence."},
        "traceId": {"type": "string", "description": "The call's trace, for the operator."},
    }
    return {
        "type": "object",
        "description": "Why the call was refused, and what to do about it.",
        "properties": {
            "@type": {"const": DETAILS + "ErrorInfo"},
            "reason": {"type": "string", "enum": reasons()},
            "domain": {"const": DOMAIN},
            "metadata": {"type": "object", "properties": known, "additionalProperties": {"type": "string"}},
        },
        "required": ["@type", "reason", "domain"],
    }
