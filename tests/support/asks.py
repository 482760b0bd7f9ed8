"""A call in both dialects of the mesh, and the organisations that make it."""

import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from google.protobuf import json_format
from google.protobuf.message import Message
from google.rpc import error_details_pb2 as details
from google.rpc.status_pb2 import Status
from verbund.registry.v1 import project_service_pb2 as pb

from tests.support.dialects import call, info, status_of_grpc, status_of_json
from tests.support.load import CALL_SECONDS_MAX, System

PROJECTS = "/verbund.registry.v1.ProjectService"
CHANGES = "/verbund.registry.v1.ChangeService"


@dataclass(frozen=True)
class Callers:
    """Systems of organisations: one that owns what the tests record, one that may only read, one that sees nothing of
    theirs, and one that repeats itself.
    """

    owner: System
    reader: System
    stranger: System
    repeater: System


@dataclass(frozen=True)
class Ask:
    """One call, in both dialects."""

    path: str
    request: Message
    verb: str
    url: str
    body: Any = None

    def over_grpc(self, system: System, token: str | None = None, **metadata: str) -> Status:
        """How it ends over gRPC; without a token of its own the system's is sent."""
        signed = system.tokens.token() if token is None else token
        return status_of_grpc(lambda: call(system.bare, self.path, self.request, signed, **metadata))

    def over_json(self, system: System, token: str | None = None, **headers: str) -> Status:
        """How it ends over JSON."""
        with system.http_with(system.tokens.token() if token is None else token, **headers) as http:
            return status_of_json(http.request(self.verb, self.url, json=self.body))


DIALECTS: dict[str, Callable[..., Status]] = {"json": Ask.over_json, "grpc": Ask.over_grpc}
dialects = pytest.mark.parametrize("dialect", DIALECTS)


def get(name: str) -> Ask:
    """Reads a project."""
    return Ask(f"{PROJECTS}/GetProject", pb.GetProjectRequest(name=name), "GET", f"/v1/{name}")


def new_id() -> str:
    """An id that nobody has used in this mesh."""
    return f"x{uuid.uuid4().hex[:12]}"


def untraced(status: Status) -> bytes:
    """Every byte of a refusal but the trace's id, which each call has its own of."""
    text: bytes = status.SerializeToString(deterministic=True)
    trace_id = info(status).metadata["traceId"]
    assert re.fullmatch(r"[0-9a-f]{32}", trace_id)
    return text.replace(trace_id.encode(), b"0" * 32)


def violations(status: Status) -> list[tuple[str, str]]:
    """The fields that a refusal names, with what is wrong."""
    found = details.BadRequest()
    assert [detail for detail in status.details if detail.Unpack(found)]
    return [(violation.field, violation.description) for violation in found.field_violations]


def creating(request: pb.CreateProjectRequest) -> Ask:
    """Records a project."""
    url = f"/v1/projects?projectId={request.project_id}&requestId={request.request_id}"
    return Ask(f"{PROJECTS}/CreateProject", request, "POST", url, json_format.MessageToDict(request.project))


def delete(system: System, name: str) -> None:
    """Deletes a project."""
    system.projects.DeleteProject(pb.DeleteProjectRequest(name=name), timeout=CALL_SECONDS_MAX)
