"""`verbund up`: prepares the home, starts every part, says when the mesh is ready, and stops it."""

import ctypes
import importlib
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from verbund.clock import wall_clock
from verbund.embedded import home as homes
from verbund.embedded import lock, logs, ports, postgres, preload, programs
from verbund.embedded.children import LIBC, PR_GET_PDEATHSIG, PR_SET_PDEATHSIG
from verbund.embedded.home import Home
from verbund.embedded.keycloak import choice
from verbund.embedded.keycloak.choice import Choice
from verbund.embedded.part import Layer, Part
from verbund.embedded.progress import Progress
from verbund.embedded.settings import (
    MIB,
    PORT_SETTING,
    PREFIX,
    PROVIDER_PORT_SETTING,
    QUERY_PORT_SETTING,
    Address,
    EmbeddedSettings,
    address,
    for_parts,
    provider_port,
    query_port,
)
from verbund.embedded.supervisor import Supervisor
from verbund.embedded.users import ServiceUser
from verbund.failure import ExitCode, Failure
from verbund.provider import stage
from verbund.provider.settings import HOST as PROVIDER_HOST
from verbund.settings import load

CERTIFICATE_SECONDS = 3600.0
KEYCLOAK_PARTS = "verbund.embedded.keycloak.parts"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line says."""

    data_dir: Path | None = None
    tour: bool = False
    exit: bool = False
    provider: bool = True
    """Whether the built-in provider runs."""
    keycloak: bool = False
    """Whether Keycloak runs in its place."""
    document: BinaryIO | None = None
    """What the tour sends, where it is not the sample's own."""


def run(options: Options, environment: Mapping[str, str]) -> int:
    """Runs the mesh until it is told to stop; the exit code. Raises Failure and SettingError."""
    settings = load(EmbeddedSettings, environment, prefix=PREFIX)
    gateway = address(environment)
    if options.provider:
        stage.check(environment)
        provider_port(environment)  # a wrong one ends the start before anything is made
    sought = choice.check(environment) if options.keycloak else None
    if options.tour and not preload.has_tour():
        raise Failure("This installation has no tour.", who="You", remedy="leave --tour out.", code=ExitCode.USAGE)
    home = homes.prepare(homes.choose(environment, options.data_dir))
    with lock.hold(home) as held:
        progress = Progress(home)
        for name in lock.clear(home):
            progress.cleared(name)
        ports.check(gateway.host, gateway.port, PORT_SETTING)
        if options.provider:
            ports.check(PROVIDER_HOST, provider_port(environment), PROVIDER_PORT_SETTING)
        if queries := query_port(environment):
            ports.check("127.0.0.1", queries, QUERY_PORT_SETTING)
        keycloak = choice.obtain(sought, home, environment, progress) if sought else None
        given = for_parts(home, environment, provider=options.provider, keycloak=options.keycloak)
        mesh = Mesh(home, gateway, settings, given, progress, provider=options.provider, keycloak=keycloak)
        supervisor = Supervisor(home, progress, inherited=[held], tick=mesh.tick)
        try:
            return mesh.run(supervisor, options)
        finally:
            mesh.ready = False
            progress.stopping()
            supervisor.stop()
            progress.stopped()


