"""The gateway's own refusals, in the shape of the services', over JSON, gRPC and gRPC-Web.

A refusal is a `google.rpc.Status` with ErrorInfo. What varies by rule, its name and the status as gRPC carries it,
lies in the route's metadata, so that one mapper serves all rules and a new reason or rule needs no new one.
"""

import base64
import json
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import quote

from google.protobuf.json_format import MessageToJson
from google.rpc.status_pb2 import Status
from verbund.policy.table import ASSURANCE_NAMES, Rule
from verbund.serving.refusals import Down, Exhausted, Forbidden, Invalid, Late, Refusal, Unauthenticated
from verbund.serving.status import CHALLENGES, status_of

from verbund_gateway import rbac
from verbund_gateway.extension import METADATA, Config, extension, header

# Kept by the first filter for the refusals of the later ones: the content type as the client sent it, and the trace.
DIALECT, TRACE = "verbund.dialect", "verbund.trace"
NAMED = {rbac.PERMISSION: "permission", rbac.ASSURANCE: "leastAssurance"}
RETRY_SECONDS = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapping:
    """One kind of refusal: when Envoy makes it, and what it becomes."""

    refusal: Refusal
    http: int  # HTTP's own status where it has one that says more than the mapping of google/rpc/code.proto
    statuses: tuple[int, ...] = ()  # which of Envoy's statuses it replaces
    details: str = ""  # a part of the response code's details, for what the status alone does not tell
    cause: bool = False  # whether Envoy's own text tells the client what to correct


def mappings() -> list[Mapping]:
    """Every refusal the gateway makes; the first that matches counts."""
    unknown, large, down = Refusal("UNKNOWN_METHOD"), Refusal("TOO_LARGE"), Down(retry_seconds=RETRY_SECONDS)
    limited = Exhausted(limit="calls", retry_seconds=RETRY_SECONDS, reason="RATE_LIMITED")
    return [
        Mapping(refusal=Unauthenticated("NO_TOKEN"), http=401, details="jwt_authn_access_denied{Jwt_is_missing}"),
        Mapping(refusal=Unauthenticated("TOKEN_INVALID"), http=401, details="jwt_authn_access_denied"),
        Mapping(refusal=Unauthenticated("NO_TOKEN"), http=401, details=f"matched_policy[{rbac.TOKEN}]"),
        Mapping(refusal=Unauthenticated("NO_TOKEN"), http=401, statuses=(401,)),
        Mapping(refusal=Forbidden("CROSS_SITE"), http=403, details="matched_policy[CROSS_SITE]"),
        Mapping(refusal=unknown, http=404, details="rbac_access_denied_matched_policy[none]"),
        *(
            Mapping(refusal=on_rule(reason), http=403, details=f"rbac_access_denied_matched_policy[{reason}]")
            for reason in NAMED
        ),
        Mapping(refusal=Forbidden(rbac.PERMISSION), http=403, statuses=(403,)),
        Mapping(refusal=unknown, http=405, statuses=(405,)),
        Mapping(refusal=unknown, http=404, statuses=(404, 501)),
        Mapping(refusal=large, http=431, statuses=(431,)),
        Mapping(refusal=large, http=413, statuses=(413,)),
        Mapping(refusal=Invalid(), http=415, statuses=(415,)),
        Mapping(refusal=Invalid(), http=400, details="grpc_json_transcode_failure", cause=True),
        Mapping(refusal=Invalid(), http=400, statuses=(400, 426)),
        Mapping(refusal=limited, http=429, statuses=(429,)),
        Mapping(refusal=Late(), http=504, statuses=(408, 504)),
        Mapping(refusal=down, http=503, statuses=(502, 503)),
        Mapping(refusal=Refusal("INTERNAL"), http=500),
    ]


def on_rule(reason: str) -> Refusal:
    """A refusal whose rule stands in the metadata of the route."""
    return Forbidden(reason, **{"rule": of_route("rule"), NAMED[reason]: of_route(NAMED[reason])})


def of_route(key: str) -> str:
    """Envoy's format for a value of the route's metadata."""
    return f"%METADATA(ROUTE:{METADATA}:{key})%"


def metadata_of(rule: Rule) -> dict[str, str]:
    """What a route's metadata says of its rule: its name, what it asks for, and its refusals as gRPC carries them."""
    known = {"rule": rule.name, "permission": rule.permission, "leastAssurance": ASSURANCE_NAMES[rule.least_assurance]}
    refused = {reason: Forbidden(reason, rule=rule.name, **{key: known[key]}) for reason, key in NAMED.items()}
    return known | {
        reason: binary(status_of(refusal)) for reason, refusal in refused.items() if reason in rbac.policies(rule)
    }


