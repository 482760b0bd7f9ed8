"""One worker process of a service: builds it, serves it, and ends it so that nothing in progress is lost."""

import importlib
import os
import random
import signal
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import structlog
import uvicorn
from grpc_health.v1 import health_pb2
from opentelemetry import trace

from verbund import settings as loader
from verbund.serving import infrastructure, logs, tracing
from verbund.serving.area import Area, Job
from verbund.serving.authentication import Authentication
from verbund.serving.authorisation import Authorisation
from verbund.serving.http import telling_health
from verbund.serving.rpc import Interceptor
from verbund.serving.server import build_server, listen
from verbund.serving.settings import ServingSettings
from verbund.serving.streams import Streams
from verbund.serving.telemetry import Telemetry
from verbund.serving.tokens import TokenVerifier
from verbund.serving.translation import Refusals
from verbund.serving.validation import Validation

READY_POLL_SECONDS = 0.05
HTTP_CONNECTIONS_MAX = 256
PREFIX = "VERBUND_SERVING_"
log = structlog.get_logger(__name__)


def run(
    name: str,
    worker: int,
    environment: Mapping[str, str],
    ready_fd: int | None = None,
    *,
    reflected: Sequence[str] = (),
) -> int:
    """Serves the area `name` until SIGTERM or SIGINT; writes one byte to `ready_fd` when calls can succeed.

    `reflected` names the services of the whole mesh: any worker tells callers what there is.
    """
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    logs.configure(area=name)
    settings = loader.load(ServingSettings, environment, prefix=PREFIX)
    provider = tracing.configure(area=name, environment=environment)
    verifier = verifier_of(settings)
    area: Area = importlib.import_module(f"verbund.{name}.main").build(environment, verifier)
    serving = Worker(area, settings, verifier, worker, reflected=reflected) if area.servicers else Pages(area, settings)
    with serving:
        if wait_until_ready(lambda: verifier.ready() and area.ready(), stop):
            serving.take_calls()
            log.info("ready", area=name, worker=worker)
            if ready_fd is not None:
                os.write(ready_fd, b"1")
                os.close(ready_fd)
        stop.wait()
    if provider is not None:
        provider.shutdown()
    log.info("stopped", area=name, worker=worker)
    return 0


def verifier_of(settings: ServingSettings) -> TokenVerifier:
    """The verifier of the tokens that the settings accept."""
    return TokenVerifier(
        issuer=settings.issuer,
        audience=settings.audience,
        jwks_file=settings.jwks_file,
        revocations_file=settings.revocations_file,
    )


def interceptors_of(settings: ServingSettings, verifier: TokenVerifier, streams: Streams) -> tuple[Interceptor, ...]:
    """The interceptors of every service, the outermost first."""
    return (
        Telemetry(trace.get_tracer("verbund.serving")),
        Refusals(),
        Authentication(
            verifier,
            deadline_seconds_max=settings.deadline_seconds_max,
            stream_seconds_max=settings.stream_seconds_max,
            client_names=settings.tls_client_names if settings.listen else None,
        ),
        Authorisation(),
        streams,
        Validation(),
    )


