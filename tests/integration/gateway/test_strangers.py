"""A route whose area refuses those without a token itself: they get there, and nobody else who could not before."""

from collections.abc import Iterator

import pytest

from tests.integration.gateway.conftest import Mesh, started
from tests.support.dialects import info, status_of_json

FORM = "/console/decisions/citylab/x"
WRITES = 3


@pytest.fixture(scope="module")
def shared() -> Iterator[Mesh]:
    """A mesh where a few forms are many."""
    with started(workers=1, rate_write=WRITES, rate_window_seconds=3600) as mesh:
        yield mesh


def test_who_brings_nothing_gets_there_and_is_counted_by_address(mesh: Mesh) -> None:
    """As often as anybody, whatever address they claim; who has a token has an allowance of their own."""
    with mesh.gateway.client() as nobody, mesh.gateway.client(mesh.token("viewer")) as somebody:
        answers = [
            nobody.post(FORM, data={"n": "1"}, headers={"x-forwarded-for": f"203.0.113.{n}"}) for n in range(WRITES + 1)
        ]
        assert [answer.status_code for answer in answers] == [200] * WRITES + [429]
        assert info(status_of_json(answers[-1])).reason == "RATE_LIMITED"
        assert [somebody.post(FORM).status_code for _ in range(WRITES + 1)] == [200] * WRITES + [429]
    assert len(mesh.console.requests) == 2 * WRITES


@pytest.mark.parametrize(
    "brought", ["Basic YTpi", "Bearer", "Bearer ,", "Bearer x.y.z", "bearer x", "Bearer x.y.z, Basic YTpi", ""]
)
def test_who_brings_what_is_no_token_does_not(mesh: Mesh, brought: str) -> None:
    """Nothing but nothing passes as nothing: else it would be counted by no one."""
    with mesh.gateway.client(authorization=brought) as client:
        answer = client.post(FORM)
    assert (answer.status_code, info(status_of_json(answer)).reason) in {(401, "NO_TOKEN"), (401, "TOKEN_INVALID")}
    assert mesh.console.requests == []


def test_whose_token_is_not_enough_does_not(mesh: Mesh) -> None:
    """The rule holds for everybody who has a token, and an old or foreign one is none."""
    tokens = {
        mesh.token("operator"): (403, "PERMISSION_MISSING"),
        mesh.token(): (403, "PERMISSION_MISSING"),
        mesh.token("viewer", exp=1): (401, "TOKEN_INVALID"),
        mesh.token("viewer", iss="https://elsewhere.example"): (401, "TOKEN_INVALID"),
    }
    for token, expected in tokens.items():
        with mesh.gateway.client(token) as client:
            answer = client.post(FORM)
        assert (answer.status_code, info(status_of_json(answer)).reason) == expected
    assert mesh.console.requests == []


def test_other_pages_ask_for_a_token_before(mesh: Mesh) -> None:
    """What only shows something is refused at the gateway, as ever."""
    with mesh.gateway.client() as nobody:
        for path in ("/console/", "/console/projects", "/console/signed-in", "/console/deliveries/citylab/x"):
            assert info(status_of_json(nobody.get(path))).reason == "NO_TOKEN"
    assert mesh.console.requests == []
