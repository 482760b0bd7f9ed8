"""Reasons, their advice, and the status that a caller sees."""

import base64

import pytest
from google.rpc import error_details_pb2 as details
from verbund.errors.v1 import reason_pb2
from verbund.serving import status
from verbund.serving.refusals import (
    Absent,
    Down,
    Exhausted,
    Exists,
    Fault,
    Forbidden,
    Invalid,
    Late,
    Refusal,
    Stale,
    StateForbids,
    Unauthenticated,
    Violation,
)

REASONS = [name.removeprefix("REASON_") for name in reason_pb2.Reason.keys() if name != "REASON_UNSPECIFIED"]  # noqa: SIM118


@pytest.mark.parametrize("reason", REASONS)
def test_every_reason_says_what_happened_who_can_mend_it_and_how(reason: str) -> None:
    """Nobody is left alone with a code."""
    advice = status.advice_of(reason)
    assert 1 <= advice.code <= 16
    assert advice.fixer != reason_pb2.FIXER_UNSPECIFIED
    for sentence in (advice.message, advice.remedy):
        assert sentence[0].isupper()
        assert sentence.endswith(".")


EXAMPLES = (
    Invalid("a", "b"),
    Absent("projects/a.b"),
    Exists("projects/a.b"),
    StateForbids("projects/a.b", type="T", description="d"),
    Stale("projects/a.b"),
    Unauthenticated("NO_TOKEN"),
    Forbidden("NOT_OWNER", rule="r"),
    Exhausted(limit="l"),
    Down(),
    Late(),
    Fault(),
)


def test_every_kind_of_refusal_has_an_example_here() -> None:
    """A new kind is tested too."""
    assert {type(example) for example in EXAMPLES} == set(Refusal.__subclasses__())


@pytest.mark.parametrize("refusal", EXAMPLES, ids=lambda refusal: type(refusal).__name__)
def test_every_kind_of_refusal_becomes_a_status(refusal: Refusal) -> None:
    """With ErrorInfo first, in the mesh's domain, and the trace id."""
    found = status.status_of(refusal, trace_id="t")
    info = details.ErrorInfo()
    assert found.details[0].Unpack(info)
    assert (info.domain, info.reason, info.metadata["traceId"]) == ("verbund", refusal.reason, "t")


def test_details_are_typed() -> None:
    """A caller reads fields, resources and delays, and parses no prose."""
    bad = status.details_of(Invalid(Violation("project.title", "is missing"), Violation("x", "y")))[0]
    assert isinstance(bad, details.BadRequest)
    assert [(v.field, v.description) for v in bad.field_violations] == [("project.title", "is missing"), ("x", "y")]
    resource = status.details_of(Absent("organisations/a/systems/b"))[0]
    assert isinstance(resource, details.ResourceInfo)
    assert resource.resource_type == "verbund/System"
    delay = status.details_of(Down(retry_seconds=1.5))[0]
    assert isinstance(delay, details.RetryInfo)
    assert delay.retry_delay.ToMilliseconds() == 1500
    assert status.details_of(Fault()) == []


def test_violations_are_bounded() -> None:
    """However many mistakes there are, and however long, a gRPC client can receive what is said of them."""
    metadata_bytes_max = 8 * 1024
    for violations in (
        [Violation(str(n), "wrong") for n in range(100_000)],
        [Violation("\N{ATHLETIC SHOE}" * 9000, "\N{ATHLETIC SHOE}" * 9000)] * 3,
    ):
        found = status.status_of(Invalid(*violations), trace_id="0" * 32)
        assert len(base64.b64encode(found.SerializeToString())) < metadata_bytes_max - 1024
        bad = details.BadRequest()
        assert found.details[1].Unpack(bad)
        assert bad.field_violations


@pytest.mark.parametrize(
    ("resource", "kind"),
    [
        ("organisations/a", "verbund/Organisation"),
        ("organisations/a/systems/b", "verbund/System"),
        ("organisations/a/mailboxes/b", "verbund/Mailbox"),
        ("organisations/a/deliveries/b", "verbund/Delivery"),
        ("organisations/a/deliveries/b/documents/c", "verbund/Document"),
        ("projects/a.b", "verbund/Project"),
        ("organisations/a/others/b", "verbund/Resource"),
        ("a", "verbund/Resource"),
    ],
)
def test_a_resource_is_told_with_its_type(resource: str, kind: str) -> None:
    """Its collection says which; one that is not known is just a resource."""
    assert status.type_of(resource) == kind