class Worker:
    """The servers and jobs of one process. Entering starts them; leaving drains and stops them."""

    def __init__(
        self,
        area: Area,
        settings: ServingSettings,
        verifier: TokenVerifier,
        number: int,
        *,
        reflected: Sequence[str] = (),
    ) -> None:
        self._area = area
        self._settings = settings
        self._number = number
        self._jobs = Jobs(area.jobs)
        self._http: HttpServer | None = None
        self._taking_calls = False
        self._streams = Streams(settings, verifier.revoked)
        interceptors = interceptors_of(settings, verifier, self._streams)
        self._server = build_server(settings, interceptors, area.servicers, self._streams.pool)
        self._health = infrastructure.add_health(self._server)
        own = [servicer.service.full_name for servicer in area.servicers]
        infrastructure.add_reflection(self._server, tuple(dict.fromkeys((*own, *reflected))), interceptors)

    def __enter__(self) -> Self:
        listen(self._server, self._settings, self._socket("grpc"))
        self._server.start()
        if self._area.http is not None and (path := self._socket("http")) is not None:
            self._http = HttpServer(telling_health(self._area.http, lambda: self._taking_calls), path)
        self._jobs.start()
        return self

    def take_calls(self) -> None:
        """Tells that calls may be sent here."""
        self._health.set("", health_pb2.HealthCheckResponse.SERVING)
        self._taking_calls = True

    def __exit__(self, *_: object) -> None:
        """Tells that it leaves, ends the watches, lets calls finish, then stops everything else.

        gRPC cancels what arrives after its stop: by then nobody may send calls here any more.
        """
        self._taking_calls = False
        self._health.enter_graceful_shutdown()
        time.sleep(self._settings.leave_seconds)
        self._area.drain()
        self._server.stop(self._settings.drain_seconds).wait()
        self._streams.close()
        if self._http is not None:
            self._http.stop()
        self._jobs.stop()
        self._area.close()
        for kind in ("grpc", "http"):
            if path := self._socket(kind):
                path.unlink(missing_ok=True)

    def _socket(self, kind: str) -> Path | None:
        return socket_of(self._area, self._settings, self._number, kind)


class Pages:
    """The one process of an area that has plain HTTP routes and no services: no gRPC server waits in it for nothing."""

    def __init__(self, area: Area, settings: ServingSettings) -> None:
        self._area = area
        self._leave_seconds = settings.leave_seconds
        self._path = socket_of(area, settings, 0, "http")
        self._server: HttpServer | None = None
        self._taking_calls = False

    def __enter__(self) -> Self:
        if self._area.http is not None and self._path is not None:
            self._server = HttpServer(telling_health(self._area.http, lambda: self._taking_calls), self._path)
        return self

    def take_calls(self) -> None:
        """Tells that requests may be sent here."""
        self._taking_calls = True

    def __exit__(self, *_: object) -> None:
        """Tells that it leaves, and lets requests in progress finish."""
        self._taking_calls = False
        time.sleep(self._leave_seconds)
        if self._server is not None and self._path is not None:
            self._server.stop()
            self._path.unlink(missing_ok=True)
        self._area.close()


def socket_of(area: Area, settings: ServingSettings, number: int, kind: str) -> Path | None:
    """Where a worker listens; None in a cluster, where that is an address."""
    directory = settings.socket_dir
    return None if directory is None else directory / f"{area.name}-{number}.{kind}.sock"


class HttpServer:
    """HTTP routes on a Unix socket or a port, in a thread of their own: the one server that is not synchronous."""

    def __init__(self, application: Any, place: Path | int) -> None:
        listener = listening_on(place)
        listener.listen()  # who comes before the loop runs waits, and is not turned away
        config = uvicorn.Config(
            application,
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            date_header=False,
            limit_concurrency=HTTP_CONNECTIONS_MAX,
            timeout_graceful_shutdown=5,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([listener],), name="http")
        self._thread.start()

    def stop(self) -> None:
        """Lets requests in progress finish."""
        self._server.should_exit = True
        self._thread.join()


def listening_on(place: Path | int) -> socket.socket:
    """A socket at a path, where one that was left behind is replaced, or at a port of this machine's loopback."""
    if isinstance(place, int):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", place))
        return listener
    place.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(place))
    return listener


class Jobs:
    """The background jobs of an area, each in a thread of its own."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._repeat, args=(job,), name=job.name) for job in jobs]

    def start(self) -> None:
        """Starts them; each runs at once for the first time."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Waits for the round in progress."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _repeat(self, job: Job) -> None:
        """Runs a job until the worker stops. Workers of one area must not run in step, so the pause varies."""
        while not self._stop.is_set():
            try:
                job.run()
            except Exception:
                log.exception("job failed", job=job.name)
            self._stop.wait(job.every_seconds * random.uniform(0.9, 1.1))  # noqa: S311 - no secret


def wait_until_ready(ready: Callable[[], bool], stop: threading.Event) -> bool:
    """Whether the worker became ready before it was to stop."""
    while not stop.is_set():
        if ready():
            return True
        stop.wait(READY_POLL_SECONDS)
    return False
