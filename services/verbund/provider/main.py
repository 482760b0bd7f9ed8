"""The provider's process: `verbund up` runs it beside the mesh, as an organisation's own provider would stand."""

import asyncio
import os
import signal
import socket
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import structlog
import uvicorn

from verbund import settings as loader
from verbund.clock import Clock, wall_clock
from verbund.failure import EnvironmentFailure
from verbund.provider import accounts, sample, stage
from verbund.provider.http import ASGIApp, application
from verbund.provider.requests import Client
from verbund.provider.settings import HOST, PREFIX, ProviderSettings
from verbund.provider.state import Issuer
from verbund.serving import logs

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
LOOK_SECONDS = 30.0
START_POLL_SECONDS = 0.01
CONNECTIONS_MAX = 256
HEAD_BYTES_MAX = 32 * 1024
HANDSHAKE_SECONDS_MAX = 10.0
SHUTDOWN_SECONDS_MAX = 1.0
BACKLOG = 128
log = structlog.get_logger(__name__)


def run(environment: Mapping[str, str], ready_fd: int | None = None) -> int:
    """Serves until SIGTERM or SIGINT; writes one byte to `ready_fd` when it listens.

    Raises Failure where the settings say production, and SettingError.
    """
    stage.check(environment)
    # Blocked, they wait for the loop below; the server's thread inherits this and is not interrupted.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    logs.configure(area="provider")
    settings = loader.load(ProviderSettings, environment, prefix=PREFIX)
    with Server(build(settings, wall_clock), settings) as server:
        server.wait_until_serving()
        log.info("ready", area="provider")
        if ready_fd is not None:
            os.write(ready_fd, b"1")
            os.close(ready_fd)
        while signal.sigtimedwait(STOP_SIGNALS, LOOK_SECONDS) is None:
            server.follow_certificate()
    log.info("stopped", area="provider")
    return 0


def build(settings: ProviderSettings, clock: Clock) -> ASGIApp:
    """The application by its settings; makes the accounts that are missing."""
    client = Client(frozenset(settings.redirect_uris), frozenset(settings.post_logout_redirect_uris))
    return application(
        [
            Issuer(
                url=accounts.issuer_url(settings.port, organisation.provider_id),
                organisation=organisation,
                accounts=accounts.ensure(settings.directory, organisation),
                client=client,
                settings=settings,
                now=lambda: clock().timestamp(),
            )
            for organisation in sample.read()
        ]
    )


class Loop(asyncio.SelectorEventLoop):
    """Bounds how long a connection may take to begin and to end its TLS, for which uvicorn has no settings.

    A client that goes on sending after it was refused is heard until the end of TLS: half a minute by default.
    """

    async def create_server(self, *arguments: Any, **options: Any) -> asyncio.Server:
        """As the loop's own, with the bounds."""
        options |= {"ssl_handshake_timeout": HANDSHAKE_SECONDS_MAX, "ssl_shutdown_timeout": SHUTDOWN_SECONDS_MAX}
        server: asyncio.Server = await super().create_server(*arguments, **options)
        return server


class Server:
    """The HTTPS server, in a thread of its own. Entering starts it; leaving lets requests in progress finish."""

    def __init__(self, application: ASGIApp, settings: ProviderSettings) -> None:
        self._settings = settings
        self._listener = listen(settings.port)
        self._config = uvicorn.Config(
            application,
            ssl_certfile=settings.certificate_file,
            ssl_keyfile=settings.key_file,
            log_config=None,
            access_log=False,
            lifespan="off",
            http="h11",  # it bounds the head of a request, which the faster parser does not
            h11_max_incomplete_event_size=HEAD_BYTES_MAX,
            loop=f"{Loop.__module__}:{Loop.__name__}",
            ws="none",
            proxy_headers=False,
            server_header=False,
            date_header=False,
            limit_concurrency=CONNECTIONS_MAX,
            timeout_graceful_shutdown=2,
        )
        self._config.load()
        self._certificate = state_of(settings.certificate_file)
        self._server = uvicorn.Server(self._config)
        self._thread = threading.Thread(target=self._server.run, args=([self._listener],), name="https")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._thread.join()

    def wait_until_serving(self) -> None:
        """Returns when requests are answered."""
        while not self._server.started and self._thread.is_alive():
            time.sleep(START_POLL_SECONDS)

    def follow_certificate(self) -> None:
        """Uses a certificate that was renewed, for connections from now on."""
        state = state_of(self._settings.certificate_file)
        if state != self._certificate and self._config.ssl is not None:
            self._config.ssl.load_cert_chain(self._settings.certificate_file, self._settings.key_file)
            self._certificate = state


def listen(port: int) -> socket.socket:
    """The open port; raises EnvironmentFailure where somebody else has it."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise EnvironmentFailure(
            f"Port {port} ({PREFIX}PORT) is in use.", remedy=f"choose another port with {PREFIX}PORT."
        ) from None
    return listener


def state_of(file: Path) -> tuple[int, int]:
    """What changes when a file is replaced."""
    found = file.stat()
    return found.st_mtime_ns, found.st_ino


def preload() -> None:
    """Reads what is packed, before the rights that reading it may take are given up."""
    sample.read()