class Mesh:
    """The mesh of one home while it runs."""

    def __init__(
        self,
        home: Home,
        gateway: Address,
        settings: EmbeddedSettings,
        environment: dict[str, str],
        progress: Progress,
        *,
        provider: bool,
        keycloak: Choice | None = None,
    ) -> None:
        self._home = home
        self._gateway = gateway
        self._settings = settings
        self._environment = environment
        self._progress = progress
        self._provider = provider
        self._keycloak = keycloak
        self._people: list[dict[str, str]] = []
        self._keys: Any = None
        self._written: object = None
        self._certificates_due = 0.0
        self._supervisor: Supervisor | None = None
        self.ready = False

    def run(self, supervisor: Supervisor, options: Options) -> int:
        """Starts the parts and waits: for a signal, or with --exit until there is nothing left to do."""
        self._supervisor = supervisor
        found = programs.find(self._home.user)
        guest = self._keycloak.guest if self._keycloak else None
        supervisor.add(postgres.part(self._home, found.postgres, guest))
        preload.everything(*([KEYCLOAK_PARTS] if self._keycloak else []))  # while PostgreSQL starts
        become_for_good(self._home.user)
        self._renew_certificates()
        os.environ.update(self._environment)  # OpenTelemetry reads it there
        # Known here only now: these modules take a second to import, and PostgreSQL had to start before.
        gateway = importlib.import_module("verbund.embedded.gateway")
        parts = importlib.import_module("verbund.embedded.parts")
        supervisor.add(*parts.parts(self._home, found, self._settings, self._environment, provider=self._provider))
        if self._keycloak:
            beside = importlib.import_module(KEYCLOAK_PARTS)
            supervisor.add(*beside.parts(self._home, self._keycloak, self._gateway.url))
        supervisor.run_until(lambda: self._configured(supervisor))
        self._keys = gateway.Keys(self._home, self._environment)
        supervisor.run_until(supervisor.all_ready)
        if supervisor.interruptions:
            return ExitCode.INTERRUPTED
        if self._provider:
            self._people = parts.people(self._home, self._environment)
        if self._keycloak:
            self._people = beside.people(self._home, self._keycloak.settings)
        self.ready = True
        self.tick()
        self._progress.all_ready(self._gateway.url)
        return self._work(supervisor, options)

    def _configured(self, supervisor: Supervisor) -> bool:
        return supervisor.is_done("configuration")

    def _work(self, supervisor: Supervisor, options: Options) -> int:
        """What comes after the start: the tour, and the time until the end."""
        code: int = ExitCode.OK
        if options.tour:
            supervisor.add(tour_part(self._home, options.document))
            supervisor.run_until(lambda: supervisor.is_done("tour"))
            code = ExitCode.OK if supervisor.exit_code("tour") == 0 else ExitCode.FAILED
        if not options.exit and not supervisor.interruptions:
            self._progress.next_steps(self._gateway.url, has_people=bool(self._people))
            supervisor.run_until(lambda: False)
        return code

    def tick(self) -> None:
        """Keeps in step what changes while the mesh runs."""
        logs.bound(self._home.log, self._settings.log_mib_max * MIB)
        if self._keys:
            self._keys.follow()
        if self.ready:
            self._tell_clients()
            self._renew_certificates()

    def _tell_clients(self) -> None:
        """Writes ready.json where processes or keys have changed."""
        assert self._supervisor is not None
        ready = importlib.import_module("verbund.embedded.ready")
        state = (self._supervisor.pids(), self._home.keys.stat().st_mtime_ns)
        if state != self._written:
            ready.write(self._home, self._gateway.url, self._supervisor.pids(), people=self._people)
            self._written = state

    def _renew_certificates(self) -> None:
        """Looks every hour; Envoy and the provider take a new certificate up without a restart."""
        if time.monotonic() < self._certificates_due:
            return
        certificates = importlib.import_module("verbund.embedded.certificates")
        with_people = self._provider or self._keycloak is not None
        certificates.ensure(self._home.tls, [self._gateway.name], wall_clock(), provider=with_people)
        self._certificates_due = time.monotonic() + CERTIFICATE_SECONDS


def become_for_good(user: ServiceUser) -> None:
    """Gives root up, and keeps what a change of user would clear: the signal at the death of our own parent."""
    wanted = ctypes.c_int()
    LIBC.prctl(PR_GET_PDEATHSIG, ctypes.byref(wanted), 0, 0, 0)
    user.become()
    LIBC.prctl(PR_SET_PDEATHSIG, wanted.value, 0, 0, 0)


def tour_part(home: Home, document: BinaryIO | None) -> Part:
    """The tour, which talks to the person at the terminal."""

    def run(_ready_fd: int) -> None:
        raise SystemExit(importlib.import_module(preload.TOUR).run(home.path, document=document))

    return Part(name="tour", layer=Layer.CLIENT, run=run, once=True, foreground=True, start_seconds_max=3600.0)
