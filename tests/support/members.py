"""Callers of one area's worker in tests: tokens of organisations, refusals, workers that may be killed."""

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
from google.rpc.error_details_pb2 import BadRequest
from verbund.sdk.refusals import Refused

from tests.support.serving import bearer
from tests.support.tokens import ISSUER, Issuer

TIMEOUT_SECONDS = 20
WORKER = """
import os, sys
sys.path[:0] = sys.argv[4:]
from verbund.serving import worker
sys.exit(worker.run(sys.argv[1], int(sys.argv[2]), os.environ, ready_fd=int(sys.argv[3])))
"""


class Bearer(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor, grpc.StreamUnaryClientInterceptor):
    """Sends a token with every call."""

    def __init__(self, token: str) -> None:
        self._metadata = bearer(token)

    def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        """One call."""
        return continuation(self._with_token(details), request)

    def intercept_unary_stream(self, continuation: Any, details: Any, request: Any) -> Any:
        """One stream of answers."""
        return continuation(self._with_token(details), request)

    def intercept_stream_unary(self, continuation: Any, details: Any, requests: Any) -> Any:
        """One stream of requests."""
        return continuation(self._with_token(details), requests)

    def _with_token(self, details: Any) -> Any:
        return details._replace(metadata=[*(details.metadata or ()), *self._metadata])


def environment(dsn: str, issuer: Issuer, directory: Path) -> dict[str, str]:
    """The settings of a worker on a database."""
    return {
        "VERBUND_DATABASE_DSN": dsn,
        "VERBUND_SERVING_ISSUER": ISSUER,
        "VERBUND_SERVING_JWKS_FILE": str(issuer.jwks_file),
        "VERBUND_SERVING_REVOCATIONS_FILE": str(issuer.revocations_file),
        "VERBUND_SERVING_SOCKET_DIR": str(directory),
        "VERBUND_SERVING_DRAIN_SECONDS": "2",
    }


@contextmanager
def worker_process(
    area: str, directory: Path, number: int, stated: Mapping[str, str]
) -> Iterator[tuple[subprocess.Popen[bytes], grpc.Channel]]:
    """A worker in a process of its own, which the test may kill."""
    reading, writing = os.pipe()
    command = [sys.executable, "-c", WORKER, area, str(number), str(writing), *sys.path]
    with (directory / f"{number}.log").open("wb") as log:
        process = subprocess.Popen(command, env={**os.environ, **stated}, stdout=log, stderr=log, pass_fds=[writing])
    os.close(writing)
    try:
        with os.fdopen(reading, "rb") as ready:
            assert ready.read() == b"1", (directory / f"{number}.log").read_text()
        options = [("grpc.use_local_subchannel_pool", 1)]
        with grpc.insecure_channel(f"unix:{directory}/{area}-{number}.grpc.sock", options=options) as channel:
            yield process, channel
    finally:
        process.kill()
        process.wait()


@contextmanager
def refused(reason: str) -> Iterator[list[Refused]]:
    """The block is refused with a reason; the refusal is put into the list."""
    found: list[Refused] = []
    try:
        yield found
    except grpc.RpcError as error:
        found.append(Refused.from_rpc(error))
    assert found, f"nothing was refused; {reason} was expected"
    assert found[0].reason == reason, found[0]


def fields_of(refusal: Refused) -> list[str]:
    """The proto paths of what is wrong with the input."""
    found = [detail for detail in refusal.details if isinstance(detail, BadRequest)]
    return [violation.field for detail in found for violation in detail.field_violations]


def new_id() -> str:
    """A request id."""
    return str(uuid.uuid4())
