"""Joining the mesh, as the invited organisation does it: with a key of its own and a code, and no system yet.

It needs what every client needs, and nothing of a server.
"""

import json
from pathlib import Path
from urllib.parse import urlsplit

import grpc
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key

from verbund.files import replace
from verbund.identity.v1 import invitation_service_pb2 as pb
from verbund.identity.v1.invitation_service_pb2_grpc import InvitationServiceStub
from verbund.sdk.client import CHANNEL_OPTIONS, service_config
from verbund.sdk.refusals import Refused
from verbund.sdk.tokens import read_key

TIMEOUT_SECONDS = 30.0
OTHERS = 0o077


class KeyUnusable(Exception):  # noqa: N818 - says what is the case
    """The file holds no private key that the mesh takes, or others may read it. The message names it."""


def own_key(file: Path) -> Key:
    """The private key in a file; where there is none, a new one for ES256 is made there, 0600. Raises KeyUnusable."""
    try:
        if not file.exists():
            made = ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256"}, auto_kid=True)
            replace(file, json.dumps(made.as_dict(private=True)).encode())
        if file.stat().st_mode & OTHERS:
            raise KeyUnusable(f"{file} may be read by others: chmod 600 it, or make a new key where others read it")
        return read_key(file)
    except OSError as error:
        raise KeyUnusable(f"{file}: {error.strerror}") from error
    except (JoseError, ValueError, TypeError, KeyError):
        raise KeyUnusable(f"{file} does not hold a private JSON Web Key") from None


def accept(gateway: str, ca: Path, *, invitation: str, code: str, key: Key, title: str) -> pb.AcceptInvitationResponse:
    """Accepts `invitation`, a resource name, for the organisation of that official title; only the public part of
    `key` is sent. Repeating it is harmless. Raises Refused.
    """
    request = pb.AcceptInvitationRequest(
        name=invitation, code=code, jwk=json.dumps(key.as_dict(private=False)), organisation_title=title
    )
    options = (*CHANNEL_OPTIONS, ("grpc.service_config", json.dumps(service_config())))
    trust = grpc.ssl_channel_credentials(ca.read_bytes())
    with grpc.secure_channel(urlsplit(gateway).netloc, trust, options=options) as channel:
        try:
            return InvitationServiceStub(channel).AcceptInvitation(request, timeout=TIMEOUT_SECONDS)
        except grpc.RpcError as error:
            raise Refused.from_rpc(error) from None
