"""Keys change while the gateway runs: a file is replaced, and nobody else notices."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
from joserfc.jwk import ECKey, KeySet
from verbund_gateway import jwt, writer

from tests.integration.gateway.conftest import Mesh, started
from tests.support.dialects import info, status_of_json
from tests.support.tokens import Issuer, new_key

WAIT_SECONDS_MAX = 60


@pytest.fixture
def mesh() -> Iterator[Mesh]:
    """A mesh whose keys only this test changes."""
    with started(workers=1) as mesh:
        yield mesh


def publish(mesh: Mesh, *keys: ECKey) -> None:
    """Gives the gateway these keys and no others."""
    writer.update_keys(
        mesh.gateway.settings.directory, KeySet(list(keys)).as_dict(private=False), mesh.gateway.settings
    )


def signed(mesh: Mesh, key: ECKey) -> str:
    """A token signed with a key."""
    return Issuer(mesh.issuer.directory, key).token(roles=("viewer",))


def status(mesh: Mesh, token: str) -> int:
    """The HTTP status of a call with a token."""
    with mesh.gateway.client(token) as client:
        return client.get("/v1/projects/a.b").status_code


def becomes(mesh: Mesh, token: str, wanted: int) -> bool:
    """Whether calls with the token come to be answered so."""
    end = time.monotonic() + WAIT_SECONDS_MAX
    while time.monotonic() < end:
        if status(mesh, token) == wanted:
            return True
        time.sleep(0.005)
    return False


def test_replaced(mesh: Mesh) -> None:
    """A token of a withdrawn key is refused although it was accepted before; one of the new key is accepted."""
    old, new = mesh.issuer.key, new_key()
    before, after = signed(mesh, old), signed(mesh, new)
    assert (status(mesh, before), status(mesh, after)) == (200, 401)
    publish(mesh, new)
    assert becomes(mesh, before, 401)
    assert status(mesh, after) == 200


def test_overlap(mesh: Mesh) -> None:
    """While both keys are published, both are accepted."""
    new = new_key()
    publish(mesh, mesh.issuer.key, new)
    assert becomes(mesh, signed(mesh, new), 200)
    assert status(mesh, signed(mesh, mesh.issuer.key)) == 200


def test_rotations_under_load(mesh: Mesh) -> None:
    """Twenty rotations with overlap refuse no valid request."""
    keys = [mesh.issuer.key, *(new_key() for _ in range(20))]
    over = False

    def load(token: str) -> list[int]:
        found = []
        with mesh.gateway.client(token) as client:
            while not over:
                found.append(client.get("/v1/projects/a.b").status_code)
        return found

    for old, new in pairwise(keys):
        publish(mesh, old, new)
        assert becomes(mesh, signed(mesh, new), 200)
        over = False
        with ThreadPoolExecutor(2) as pool:
            loads = [pool.submit(load, signed(mesh, key)) for key in (old, new)]
            publish(mesh, new, old)
            time.sleep(0.02)
            over = True
        assert {code for done in loads for code in done.result()} == {200}


def test_useless_keys_are_not_published(mesh: Mesh) -> None:
    """A set without a key for ES256 is refused and the old keys stay; other keys beside one are left out."""
    token = signed(mesh, mesh.issuer.key)
    with pytest.raises(ValueError, match="no public key for ES256"):
        publish(mesh, ECKey.generate_key("P-384"))
    assert status(mesh, token) == 200
    publish(mesh, mesh.issuer.key, ECKey.generate_key("P-384"))
    assert status(mesh, token) == 200


def test_no_private_key_is_written(mesh: Mesh) -> None:
    """Even where somebody gives it private keys, the gateway's file holds public ones only."""
    private = KeySet([mesh.issuer.key]).as_dict(private=True)
    writer.update_keys(mesh.gateway.settings.directory, private, mesh.gateway.settings)
    written = json.loads((mesh.gateway.settings.directory / "authentication.json").read_text())
    inline = written["resources"][0]["typed_config"]["providers"][jwt.PROVIDER]["local_jwks"]["inline_string"]
    assert all("d" not in key for key in json.loads(inline)["keys"])
    assert status(mesh, signed(mesh, mesh.issuer.key)) == 200


def test_refusal_after_rotation(mesh: Mesh) -> None:
    """A token of a withdrawn key is told what every bad token is told."""
    old = signed(mesh, mesh.issuer.key)
    publish(mesh, new_key())
    assert becomes(mesh, old, 401)
    with mesh.gateway.client(old) as client:
        assert info(status_of_json(client.get("/v1/projects/a.b"))).reason == "TOKEN_INVALID"
