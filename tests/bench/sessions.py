"""What a browser's session costs the gateway: the same page for the same caller, by cookies and by a token.

The page behind it is a bare one, so that many can be asked for: only Envoy's own time is counted.
"""

import json
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
from verbund.console.routes import START_PATH
from verbund_gateway.sessions import CALLBACK_PATH

from tests.bench.callers import http_callers
from tests.bench.figures import Figure
from tests.bench.parts import START_SECONDS_MAX, Parts, environment_of, started
from tests.bench.processor import spent
from tests.support.envoy import Gateway, gateway_settings, start_envoy
from tests.support.load import wait_until

ROUNDS = 12
REQUESTS = 2400
TARGET = 0.05
UNLIMITED = 10_000_000
HTML = "text/html"
LIFE_SECONDS = 3600
REFRESH_BYTES = 96  # of a refresh token, about what identity's have


def measure(parts: Parts) -> list[Figure]:
    """Envoy's CPU for a page by cookies, less than for the same by a token, round by round."""
    token = parts.issuer.token(roles=("caseworker",), exp=2**31, sid=secrets.token_hex(16), idp="home")
    found: dict[str, list[float]] = {"token": [], "session": []}
    with ExitStack() as stack:
        gateway = stack.enter_context(running(parts, token))
        headers = {"token": {"authorization": f"Bearer {token}"}, "session": {"cookie": signed_on(gateway)}}
        settings = gateway.settings
        work = {
            name: stack.enter_context(
                http_callers(settings.port, settings.certificate_file, START_PATH, {"accept": HTML} | header, REQUESTS)
            )
            for name, header in headers.items()
        }
        for make in work.values():
            make()
        for number in range(ROUNDS):
            # Each comes first as often as the other: whatever changes meanwhile changes both.
            for name in sorted(work, reverse=bool(number % 2)):
                found[name].append(spent({"gateway": gateway.process.pid}, work[name])["gateway"])
    pairs = zip(found["session"], found["token"], strict=True)
    unit = "CPU s per 1,000"
    return [
        Figure(
            what="a browser's session: what the gateway takes more than for a token",
            unit=unit,
            rounds=[session - token_ for session, token_ in pairs],
            target=TARGET,
        ),
        Figure(what="the same page by a token, in the gateway", unit=unit, rounds=found["token"]),
    ]


@contextmanager
def running(parts: Parts, token: str) -> Iterator[Gateway]:
    """A gateway as browsers have it, before a process that stands for identity and the console."""
    directory = parts.directory / "sessions"
    for name in ("client", "cookies"):
        secret(directory, name)
    settings = gateway_settings(
        directory,
        workers=1,
        rate_read=UNLIMITED,
        console_secret_file=directory / "client.secret",
        cookie_secret_file=directory / "cookies.secret",
    )
    answer = {
        "access_token": token,
        "id_token": parts.issuer.token(aud="console", nonce=secrets.token_urlsafe(32)),
        "refresh_token": secrets.token_urlsafe(REFRESH_BYTES),
        "token_type": "Bearer",
        "expires_in": LIFE_SECONDS,
    }
    tokens = directory / "tokens.json"
    tokens.write_text(json.dumps(answer))
    environment = environment_of(parts.directory, parts.postgres, parts.issuer)
    sockets = [settings.sockets(area, "http")[0] for area in ("identity", "console")]
    with started(parts.directory, environment, "stand-in", str(tokens), *map(str, sockets)):
        # Before the gateway, which would find nobody and ask again much later.
        wait_until(sockets[-1].exists, "what stands for the console did not start", seconds_max=START_SECONDS_MAX)
        with start_envoy(settings, parts.issuer.keys()) as gateway:
            yield gateway


def secret(directory: Path, name: str) -> None:
    """One of the gateway's secrets."""
    directory.mkdir(exist_ok=True)
    (directory / f"{name}.secret").write_text(secrets.token_urlsafe(32))


def signed_on(gateway: Gateway) -> str:
    """The cookies that the gateway gives a browser; what stands for identity takes any code."""
    with gateway.client(accept=HTML) as browser:
        sent = browser.get(START_PATH)
        asked = parse_qs(urlsplit(sent.headers["location"]).query)
        back = browser.get(CALLBACK_PATH, params={"code": "any", "state": asked["state"][0]})
        assert back.status_code == httpx.codes.FOUND, back.text
        cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in browser.cookies.jar)
        assert browser.get(START_PATH).status_code == httpx.codes.OK
    return cookies
