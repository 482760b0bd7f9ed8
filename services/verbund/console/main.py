"""Composes the console: settings -> the OpenAPI document, the services' clients -> pages -> HTTP routes."""

import json
from collections.abc import Mapping
from importlib.resources import files
from zoneinfo import ZoneInfo

from verbund import settings as loader
from verbund.clock import wall_clock
from verbund.console import http
from verbund.console.settings import ConsoleSettings
from verbund.console.site.application import Site
from verbund.console.site.desk import Desk
from verbund.console.site.peers import Credentials, Peers
from verbund.serving.area import Area
from verbund.serving.tokens import TokenVerifier
from verbund.settings import SettingError

DOCUMENT = "openapi.json"


def build(environment: Mapping[str, str], verifier: TokenVerifier) -> Area:
    """The console, ready to be served; raises SettingError."""
    settings = loader.load(ConsoleSettings, environment, prefix="VERBUND_CONSOLE_")
    text = (files("verbund.console") / DOCUMENT).read_bytes()
    entities = http.entities_of(json.loads(text), text)
    peers = peers_of(settings)
    desk = Desk(
        peers=peers,
        origin=settings.origin,
        zone=ZoneInfo(settings.time_zone),
        clock=wall_clock,
        call_seconds_max=settings.call_seconds_max,
    )
    return Area(
        name="console",
        servicers=(),
        ready=lambda: True,
        http=http.application(entities, Site(desk), verifier, cache_seconds=settings.cache_seconds),
        close=peers.close,
    )


def peers_of(settings: ConsoleSettings) -> Peers:
    """The way to the services: their sockets, or their addresses; none where neither is set. Raises SettingError."""
    if settings.socket_dir is not None:
        return Peers.on_sockets(settings.socket_dir, settings.workers)
    ca, certificate, key = settings.tls_ca_file, settings.tls_certificate_file, settings.tls_key_file
    if ca is None or certificate is None or key is None:
        return Peers({})
    try:
        shown = Credentials(ca.read_bytes(), certificate.read_bytes(), key.read_bytes())
    except OSError as error:
        raise SettingError(f"VERBUND_CONSOLE_TLS_…: {error}") from None
    return Peers.at(settings.addresses, shown)
