"""Methods that anybody may call: no token is asked for or looked at, and calls are counted by address."""

from collections.abc import Iterator

import pytest
from google.protobuf.message_factory import GetMessageClass
from google.rpc import code_pb2

from tests.integration.gateway.conftest import PROBE, Mesh, started
from tests.support.dialects import DIALECTS, Target, info, retry_seconds

CALLS = 4


def target(method: str) -> Target:
    """A method of the probe."""
    return Target(
        path=f"/{PROBE.full_name}/{method}",
        request=GetMessageClass(PROBE.methods_by_name[method].input_type)(name="probes/x"),
        verb="GET",
        url=f"/v1/probes/x:{method}",
    )


@pytest.fixture
def counting() -> Iterator[Mesh]:
    """A mesh where a few calls are many."""
    with started(workers=1, rate_authenticate=CALLS, rate_window_seconds=3600) as mesh:
        yield mesh


@pytest.mark.parametrize("dialect", DIALECTS)
def test_nobody_is_asked_who_they_are(mesh: Mesh, dialect: str) -> None:
    """Without a token, with one that is none, and with another mesh's: the call arrives. The service's other methods
    stay closed.
    """
    for token in ("", "nonsense", mesh.token("viewer", iss="https://elsewhere.example")):
        mesh.registry.calls.clear()
        assert DIALECTS[dialect](mesh.gateway, token, target("Public")).code == code_pb2.OK
        assert [received.method for received in mesh.registry.calls] == [target("Public").path]
    for method in ("SignedIn", "Operate"):
        assert info(DIALECTS[dialect](mesh.gateway, "", target(method))).reason == "NO_TOKEN"


def test_guesses_are_counted_by_address(counting: Mesh) -> None:
    """In whatever dialect they come, and whatever token or address they claim: more dialects and more tokens are not
    more guesses.
    """
    tokens = ["", *(counting.token("viewer", sub=f"organisations/x/systems/s{number}") for number in range(3))]
    codes = [
        dialect(counting.gateway, token, target("Public")).code for token in tokens for dialect in DIALECTS.values()
    ]
    assert codes == [code_pb2.OK] * CALLS + [code_pb2.RESOURCE_EXHAUSTED] * (len(codes) - CALLS)
    assert len(counting.registry.calls) == CALLS
    status = DIALECTS["json"](counting.gateway, "", target("Public"))
    assert (info(status).reason, retry_seconds(status)) == ("RATE_LIMITED", 1.0)
    assert DIALECTS["json"](counting.gateway, tokens[1], target("SignedIn")).code == code_pb2.OK
    with counting.gateway.client(**{"x-forwarded-for": "203.0.113.7"}) as client:
        assert client.get(target("Public").url).status_code == 429
