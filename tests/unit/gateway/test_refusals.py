"""Refusals are made of the reasons' own advice, so that a new reason is one change."""

import base64
from typing import Any

import pytest
from google.rpc import error_details_pb2 as details
from google.rpc.status_pb2 import Status
from verbund.errors.v1 import reason_pb2
from verbund.policy.table import Rule
from verbund.policy.v1 import policy_pb2 as pb
from verbund_gateway import refusals


def headers(mapper: dict[str, Any]) -> dict[str, str]:
    """The headers that a mapper adds."""
    return {added["header"]["key"]: added["header"]["value"] for added in mapper["headers_to_add"]}


@pytest.mark.parametrize("mapping", refusals.mappings(), ids=lambda mapping: f"{mapping.http} {mapping.refusal.reason}")
def test_both_forms_say_the_same(mapping: refusals.Mapping) -> None:
    """The JSON and the gRPC form of a refusal have the reason's code, message and advice."""
    value = reason_pb2.Reason.DESCRIPTOR.values_by_name[f"REASON_{mapping.refusal.reason}"]
    advice = value.GetOptions().Extensions[reason_pb2.advice]
    body = refusals.json_mapper(mapping, traced=False)["body_format_override"]["json_format"]
    sent = headers(refusals.grpc_mapper(mapping))
    assert (body["code"], body["message"]) == (advice.code, advice.message)
    assert body["details"][0]["metadata"]["remedy"] == advice.remedy
    assert sent["grpc-status"] == str(advice.code)
    if "rule" not in mapping.refusal.metadata:
        assert status_in(sent["grpc-status-details-bin"]).message == advice.message


def status_in(text: str) -> Status:
    """The status in a header."""
    return Status.FromString(base64.b64decode(text + "=" * (-len(text) % 4)))


def test_refusals_on_a_route() -> None:
    """A route carries its rule's refusals ready-made; one that its rule never gives is not there."""
    rule = Rule(
        name="r", permission="a.b", audience=pb.AUDIENCE_MEMBER, least_assurance=pb.ASSURANCE_LOW, rate=pb.RATE_READ
    )
    said = refusals.metadata_of(rule)
    info = details.ErrorInfo()
    assert status_in(said["PERMISSION_MISSING"]).details[0].Unpack(info)
    assert (info.metadata["rule"], info.metadata["permission"]) == ("r", "a.b")
    assert "ASSURANCE_TOO_LOW" not in said


def test_public_rule_refuses_nobody() -> None:
    """A public rule has no refusal."""
    rule = Rule(
        name="r", permission="", audience=pb.AUDIENCE_PUBLIC, least_assurance=pb.ASSURANCE_LOW, rate=pb.RATE_READ
    )
    assert set(refusals.metadata_of(rule)) == {"rule", "permission", "leastAssurance"}


def test_texts_are_no_formats() -> None:
    """A percent sign in a text is not a command of Envoy's formats."""
    for mapper in refusals.local_replies(traced=True)["mappers"]:
        message = headers(mapper).get("grpc-message", "")
        assert message.count("%") % 2 == 0
