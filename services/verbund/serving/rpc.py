"""What the interceptors know of a method, and the shape they share."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import Message

from verbund.policy.table import Rule

# A behaviour takes the request and the gRPC context, or after authentication the `Call`; that of a stream takes what it
# sends with too. The request of a stream of requests is their iterator.
Behaviour = Callable[..., Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rpc:
    """One method of a service."""

    path: str  # "/verbund.registry.v1.ProjectService/GetProject"
    rule: Rule
    request: type[Message] | None  # None where the method is not ours and parses for itself
    watching: bool = False  # a stream that holds no worker
    takes_stream: bool = False
    gives_stream: bool = False

    @property
    def holding(self) -> bool:
        """Whether it is a stream that holds a thread while it lasts."""
        return (self.takes_stream or self.gives_stream) and not self.watching

    @property
    def name(self) -> str:
        """The method's name as the conventions for RPC spans write it,
        "verbund.registry.v1.ProjectService/GetProject".
        """
        return self.path[1:]


class Gone(Exception):  # noqa: N818 - says what is the case
    """The caller went away in the middle of a stream, or the stream was ended: whatever it did is given up."""


class Interceptor(Protocol):
    """One concern of serving. It wraps each method's behaviour once, when the server is built."""

    def wrap(self, rpc: Rpc, behaviour: Behaviour) -> Behaviour:
        """The behaviour with this concern around it."""


class Servicer(Protocol):
    """A service: its descriptor, and one method for each RPC, `def GetProject(self, request, call)`."""

    service: ServiceDescriptor
