"""The bootstrap: what Envoy reads once at its start. Everything else is watched and replaced while it runs."""

from pathlib import Path

from verbund_gateway.extension import Config, extension, seconds
from verbund_gateway.settings import GatewaySettings

MEMORY = "envoy.resource_monitors.fixed_heap"
CONNECTIONS = "envoy.resource_monitors.global_downstream_max_connections"


def bootstrap(settings: GatewaySettings) -> Config:
    """Envoy's bootstrap configuration."""
    return {
        "node": {"id": "gateway", "cluster": "verbund"},
        # Whoever reaches it can stop the gateway, so it is a socket that only the service user can open.
        "admin": {"address": {"pipe": {"path": str(settings.admin_socket), "mode": 0o600}}},
        "dynamic_resources": {
            "lds_config": watched(settings.directory, "listeners.json"),
            "cds_config": watched(settings.directory, "clusters.json"),
        },
        "layered_runtime": {"layers": [{"name": "verbund", "static_layer": runtime()}]},
        "overload_manager": overload(settings),
        "stats_config": {"stats_matcher": {"inclusion_list": {"patterns": [{"prefix": prefix} for prefix in COUNTED]}}},
    }


# Statistics cost memory by cluster and thread; these are the ones that the mesh reads.
COUNTED = (
    "cluster.",
    "http.edge.",
    "listener.",
    "listener_manager.",
    "server.",
    "tracing.",
    "overload.",
    "jwt_authn.",
    "edge.",
    "main_thread.",
)


def watched(directory: Path, name: str) -> Config:
    """A source of configuration that is a file; it counts once it is replaced by a rename in its directory."""
    return {
        "resource_api_version": "V3",
        "path_config_source": {"path": str(directory / name), "watched_directory": {"path": str(directory)}},
    }


def runtime() -> Config:
    """What Envoy has only as runtime values: when spans are sent, and limits against streams reset in masses.

    The last is the rapid reset of CVE-2023-44487.
    """
    return {
        "overload": {"premature_reset_total_stream_count": 200, "premature_reset_min_stream_lifetime_seconds": 1},
        "http": {"max_requests_per_io_cycle": 10},
        "tracing": {"opentelemetry": {"flush_interval_ms": 500, "min_flush_spans": 20}},
    }


def overload(settings: GatewaySettings) -> Config:
    """What happens before memory or connections run out: first idle connections go sooner, then new work is refused."""
    heap = extension(
        MEMORY,
        "extensions.resource_monitors.fixed_heap.v3.FixedHeapConfig",
        max_heap_size_bytes=settings.memory_bytes_max,
    )
    connections = extension(
        CONNECTIONS,
        "extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
        max_active_downstream_connections=settings.connections_max,
    )
    return {
        "refresh_interval": seconds(0.25),
        "resource_monitors": [heap, connections],
        "actions": [
            action("envoy.overload_actions.shrink_heap", 0.8),
            action("envoy.overload_actions.disable_http_keepalive", 0.9),
            action("envoy.overload_actions.stop_accepting_requests", 0.95),
            action("envoy.overload_actions.stop_accepting_connections", 0.98),
        ],
    }


def action(name: str, memory: float) -> Config:
    """An action taken from a share of the memory on."""
    return {"name": name, "triggers": [{"name": MEMORY, "threshold": {"value": memory}}]}
