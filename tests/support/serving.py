"""A real gRPC server of an area on a Unix socket, in the test's own process."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import grpc
from verbund.policy import catalogue
from verbund.serving.area import Area
from verbund.serving.settings import ServingSettings
from verbund.serving.tokens import TokenVerifier
from verbund.serving.worker import Worker, verifier_of

from tests.support.tokens import ISSUER, Issuer


@contextmanager
def running(
    build: Callable[[TokenVerifier], Area], issuer: Issuer, *, number: int = 0, **settings: object
) -> Iterator[str]:
    """The address of a worker of the area that `build` makes, stopped afterwards."""
    with tempfile.TemporaryDirectory(prefix="verbund-s-", dir="/tmp") as directory:
        stated = ServingSettings(
            issuer=ISSUER,
            jwks_file=issuer.jwks_file,
            revocations_file=issuer.revocations_file,
            socket_dir=Path(directory),
            **{"leave_seconds": 0.0} | settings,  # type: ignore[arg-type] # nobody looks at its health
        )
        verifier = verifier_of(stated)
        area = build(verifier)
        with Worker(area, stated, verifier, number, reflected=catalogue.SERVICES):
            yield f"unix:{directory}/{area.name}-{number}.grpc.sock"


def connected(address: str) -> grpc.Channel:
    """A channel of its own to the worker at `address`."""
    return grpc.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)])


@contextmanager
def served(
    build: Callable[[TokenVerifier], Area], issuer: Issuer, *, number: int = 0, **settings: object
) -> Iterator[grpc.Channel]:
    """A channel to a worker of the area that `build` makes, both ended afterwards, the worker first."""
    with ExitStack() as last, running(build, issuer, number=number, **settings) as address:
        yield last.enter_context(connected(address))


def bearer(token: str) -> tuple[tuple[str, str], ...]:
    """The metadata that a token is sent with."""
    return (("authorization", f"Bearer {token}"),)
