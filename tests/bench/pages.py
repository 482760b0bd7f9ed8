"""The pages for people on a mesh with 100,000 projects: how one gets there, how long each takes, how large it is.

Each is asked for at the console's socket with a person's token, through the gateway with the cookies of their session,
and beside a bare page that makes the same calls of the same services.
"""

import dataclasses
import http.client
import io
import json
import re
import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import httpx
from verbund.console import http as console_http
from verbund.console.site import application
from verbund.console.site.desk import Desk
from verbund.console.site.peers import Peers
from verbund.embedded.settings import DEFAULT_WORKERS
from verbund.serving.http import ASGIApp
from verbund.serving.tokens import TokenVerifier

from tests.bench import sessions, site
from tests.bench.exchange_tokens import Connection
from tests.bench.figures import Figure, percentile, ratios
from tests.bench.parts import START_SECONDS_MAX, Parts, environment_of, started
from tests.bench.registry_rows import COUNT
from tests.bench.site import Site
from tests.support.load import wait_until
from tests.support.rounds import noting_console

ROUNDS, REQUESTS, WARMING = 5, 40, 10  # of each page in each round, and in the one that is not counted
TARGET_MS, TARGET_KB, TARGET_REDIRECTS, TARGET_REQUESTS = 60.0, 60.0, 6, 1
TARGETED = ("start page", "project page")
KB = 1000
# Whatever a browser fetches by itself to show a page.
FETCHED = re.compile(r'<(?:link|script|img|iframe|object|embed|source)\b[^>]*?\b(?:href|src|data)="([^"]*)"')
Times = dict[str, list[list[float]]]  # by the way that was taken, for each round


def measure(parts: Parts) -> list[Figure]:
    """The pages of a whole mesh, then what a session costs a gateway."""
    with site.running() as found:
        figures = [
            Figure(
                what="sign-on, from the click to the page",
                unit="redirects",
                rounds=found.redirects,
                target=TARGET_REDIRECTS,
            ),
            *latencies(parts, found),
            *weights(found),
        ]
    return [*figures, *sessions.measure(parts)]


class Reader:
    """Reads pages over one connection that stays open."""

    def __init__(self, connection: http.client.HTTPConnection, **headers: str) -> None:
        self._connection = connection
        self.headers = {"accept": "text/html", **headers}

    def seconds(self, path: str) -> float:
        """How long a page takes, on the wall."""
        begun = time.perf_counter()
        self._connection.request("GET", path, headers=self.headers)
        answer = self._connection.getresponse()
        body = answer.read()
        taken = time.perf_counter() - begun
        assert answer.status == http.client.OK, body
        return taken


def latencies(parts: Parts, found: Site) -> list[Figure]:
    """Every page by every way, one request of each after the other."""
    times: dict[str, Times] = {kind: {name: [] for name in ("console", "gateway", "bare")} for kind in found.paths}
    with readers(parts, found) as ways:
        for number in range(ROUNDS + 1):
            token = f"Bearer {found.person.tokens.token()}"
            ways["console"].headers["authorization"] = ways["bare"].headers["authorization"] = token
            for rounds in times.values():
                for way in rounds.values():
                    way.append([])
            for request in range(REQUESTS if number else WARMING):
                for kind, paths in found.paths.items():
                    for name, reader in ways.items():
                        times[kind][name][-1].append(reader.seconds(paths[request % len(paths)]))
    # The first round found everything cold.
    return [
        figure
        for kind, rounds in times.items()
        for figure in figures_of(kind, {name: way[1:] for name, way in rounds.items()})
    ]


def figures_of(kind: str, times: Times) -> list[Figure]:
    """A page's slowest by both ways, and how it compares with the bare one."""
    target = TARGET_MS if kind in TARGETED else None
    slowest = {name: [1000 * percentile(each, 0.95) for each in rounds] for name, rounds in times.items()}
    middle = {name: [percentile(each, 0.5) for each in rounds] for name, rounds in times.items()}
    ms, ratio = "ms", "x a bare page with the same calls"
    return [
        Figure(what=f"{kind}, {COUNT:,} projects: p95", unit=ms, rounds=slowest["console"], target=target),
        Figure(what=f"{kind}, by a session at the gateway: p95", unit=ms, rounds=slowest["gateway"], target=target),
        Figure(what="the same at the console, p50", unit=ratio, rounds=ratios(middle["console"], middle["bare"])),
    ]


