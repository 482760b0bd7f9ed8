"""Refusals as a client sees them."""

from typing import Any

import grpc
import httpx
import pytest
from google.protobuf import json_format
from google.rpc.error_details_pb2 import BadRequest, RetryInfo
from verbund.sdk.client import BearerAuth, service_config
from verbund.sdk.connection import failure_of
from verbund.sdk.refusals import Refused
from verbund.sdk.tokens import Tokens
from verbund.serving.refusals import Absent, Exhausted, Forbidden, Invalid
from verbund.serving.status import status_of


def answer(status: int, body: Any) -> httpx.Response:
    """An HTTP answer that has arrived."""
    return httpx.Response(status, json=body)


def test_a_refusal_over_json_has_its_reason_and_what_to_do() -> None:
    """Whatever the service says of a refusal, a client reads from fields."""
    refusal = Forbidden("PERMISSION_MISSING", rule="verbund.registry.v1.ProjectService.UpdateProject")
    body = json_format.MessageToDict(status_of(refusal, trace_id="ab" * 16))
    refused = Refused.from_http(answer(403, body))
    assert (refused.code, refused.reason) == (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_MISSING")
    assert refused.metadata["rule"] == "verbund.registry.v1.ProjectService.UpdateProject"
    assert refused.metadata["traceId"] == "ab" * 16
    assert "administrator" in refused.remedy
    assert not refused.retry_can_help


def test_details_are_typed() -> None:
    """Violated fields and waiting times are messages, not prose; a detail of a kind unknown here is left out."""
    body = json_format.MessageToDict(status_of(Invalid("project.period", "ends before it begins")))
    body["details"].append({"@type": "type.googleapis.com/example.New", "value": 1})
    violations = next(found for found in Refused.from_http(answer(400, body)).details if isinstance(found, BadRequest))
    assert violations.field_violations[0].field == "project.period"
    limited = Refused.from_http(answer(429, json_format.MessageToDict(status_of(Exhausted(limit="watches")))))
    assert limited.retry_can_help
    assert any(isinstance(found, RetryInfo) for found in limited.details)


@pytest.mark.parametrize("body", [[], "text", None, {"details": 1}, {"details": [1]}, {"code": "x"}, {"details": [{}]}])
def test_an_answer_that_is_no_status_is_told_by_its_http_code(body: Any) -> None:
    """A proxy's page, say: the code says something all the same."""
    refused = Refused.from_http(answer(503, body))
    assert (refused.code, refused.reason) == (grpc.StatusCode.UNAVAILABLE, "")


def test_only_safe_methods_are_repeated() -> None:
    """A read is repeated where a worker is gone; a write is not, unless its rule says so."""
    (repeated,) = service_config()["methodConfig"]
    names = {(name["service"], name["method"]) for name in repeated["name"]}
    assert ("verbund.registry.v1.ProjectService", "GetProject") in names
    assert ("verbund.registry.v1.ProjectService", "UpdateProject") not in names
    assert repeated["retryPolicy"]["retryableStatusCodes"] == ["UNAVAILABLE"]


@pytest.mark.parametrize("url", ["https://elsewhere.example/v1", "http://127.0.0.1:8443/v1", "https://127.0.0.1:1/v1"])
def test_the_token_goes_to_the_gateway_only(url: str) -> None:
    """Neither another host, nor another port, nor the same one unencrypted gets it."""
    unused: Any = None
    tokens = Tokens(endpoint="https://127.0.0.1:8443/oauth2/token", client_id="x", key=unused, http=unused)
    request = next(BearerAuth(tokens, "https://127.0.0.1:8443").auth_flow(httpx.Request("GET", url)))
    assert "authorization" not in request.headers


def test_a_command_names_what_was_not_found() -> None:
    """Whoever misspelt a name sees which one it was."""
    body = json_format.MessageToDict(status_of(Absent("organisations/amt/mailboxes/postt")))
    failure = failure_of(Refused.from_http(answer(404, body)))
    assert "There is no such resource. organisations/amt/mailboxes/postt." in failure.what
