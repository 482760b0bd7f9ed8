"""How every change of identity ends: the answer is kept under the request's id, and the evidence log is owed a leaf."""

import hashlib
from typing import TypeVar

from verbund.database.rows import Transaction
from verbund.identity.v1.organisation_service_pb2 import Organisation
from verbund.identity.v1.system_service_pb2 import System
from verbund.serving.call import Call

Changed = TypeVar("Changed", Organisation, System)


def answered(tx: Transaction, call: Call, verb: str, changed: Changed, *, organisation: str) -> Changed:
    """The answer to a change of a resource of `organisation`; `verb` says in the past what was done to it."""
    digest = hashlib.sha256(changed.SerializeToString(deterministic=True)).digest()
    parties: list[str] = [call.organisation, organisation] if call.organisation != organisation else [organisation]
    tx.intend(f"identity.{changed.DESCRIPTOR.name.lower()}.{verb}", changed.name, digest, [*filter(None, parties)])
    return tx.answer(changed)
