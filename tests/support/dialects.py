"""One call in each language that the gateway speaks, and its refusal as a `google.rpc.Status` whichever it was."""

import base64
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import unquote

import grpc
import httpx
from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message
from google.rpc import error_details_pb2 as details
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

from tests.support.envoy import Gateway

WEB = "application/grpc-web+proto"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is called: the method and its request in gRPC, and the same in JSON."""

    path: str
    request: Message
    verb: str
    url: str


def over_json(gateway: Gateway, token: str, target: Target) -> Status:
    """The refusal of a call over JSON; of the OK code where it was answered."""
    with gateway.client(token) as client:
        return status_of_json(client.request(target.verb, target.url))


def over_grpc(gateway: Gateway, token: str, target: Target) -> Status:
    """The refusal of a call over gRPC."""
    with gateway.channel() as channel:
        return status_of_grpc(lambda: call(channel, target.path, target.request, token))


def over_web(gateway: Gateway, token: str, target: Target) -> Status:
    """The refusal of a call over gRPC-Web."""
    with gateway.client(token) as client:
        answer = client.post(target.path, content=framed(target.request), headers={"content-type": WEB})
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/grpc-web")
    return status_of_headers(dict(answer.headers))


DIALECTS: dict[str, Callable[[Gateway, str, Target], Status]] = {
    "json": over_json,
    "grpc": over_grpc,
    "grpc-web": over_web,
}


def call(channel: grpc.Channel, path: str, request: Message, token: str = "", **metadata: str) -> bytes:
    """The bytes that a unary method answers."""
    stub: Any = channel.unary_unary(path, request_serializer=lambda message: message.SerializeToString())
    sent = [*metadata.items(), *([("authorization", f"Bearer {token}")] if token else [])]
    answer: bytes = stub(request, metadata=sent, timeout=20)
    return answer


def status_of_grpc(make: Callable[[], Any]) -> Status:
    """The status that a call ends with, without details where it has none; their code must be that of the call."""
    try:
        make()
    except grpc.RpcError as error:
        status = rpc_status.from_call(cast("grpc.Call", error))
        bare = Status(code=error.code().value[0], message=error.details())
        return bare if status is None else Status.FromString(status.SerializeToString())
    return Status()


def status_of_json(answer: httpx.Response) -> Status:
    """The status in the body of an answer, of the OK code where it is no refusal."""
    if answer.is_success:
        return Status()
    assert answer.headers["content-type"] == "application/json"
    return ParseDict(answer.json(), Status())


def status_of_headers(headers: dict[str, str]) -> Status:
    """The status in the headers of a gRPC-Web answer without a body."""
    if "grpc-status" not in headers or headers["grpc-status"] == "0":
        return Status()
    encoded = headers["grpc-status-details-bin"]
    status = Status.FromString(base64.b64decode(encoded + "=" * (-len(encoded) % 4)))
    assert str(status.code) == headers["grpc-status"]
    assert status.message == unquote(headers["grpc-message"])
    return status


def framed(message: Message) -> bytes:
    """A message as gRPC frames it."""
    data = message.SerializeToString()
    return struct.pack(">BI", 0, len(data)) + data


def info(status: Status) -> details.ErrorInfo:
    """The ErrorInfo of a status."""
    found = details.ErrorInfo()
    assert [detail for detail in status.details if detail.Unpack(found)], f"no ErrorInfo in {status}"
    return found


def retry_seconds(status: Status) -> float:
    """How long RetryInfo says to wait."""
    found = details.RetryInfo()
    assert [detail for detail in status.details if detail.Unpack(found)], f"no RetryInfo in {status}"
    delay: float = found.retry_delay.ToTimedelta().total_seconds()
    return delay
