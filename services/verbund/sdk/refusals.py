"""What can go wrong between a department and the mesh, as exceptions with fields; nobody parses prose.

VerbundError
  Refused        the mesh answered with a refusal: gRPC code, reason, metadata, details
    CallRefused  the same from a gRPC call, and a grpc.RpcError too: whoever knows gRPC catches it as ever
  TokenRefused   the token endpoint did not give a token: OAuth error and description (RFC 6749, section 5.2)
  NotReady       there is no mesh at the home directory, or it has no such system
  Damaged        a document is not what its SHA-256 says; nothing of it was kept
"""

from collections.abc import Mapping
from typing import Self, cast

import grpc
import httpx
from google.protobuf import json_format
from google.protobuf.message import Message
from google.rpc import error_details_pb2 as errors
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

# Each detail that a refusal may have, by the name an Any gives it; what is not here is left out.
DETAILS: Mapping[str, type[Message]] = {
    kind.DESCRIPTOR.full_name: kind
    for kind in (errors.BadRequest, errors.ErrorInfo, errors.PreconditionFailure, errors.ResourceInfo, errors.RetryInfo)
}
CODES = {code.value[0]: code for code in grpc.StatusCode}
# google/rpc/code.proto, read backwards, for an answer that has no Status: a proxy's before the gateway, say.
CODE_OF_HTTP = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    409: grpc.StatusCode.ABORTED,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    499: grpc.StatusCode.CANCELLED,
    500: grpc.StatusCode.INTERNAL,
    501: grpc.StatusCode.UNIMPLEMENTED,
    502: grpc.StatusCode.UNAVAILABLE,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.DEADLINE_EXCEEDED,
}


class VerbundError(Exception):
    """Anything that this client raises of its own."""


class NotReady(VerbundError):  # noqa: N818 - says what is the case
    """There is no mesh at the home directory, or it does not know the system asked for."""


class TokenRefused(VerbundError):  # noqa: N818 - the mesh's word
    """The token endpoint gave no token: `error` and `description` as OAuth has them, `status` of HTTP."""

    def __init__(self, status: int, error: str, description: str) -> None:
        super().__init__(f"no token: {error} ({status}) {description}".rstrip())
        self.status = status
        self.error = error
        self.description = description


class Damaged(VerbundError):  # noqa: N818 - says what is the case
    """A document's content is not what its SHA-256 says, or is not as long as it says."""


class Refused(VerbundError):  # noqa: N818 - the mesh's word
    """A call refused by the mesh. Branch on `reason`, a name of `verbund.errors.v1.Reason`.

    It is empty where no part of the mesh answered.
    """

    def __init__(self, code: grpc.StatusCode, message: str, details: tuple[Message, ...] = ()) -> None:
        info = next((detail for detail in details if isinstance(detail, errors.ErrorInfo)), errors.ErrorInfo())
        super().__init__(f"{info.reason or code.name}: {message}")
        self.code = code
        self.message = message
        self.reason: str = info.reason
        self.metadata: Mapping[str, str] = dict(info.metadata)
        self.details = details

    @property
    def retry_can_help(self) -> bool:
        """Whether the same call can succeed later without a change by anybody."""
        return self.metadata.get("retry") == "true"

    @property
    def remedy(self) -> str:
        """What the one who can mend it does, in one sentence."""
        return self.metadata.get("remedy", "")

    @classmethod
    def from_rpc(cls, error: grpc.RpcError) -> Self:
        """The refusal that a gRPC call ended with."""
        known: object = error
        if isinstance(known, cls):  # a CallRefused
            return known
        call = cast("grpc.Call", error)  # every RpcError that a call raises is one
        try:
            status = rpc_status.from_call(call)
        except ValueError:  # the trailing Status contradicts the call's own code: the call's counts
            status = None
        return cls(call.code(), call.details() or "", opened(status) if status else ())

    @classmethod
    def from_http(cls, response: httpx.Response) -> Self:
        """The refusal in a JSON answer whose body has been read."""
        code = CODE_OF_HTTP.get(response.status_code, grpc.StatusCode.UNKNOWN)
        try:
            body = response.json()
            details = [known for known in body.pop("details", ()) if known["@type"].rpartition("/")[2] in DETAILS]
            status = json_format.ParseDict({**body, "details": details}, Status(), ignore_unknown_fields=True)
        except (ValueError, AttributeError, KeyError, TypeError, json_format.ParseError):
            return cls(code, response.reason_phrase)
        return cls(CODES.get(status.code, code), status.message, opened(status))


class CallRefused(Refused, grpc.RpcError):  # type: ignore[misc] # the stubs give every RpcError the methods of a Call
    """A gRPC call refused by the mesh, or by what lies before it."""


def opened(status: Status) -> tuple[Message, ...]:
    """The details of a status that this client knows."""
    found = []
    for packed in status.details:
        kind = DETAILS.get(packed.TypeName())
        detail = kind() if kind else None
        if detail is not None and packed.Unpack(detail):
            found.append(detail)
    return tuple(found)
