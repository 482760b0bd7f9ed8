"""Creating what may stand already, so that a second tour works on the same home."""

from collections.abc import Callable

import grpc

from verbund.sdk.refusals import Refused


def created(create: Callable[[], object]) -> bool:
    """Whether `create` made something new; False where it stood already."""
    try:
        create()
    except grpc.RpcError as error:
        if Refused.from_rpc(error).code is grpc.StatusCode.ALREADY_EXISTS:
            return False
        raise
    return True