@contextmanager
def readers(parts: Parts, found: Site) -> Iterator[dict[str, Reader]]:
    """A reader for each way to a page."""
    trust = ssl.create_default_context(cafile=str(found.mesh.ca))
    gateway = urlsplit(found.gateway)
    with ExitStack() as stack:
        bare = stack.enter_context(bare_pages(parts, found))
        connections = {
            "console": Connection(found.mesh.home.run / "console-0.http.sock"),
            "gateway": http.client.HTTPSConnection(str(gateway.hostname), gateway.port, context=trust),
            "bare": Connection(bare),
        }
        for connection in connections.values():
            stack.callback(connection.close)
        ways = {name: Reader(connection) for name, connection in connections.items()}
        ways["gateway"].headers["cookie"] = found.cookies
        yield ways


@contextmanager
def bare_pages(parts: Parts, found: Site) -> Iterator[Path]:
    """The socket of pages that make the calls of ours, know nobody, and say nothing."""
    plan_file, socket = parts.directory / "plan.json", parts.sockets / "bare.sock"
    plan_file.write_text(json.dumps(plan_of(found)))
    environment = environment_of(parts.directory, parts.postgres, parts.issuer)
    command = ["calls", str(socket), str(plan_file), str(found.mesh.home.run), str(DEFAULT_WORKERS)]
    with started(parts.directory, environment, *command):
        wait_until(socket.exists, "the bare pages did not start", seconds_max=START_SECONDS_MAX)
        yield socket


def plan_of(found: Site) -> dict[str, object]:
    """The calls that each page makes once names are known, and its length."""
    home = found.mesh.home
    verifier = TokenVerifier(
        issuer=found.gateway,
        audience="verbund",
        jwks_file=home.published / "jwks.json",
        revocations_file=home.published / "revocations.json",
    )

    def make(peers: Peers) -> ASGIApp:
        desk = Desk(
            peers=peers,
            origin=found.gateway,
            zone=ZoneInfo("Europe/Berlin"),
            clock=lambda: datetime.now(UTC),
            call_seconds_max=5.0,
        )
        return console_http.application({}, application.Site(desk), verifier, cache_seconds=0)

    plan: dict[str, object] = {}
    # Its log would stand between the figures.
    with redirect_stdout(io.StringIO()), noting_console(home.run, make) as console:
        for path in (path for paths in found.paths.values() for path in paths):
            console.read(path, found.person.tokens.token())
            rounds = console.read(path, found.person.tokens.token())
            calls = [{**dataclasses.asdict(call), "request": call.request.hex()} for call in rounds.calls]
            plan[path] = {"calls": sorted(calls, key=lambda call: call["round"]), "bytes": rounds.page_bytes}
    return plan


def weights(found: Site) -> list[Figure]:
    """The heaviest page with everything that a browser fetches for it, headers too."""
    sent: dict[str, float] = {}
    unpacked: dict[str, float] = {}
    requests: list[float] = []
    for kind, paths in found.paths.items():
        page = found.browser.get(paths[0])
        fetched = [found.browser.get(address) for address in FETCHED.findall(page.text)]
        requests.append(len(fetched))
        sent[kind] = sum(header_bytes(each) + each.num_bytes_downloaded for each in (page, *fetched)) / KB
        unpacked[kind] = sum(header_bytes(each) + len(each.content) for each in (page, *fetched)) / KB
    heaviest = max(unpacked, key=lambda kind: unpacked[kind])
    return [
        Figure(
            what=f"the heaviest page ({heaviest}) with its style, unpacked",
            unit="KB",
            rounds=[unpacked[heaviest]],
            target=TARGET_KB,
        ),
        Figure(what="the same as sent", unit="KB", rounds=[sent[heaviest]]),
        Figure(
            what="what any page fetches beside itself: one style, no script",
            unit="requests",
            rounds=[max(requests)],
            target=TARGET_REQUESTS,
        ),
    ]


def header_bytes(answer: httpx.Response) -> int:
    """The length of an answer's headers as HTTP/1.1 writes them."""
    return sum(len(name) + len(value) + len(": \r\n") for name, value in answer.headers.raw)
