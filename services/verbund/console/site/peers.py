"""The services as a page calls them: with the person's token, in the page's trace, within its time, at once."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

import grpc
from google.protobuf.message import Message

from verbund.sdk.refusals import Refused
from verbund.serving.call import Call
from verbund.serving.refusals import Down
from verbund.serving.telemetry import W3C

AREAS = ("exchange", "identity", "registry")
ATTEMPTS_MAX = 3
CHANNEL_OPTIONS = (
    ("grpc.enable_http_proxy", 0),
    # A worker that was started again takes calls after so long at the latest.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
)

Answer = TypeVar("Answer", bound=Message)
Method = Callable[[grpc.Channel], Any]  # a stub's method on a channel


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a cluster's services know the console by: PEM files."""

    ca: bytes
    certificate: bytes
    key: bytes


class Peers:
    """The channels to each area's workers, taken in turn."""

    def __init__(self, channels: Mapping[str, Sequence[grpc.Channel]]) -> None:
        self._channels = channels
        self._turns = itertools.count()

    @classmethod
    def on_sockets(cls, directory: Path, workers: int) -> Self:
        """The workers of the embedded mode, each on its own socket."""
        return cls(
            {
                area: [
                    grpc.insecure_channel(f"unix:{directory}/{area}-{number}.grpc.sock", CHANNEL_OPTIONS)
                    for number in range(workers)
                ]
                for area in AREAS
            }
        )

    @classmethod
    def at(cls, addresses: Mapping[str, str], credentials: Credentials) -> Self:
        """The services of a cluster, behind an address each, with mutual TLS."""
        shown = grpc.ssl_channel_credentials(credentials.ca, credentials.key, credentials.certificate)
        return cls(
            {area: [grpc.secure_channel(address, shown, CHANNEL_OPTIONS)] for area, address in addresses.items()}
        )

    def channels(self, area: str) -> list[grpc.Channel]:
        """The channels to try, the one whose turn it is first; raises Down where no way to the area is set."""
        found = self._channels.get(area, ())
        if not found:
            raise Down
        first = next(self._turns)
        return [found[(first + attempt) % len(found)] for attempt in range(ATTEMPTS_MAX)]

    def close(self) -> None:
        """Ends the connections."""
        for channel in itertools.chain.from_iterable(self._channels.values()):
            channel.close()


class Later(Generic[Answer]):
    """An answer that is on its way."""

    def __init__(self, start: Callable[[grpc.Channel], Any], channels: Sequence[grpc.Channel]) -> None:
        self._start = start
        self._others = channels[1:]
        self._call = start(channels[0])

    def result(self) -> Answer:
        """The answer; raises Refused. A worker that is not there is passed over: whatever a page calls can be repeated
        without harm, for it reads, or has a request_id.
        """
        call = self._call
        for channel in self._others:
            try:
                answer: Answer = call.result()
            except grpc.RpcError as error:
                refusal = Refused.from_rpc(error)
                if refusal.code != grpc.StatusCode.UNAVAILABLE:
                    raise refusal from None
                call = self._start(channel)
            else:
                return answer
        try:
            last: Answer = call.result()
        except grpc.RpcError as error:
            raise Refused.from_rpc(error) from None
        return last

    def result_if_known(self) -> Answer | None:
        """The answer; None where there is no such thing for the caller, or they may see none. Raises Refused."""
        try:
            return self.result()
        except Refused as refusal:
            if refusal.code in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.PERMISSION_DENIED):
                return None
            raise


class Asking:
    """The calls of one page. `later` begins one and does not wait, so that those that need not wait for each other run
    at once.
    """

    def __init__(self, peers: Peers, call: Call, *, token: str, seconds_max: float) -> None:
        self._peers = peers
        self._call = call
        self._seconds_max = seconds_max
        carried: dict[str, str] = {}
        W3C.inject(carried)
        self._metadata = [("authorization", f"Bearer {token}"), *carried.items()]

    def later(self, area: str, method: Method, request: Message) -> Later[Any]:
        """Begins a call: `later("registry", lambda channel: ProjectServiceStub(channel).GetProject, request)`."""
        seconds = max(0.0, min(self._call.remaining_seconds(), self._seconds_max))

        def start(channel: grpc.Channel) -> Any:
            return method(channel).future(request, timeout=seconds, metadata=self._metadata)

        return Later(start, self._peers.channels(area))
