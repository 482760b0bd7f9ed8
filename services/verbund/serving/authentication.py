"""Who calls: verifies the token, and the peer's certificate where services listen with mutual TLS. Makes the `Call`."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import grpc

from verbund.policy.v1 import policy_pb2
from verbund.resources.names import NOBODY
from verbund.serving.call import Call, Principal
from verbund.serving.refusals import Unauthenticated
from verbund.serving.rpc import Behaviour, Rpc
from verbund.serving.tokens import TokenVerifier
from verbund.serving.translation import trace_id_of

ANYBODY = Principal(subject="", organisation=NOBODY)
BEARER = "bearer "


class Authentication:
    """Turns the context of gRPC into a `Call`: what comes after it knows nothing of gRPC."""

    def __init__(
        self,
        verifier: TokenVerifier,
        *,
        deadline_seconds_max: float,
        stream_seconds_max: float,
        client_names: Sequence[str] | None = None,
    ) -> None:
        self._verifier = verifier
        self._deadline_seconds_max = deadline_seconds_max
        self._stream_seconds_max = stream_seconds_max
        self._client_names = None if client_names is None else frozenset(client_names)

    def wrap(self, rpc: Rpc, behaviour: Behaviour) -> Behaviour:
        """Calls `behaviour(request, call, …)`."""

        def authenticated(request: Any, context: grpc.ServicerContext, *rest: Any) -> Any:
            return behaviour(request, self._call(rpc, context), *rest)

        return authenticated

    def _call(self, rpc: Rpc, context: grpc.ServicerContext) -> Call:
        if self._client_names is not None:
            check_peer(context.auth_context(), self._client_names)
        public = rpc.rule.audience == policy_pb2.AUDIENCE_PUBLIC
        principal = ANYBODY if public else self._verifier.verify(token_of(context))
        remaining = context.time_remaining()
        limit = self._stream_seconds_max if rpc.holding else self._deadline_seconds_max
        seconds = limit if remaining is None else min(remaining, limit)
        return Call(
            principal=principal,
            rule=rpc.rule,
            method=rpc.path,
            deadline=time.monotonic() + seconds,
            trace_id=trace_id_of(),
        )


def token_of(context: grpc.ServicerContext) -> str:
    """The bearer token of a call; raises Unauthenticated where there is none, or two."""
    values = [value for key, value in context.invocation_metadata() if key == "authorization"]
    if not values:
        raise Unauthenticated("NO_TOKEN")
    if len(values) > 1 or not isinstance(values[0], str) or values[0][: len(BEARER)].lower() != BEARER:
        raise Unauthenticated("TOKEN_INVALID")
    return values[0][len(BEARER) :].strip()


def check_peer(context: Mapping[str, Any], allowed: frozenset[str]) -> None:
    """Refuses a peer whose certificate names nobody who may connect."""
    names = {name.decode() for name in context.get("x509_subject_alternative_name", ())}
    if not names & allowed:
        raise Unauthenticated("TOKEN_INVALID")