def local_replies(*, traced: bool) -> Config:
    """Envoy's local_reply_config; `traced` where there are traces whose id a refusal can name."""
    return {
        "mappers": [
            mapper for mapping in mappings() for mapper in (grpc_mapper(mapping), json_mapper(mapping, traced=traced))
        ]
    }


def kept() -> Config:
    """The filter that keeps what a refusal later needs, where neither clients nor services see it."""
    values = {DIALECT: "%REQ(content-type)%", TRACE: "%REQ(x-trace-id)%"}
    return extension(
        "envoy.filters.http.set_filter_state",
        "extensions.filters.http.set_filter_state.v3.Config",
        on_request_headers=[
            {
                "object_key": key,
                "factory_key": "envoy.string",
                "format_string": {"text_format_source": {"inline_string": value}},
            }
            for key, value in values.items()
        ],
    )


def json_mapper(mapping: Mapping, *, traced: bool) -> Config:
    """The refusal as JSON, with the trace id that a constant cannot have."""
    body = status_as_json(status_of(mapping.refusal, trace_id=f"%FILTER_STATE({TRACE}:PLAIN)%" if traced else ""))
    if mapping.cause:
        body["details"][1]["fieldViolations"] = [{"description": "%LOCAL_REPLY_BODY%"}]
    return {
        "filter": both(when(mapping)),
        "status_code": mapping.http,
        # What was refused before the first filter has no trace.
        "body_format_override": {"json_format": body, "content_type": "application/json", "omit_empty_values": True},
        "headers_to_add": extra_headers(mapping),
    }


def grpc_mapper(mapping: Mapping) -> Config:
    """The refusal as a response of headers only, as gRPC and gRPC-Web read it."""
    status = status_of(mapping.refusal)
    details = of_route(mapping.refusal.reason) if "rule" in mapping.refusal.metadata else binary(status)
    return {
        "filter": both(spoken("application/grpc"), when(mapping)),
        "status_code": 200,
        "body_format_override": {
            "text_format_source": {"inline_string": ""},
            "content_type": "application/grpc-web+proto",
        },
        "headers_to_add": [
            header("grpc-status", str(status.code)),
            header("grpc-message", quote(status.message, safe=" !#$&'()*+,-./:;<=>?@[]^_`{|}~\"\\").replace("%", "%%")),
            header("grpc-status-details-bin", details),
            *extra_headers(mapping),
        ],
    }


def status_as_json(status: Status) -> Config:
    """A status as JSON has it, its keys in order."""
    found: Config = json.loads(MessageToJson(status, sort_keys=True))
    return found


def binary(status: Status) -> str:
    """A status as the header grpc-status-details-bin has it."""
    return base64.b64encode(status.SerializeToString(deterministic=True)).decode().rstrip("=")


def extra_headers(mapping: Mapping) -> list[Config]:
    """What HTTP says beside the status (RFC 6750, section 3; RFC 9110, section 10.2.3)."""
    if mapping.http == HTTPStatus.UNAUTHORIZED:
        return [header("www-authenticate", CHALLENGES[mapping.refusal.reason])]
    return [header("retry-after", str(RETRY_SECONDS))] if isinstance(mapping.refusal, Exhausted | Down) else []


def when(mapping: Mapping) -> Config:
    """The condition of a mapping."""
    if mapping.details:
        return cel(f"response.code_details.contains('{mapping.details}')")
    if not mapping.statuses:
        return status("GE", 400)
    found = [status("EQ", code) for code in mapping.statuses]
    return found[0] if len(found) == 1 else {"or_filter": {"filters": found}}


def status(op: str, code: int) -> Config:
    """Envoy's status compared with a number."""
    return {
        "status_code_filter": {
            "comparison": {"op": op, "value": {"default_value": code, "runtime_key": "verbund.never_set"}}
        }
    }


def cel(expression: str) -> Config:
    """A condition in CEL."""
    return {
        "extension_filter": extension(
            "envoy.access_loggers.extension_filters.cel",
            "extensions.access_loggers.filters.cel.v3.ExpressionFilter",
            expression=expression,
            cel_config={"enable_string_conversion": True},
        )
    }


def spoken(prefix: str) -> Config:
    """Clients who sent a content type that starts so. Before the first filter it still stands in the request."""
    kept, sent = f"string(filter_state['{DIALECT}'])", "request.headers['content-type']"
    return cel(f"('{DIALECT}' in filter_state ? {kept} : {sent}).startsWith('{prefix}')")


def both(*filters: Config) -> Config:
    """All of the conditions."""
    return {"and_filter": {"filters": list(filters)}} if len(filters) > 1 else filters[0]
