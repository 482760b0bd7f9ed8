"""Everything that Envoy reads, as plain dicts by file name."""

from collections.abc import Iterable, Mapping
from typing import Any

from verbund.policy import catalogue
from verbund.policy.table import HttpRoute

from verbund_gateway import jwt, sessions, transcoding
from verbund_gateway.bootstrap import bootstrap
from verbund_gateway.clusters import clusters
from verbund_gateway.engine import BOOTSTRAP
from verbund_gateway.extension import Config
from verbund_gateway.listener import certificate, listener
from verbund_gateway.routes import Areas, route_configuration
from verbund_gateway.settings import GatewaySettings

KEYS = "authentication.json"
Files = dict[str, Config | bytes]


def render(
    settings: GatewaySettings,
    jwks: Mapping[str, Any],
    *,
    areas: Areas | None = None,
    http_routes: Iterable[HttpRoute] | None = None,
) -> Files:
    """The gateway's whole configuration for the catalogue's areas, or for those given.

    Raises PolicyError where a method has no rule.

    `jwks` is the mesh's public key set (RFC 7517). The descriptor set is the one file that is not JSON.
    """
    areas = catalogue.AREAS if areas is None else areas
    http_routes = tuple(catalogue.HTTP_ROUTES if http_routes is None else http_routes)
    services = [service for found in areas.values() for service in found]
    http_areas = sorted({route.area for route in http_routes})
    return {
        transcoding.DESCRIPTORS: transcoding.descriptor_set(areas),
        "certificates.json": resources(certificate(settings)),
        **{name: resources(secret) for name, secret in sessions.secrets(settings).items()},
        KEYS: resources(jwt.resource(settings, jwks)),
        "routes.json": resources(route_configuration(settings, areas, http_routes)),
        "clusters.json": resources(*clusters(settings, [area for area in areas if areas[area]], http_areas)),
        "listeners.json": resources(listener(settings, services)),
        BOOTSTRAP: bootstrap(settings),
    }


def resources(*found: Config) -> Config:
    """A file of the discovery services."""
    return {"resources": list(found)}
