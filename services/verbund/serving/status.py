"""Refusals as `google.rpc.Status`, with the advice that `verbund/errors/v1/reason.proto` gives.

The gateway uses it for its own refusals too.
"""

import math
from collections.abc import Iterable
from functools import cache
from http import HTTPStatus

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import code_pb2
from google.rpc import error_details_pb2 as details
from google.rpc.status_pb2 import Status

from verbund.errors.v1 import reason_pb2 as pb
from verbund.serving.refusals import Absent, Down, Exhausted, Exists, Invalid, Refusal, StateForbids, Violation

DOMAIN = "verbund"
# gRPC carries a status in its metadata, of which clients take 8 KiB, in base64 and with all the rest of it.
VIOLATIONS_BYTES_MAX = 4_000
DESCRIPTION_CHARACTERS_MAX = 500
# What HTTP says beside an unknown caller's refusal (RFC 6750, section 3).
CHALLENGES = {"NO_TOKEN": 'Bearer realm="verbund"', "TOKEN_INVALID": 'Bearer realm="verbund", error="invalid_token"'}
# The statuses of HTTP as google/rpc/code.proto and the transcoder have them; any other code is a fault.
HTTP_STATUSES = {
    code_pb2.CANCELLED: 499,
    code_pb2.INVALID_ARGUMENT: HTTPStatus.BAD_REQUEST,
    code_pb2.FAILED_PRECONDITION: HTTPStatus.BAD_REQUEST,
    code_pb2.OUT_OF_RANGE: HTTPStatus.BAD_REQUEST,
    code_pb2.UNAUTHENTICATED: HTTPStatus.UNAUTHORIZED,
    code_pb2.PERMISSION_DENIED: HTTPStatus.FORBIDDEN,
    code_pb2.NOT_FOUND: HTTPStatus.NOT_FOUND,
    code_pb2.ALREADY_EXISTS: HTTPStatus.CONFLICT,
    code_pb2.ABORTED: HTTPStatus.CONFLICT,
    code_pb2.RESOURCE_EXHAUSTED: HTTPStatus.TOO_MANY_REQUESTS,
    code_pb2.UNIMPLEMENTED: HTTPStatus.NOT_IMPLEMENTED,
    code_pb2.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    code_pb2.DEADLINE_EXCEEDED: HTTPStatus.GATEWAY_TIMEOUT,
}


def advice_of(reason: str) -> pb.Advice:
    """What `reason.proto` says to do about a reason, named without its prefix. Raises KeyError."""
    value = pb.Reason.DESCRIPTOR.values_by_name[f"REASON_{reason}"]
    advice: pb.Advice = value.GetOptions().Extensions[pb.advice]
    return advice


@cache
def advised(reason: str) -> tuple[int, str, dict[str, str]]:
    """The status code and message of a reason, and the metadata that every refusal with it has."""
    advice = advice_of(reason)
    return (
        advice.code,
        advice.message,
        {
            "retry": "true" if advice.retry_can_help else "false",
            "fixer": pb.Fixer.Name(advice.fixer).removeprefix("FIXER_").lower(),
            "remedy": advice.remedy,
        },
    )


def status_of(refusal: Refusal, *, trace_id: str = "") -> Status:
    """The status that a caller sees."""
    code, message, metadata = advised(refusal.reason)
    info = details.ErrorInfo(reason=refusal.reason, domain=DOMAIN, metadata=metadata | refusal.metadata)
    if trace_id:
        info.metadata["traceId"] = trace_id
    status = Status(code=code, message=message)
    for detail in (info, *details_of(refusal)):
        packed = AnyMessage()
        packed.Pack(detail, deterministic=True)  # the gateway compares what it renders
        status.details.append(packed)
    return status


def http_status_of(code: int) -> int:
    """The status of HTTP that a code of gRPC becomes."""
    return int(HTTP_STATUSES.get(code, HTTPStatus.INTERNAL_SERVER_ERROR))


def retry_seconds_of(refusal: Refusal) -> int | None:
    """What `Retry-After` says, for refusals that a later attempt may not meet."""
    if not isinstance(refusal, Exhausted | Down) or refusal.retry_seconds is None:
        return None
    return max(1, math.ceil(refusal.retry_seconds))


def details_of(refusal: Refusal) -> list[Message]:
    """The detail that each kind of refusal has besides ErrorInfo."""
    match refusal:
        case Invalid():
            return [details.BadRequest(field_violations=fields_of(refusal.violations))]
        case Absent() | Exists():
            return [details.ResourceInfo(resource_type=type_of(refusal.resource), resource_name=refusal.resource)]
        case StateForbids():
            violation = details.PreconditionFailure.Violation(
                type=refusal.type, subject=refusal.resource, description=refusal.description
            )
            return [details.PreconditionFailure(violations=[violation])]
        case Exhausted() | Down() if refusal.retry_seconds is not None:
            delay = Duration()
            delay.FromNanoseconds(int(refusal.retry_seconds * 1e9))
            return [details.RetryInfo(retry_delay=delay)]
    return []


def fields_of(violations: Iterable[Violation]) -> list[details.BadRequest.FieldViolation]:
    """The first violations, as many as a client can receive."""
    found: list[details.BadRequest.FieldViolation] = []
    left = VIOLATIONS_BYTES_MAX
    for violation in violations:
        description = violation.description[:DESCRIPTION_CHARACTERS_MAX]
        field = details.BadRequest.FieldViolation(
            field=violation.path[:DESCRIPTION_CHARACTERS_MAX], description=description
        )
        left -= field.ByteSize() + 3  # its tag and its length
        if left < 0 and found:
            break
        found.append(field)
    return found


def type_of(resource: str) -> str:
    """The type of a resource by its name: `organisations/x/systems/y` is a `verbund/System`."""
    collections = {
        "organisations": "Organisation",
        "invitations": "Invitation",
        "systems": "System",
        "providers": "Provider",
        "people": "Person",
        "mailboxes": "Mailbox",
        "deliveries": "Delivery",
        "documents": "Document",
        "strategies": "Strategy",
        "measures": "Measure",
        "projects": "Project",
    }
    parts = resource.split("/")
    return f"verbund/{collections.get(parts[-2], 'Resource')}" if len(parts) > 1 else "verbund/Resource"
