"""Calls as a department makes them: what the mesh refuses is a `Refused`, and no call waits for ever.

One interceptor does both. What may be repeated without harm, `patiently` repeats: gRPC itself repeats only methods
whose rule says that a retry is safe.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import grpc
from google.rpc.error_details_pb2 import RetryInfo

from verbund.sdk.refusals import CallRefused, Refused, TokenRefused

CALL_SECONDS = 30.0  # the gateway's own bound
ATTEMPTS_MAX = 5
PAUSE_SECONDS = 0.2
PAUSE_SECONDS_MAX = 5.0
BREAKS = (grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL, grpc.StatusCode.CANCELLED)

Answer = TypeVar("Answer")


class Refusing(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
    grpc.StreamStreamClientInterceptor,
):
    """Raises Refused where gRPC would raise RpcError, and TokenRefused where there was no token to call with."""

    def __init__(self, why_no_token: Callable[[], TokenRefused | None]) -> None:
        self._why_no_token = why_no_token

    def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        """A call with an answer; it ends in half a minute unless its caller says otherwise."""
        if client_call_details.timeout is None:
            client_call_details = client_call_details._replace(timeout=CALL_SECONDS)
        return Outcome(continuation(client_call_details, request), self._why_no_token)

    def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        """A download or a watch."""
        return Outcome(continuation(client_call_details, request), self._why_no_token)

    def intercept_stream_unary(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        """An upload."""
        return Outcome(continuation(client_call_details, request_iterator), self._why_no_token)

    def intercept_stream_stream(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        """Both at once: reflection."""
        return Outcome(continuation(client_call_details, request_iterator), self._why_no_token)


class Outcome:
    """A call, or its end, as gRPC has it; only what it raises is another exception."""

    def __init__(self, call: Any, why_no_token: Callable[[], TokenRefused | None]) -> None:
        self._call = call
        self._why_no_token = why_no_token

    def result(self, timeout: float | None = None) -> Any:
        """The answer; raises Refused or TokenRefused."""
        try:
            return self._call.result(timeout)
        except grpc.RpcError as error:
            raise self._refusal(error) from None

    def exception(self, timeout: float | None = None) -> Any:
        """What `result` would raise."""
        found = self._call.exception(timeout)
        return self._refusal(found) if isinstance(found, grpc.RpcError) else found

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        try:
            return next(self._call)
        except grpc.RpcError as error:
            raise self._refusal(error) from None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._call, name)

    def _refusal(self, error: grpc.RpcError) -> Refused | TokenRefused:
        refused = CallRefused.from_rpc(error)
        no_token = self._why_no_token() if refused.code is grpc.StatusCode.UNAVAILABLE else None
        return no_token or refused


def patiently(call: Callable[[], Answer]) -> Answer:
    """Makes a call that may be repeated without harm, again where waiting can help. Raises Refused, TokenRefused."""
    for attempt in range(ATTEMPTS_MAX):
        try:
            return call()
        except Refused as refused:
            if attempt + 1 == ATTEMPTS_MAX or not may_pass(refused):
                raise
            time.sleep(pause_of(refused, attempt))
    raise AssertionError("unreachable")


def may_pass(refused: Refused) -> bool:
    """Whether the same call can succeed in a moment."""
    return refused.code is grpc.StatusCode.UNAVAILABLE or refused.retry_can_help


def broke_off(refused: Refused) -> bool:
    """Whether a stream ended by what lies between, and not by the mesh's own word, which has a reason."""
    return refused.code is grpc.StatusCode.DEADLINE_EXCEEDED or (refused.code in BREAKS and not refused.reason)


def pause_of(refused: Refused, attempt: int) -> float:
    """How long to wait: what the mesh says, else longer each time."""
    told = [detail.retry_delay for detail in refused.details if isinstance(detail, RetryInfo)]
    seconds = max((delay.seconds + delay.nanos / 1e9 for delay in told), default=PAUSE_SECONDS * 2**attempt)
    return float(min(seconds, PAUSE_SECONDS_MAX))
