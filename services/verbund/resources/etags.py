"""Etags (AIP-154): made by the server from what is stored, opaque to everybody else."""

import hashlib

from verbund.serving.refusals import Stale


def etag_of(revision: int, name: str) -> str:
    """The etag of a resource at a revision. The name is in it, so that one resource's etag never fits another."""
    return hashlib.sha256(f"{name}\n{revision}".encode()).hexdigest()[:20]


def check(given: str, present: str, resource: str) -> None:
    """Raises Stale where the caller named an etag that is not the present one."""
    if given and given != present:
        raise Stale(resource)
