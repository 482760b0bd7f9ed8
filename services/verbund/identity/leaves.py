"""How every change of identity ends: the answer is kept under the request's id, and the evidence log is owed a leaf."""

import hashlib
from typing import TypeVar

from verbund.database.rows import Transaction
from verbund.identity.v1.invitation_service_pb2 import Invitation
from verbund.identity.v1.organisation_service_pb2 import Organisation
from verbund.identity.v1.provider_service_pb2 import Provider
from verbund.identity.v1.system_service_pb2 import System
from verbund.serving.call import Call

Changed = TypeVar("Changed", Organisation, System, Invitation, Provider)


def answered(tx: Transaction, call: Call, verb: str, changed: Changed, *, organisation: str) -> Changed:
    """The answer to a change of a resource of `organisation`; `verb` says in the past what was done to it."""
    owed(tx, call, verb, changed, organisation=organisation)
    return tx.answer(changed)


def owed(tx: Transaction, call: Call, verb: str, changed: Changed, *, organisation: str) -> None:
    """The leaf alone, for what is changed besides the resource that is answered."""
    digest = hashlib.sha256(changed.SerializeToString(deterministic=True)).digest()
    parties: list[str] = [call.organisation, organisation] if call.organisation != organisation else [organisation]
    tx.intend(f"identity.{changed.DESCRIPTOR.name.lower()}.{verb}", changed.name, digest, [*filter(None, parties)])
