"""The calls that a page makes of the services, and how many wait for each other: a round begins where one waited."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import httpx
from verbund.console.site.peers import AREAS, Peers
from verbund.serving.http import ASGIApp
from verbund.serving.worker import HttpServer

OPTIONS = [("grpc.use_local_subchannel_pool", 1)]


@dataclass(frozen=True, slots=True)
class Made:
    """One call: to which area, with what, and in which round."""

    area: str
    method: str
    request: bytes
    round: int


@dataclass
class Rounds:
    """The calls of one page, and its length."""

    calls: list[Made] = field(default_factory=list)
    page_bytes: int = 0
    waited: int = 0

    def begin(self, area: str, method: str, request: bytes) -> int:
        """Notes a call; the round it is in: one after the latest that somebody waited for."""
        self.calls.append(Made(area, method, request, self.waited + 1))
        return self.waited + 1

    def wait(self, round_: int) -> None:
        """Notes that an answer of a round is waited for."""
        self.waited = max(self.waited, round_)

    @property
    def named(self) -> list[list[str]]:
        """The methods' own names, round by round."""
        return [
            sorted(call.method.rpartition("/")[2] for call in self.calls if call.round == number)
            for number in range(1, max((call.round for call in self.calls), default=0) + 1)
        ]


class Noting(grpc.UnaryUnaryClientInterceptor):
    """Notes the calls to an area."""

    def __init__(self, area: str, rounds: Callable[[], Rounds]) -> None:
        self._area = area
        self._rounds = rounds

    def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        """One call, begun now and waited for later."""
        rounds = self._rounds()
        number = rounds.begin(self._area, details.method, request.SerializeToString())
        return Noted(continuation(details, request), lambda: rounds.wait(number))


class Noted:
    """An answer on its way; whoever takes it is noted."""

    def __init__(self, call: Any, waiting: Callable[[], None]) -> None:
        self._call = call
        self._waiting = waiting

    def result(self) -> Any:
        """The answer."""
        self._waiting()
        return self._call.result()


class Console:
    """A console whose calls are noted."""

    def __init__(self) -> None:
        self.rounds = Rounds()
        self.client = httpx.Client()

    def read(self, path: str, token: str) -> Rounds:
        """The calls that a page takes."""
        self.rounds = Rounds()
        answer = self.client.get(path, headers={"authorization": f"Bearer {token}"})
        assert answer.status_code == httpx.codes.OK, answer.text
        self.rounds.page_bytes = len(answer.content)
        return self.rounds


@contextmanager
def noting_console(services: Path, make: Callable[[Peers], ASGIApp]) -> Iterator[Console]:
    """A console in this process, beside services with their sockets in a directory; `make` makes its application."""
    console = Console()
    with ExitStack() as stack:
        channels = {
            area: stack.enter_context(grpc.insecure_channel(f"unix:{services}/{area}-0.grpc.sock", OPTIONS))
            for area in AREAS
        }
        noting = {
            area: [grpc.intercept_channel(channel, Noting(area, lambda: console.rounds))]
            for area, channel in channels.items()
        }
        own = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="verbund-n-", dir="/tmp"))) / "console.sock"
        server = HttpServer(make(Peers(noting)), own)
        stack.callback(server.stop)
        transport = httpx.HTTPTransport(uds=str(own))
        console.client = stack.enter_context(httpx.Client(transport=transport, base_url="http://console", timeout=20))
        yield console
