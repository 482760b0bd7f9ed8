"""The token endpoint over HTTP: who proves to be a system gets a token, and nobody else learns why not."""

import json

from joserfc import jwt
from joserfc.jwk import KeySet

from tests.integration.identity.mesh import Mesh


def test_a_system_gets_a_token_that_the_mesh_accepts(mesh: Mesh) -> None:
    """The token is an at+jwt (RFC 9068) that the published keys verify, and speaks for the system."""
    token = mesh.token(mesh.operator)
    keys = KeySet.import_key_set(json.loads((mesh.published / "jwks.json").read_bytes()))
    read = jwt.decode(token, keys, algorithms=["ES256"])
    assert read.header["typ"] == "at+jwt"
    principal = mesh.verifier.verify(token)
    assert principal.system == mesh.operator.name
