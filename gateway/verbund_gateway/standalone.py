"""The same configuration as one bootstrap without discovery.

`envoy --mode validate` reads no discovered file, so this is what it is given.
"""

import copy
from typing import Any

from verbund_gateway import sessions
from verbund_gateway.extension import Config

LISTENERS, CLUSTERS, ROUTES, CERTIFICATES, AUTHENTICATION = (
    "listeners.json",
    "clusters.json",
    "routes.json",
    "certificates.json",
    "authentication.json",
)
SECRETS = (CERTIFICATES, *(f"{name}.json" for name in (sessions.CLIENT_SECRET, sessions.COOKIE_SECRET)))


def standalone(bootstrap: Config, files: dict[str, Config]) -> Config:
    """`bootstrap` with the resources of `files` in it, none of them discovered."""
    found = copy.deepcopy(bootstrap)
    del found["dynamic_resources"]
    found["static_resources"] = {
        "listeners": [settled(listener, files) for listener in resources(files[LISTENERS])],
        "clusters": resources(files[CLUSTERS]),
        "secrets": [secret for name in SECRETS if name in files for secret in resources(files[name])],
    }
    return found


def resources(file: Config) -> list[Config]:
    """The resources of a file, without the types that only discovery needs."""
    return [
        {key: value for key, value in resource.items() if key != "@type"}
        for resource in copy.deepcopy(file["resources"])
    ]


def settled(value: Any, files: dict[str, Config]) -> Any:
    """A part of a listener with what it would discover in its place. Recursion is bounded by the listener's depth."""
    if isinstance(value, list):
        return [settled(item, files) for item in value]
    if not isinstance(value, dict):
        return value
    if "config_discovery" in value:
        return resources(files[AUTHENTICATION])[0]
    if "rds" in value:
        rest = {key: item for key, item in value.items() if key != "rds"}
        return {**settled(rest, files), "route_config": settled(resources(files[ROUTES])[0], files)}
    if "sds_config" in value:
        return {"name": value["name"]}
    return {key: settled(item, files) for key, item in value.items()}
