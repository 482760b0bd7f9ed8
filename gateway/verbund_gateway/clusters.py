"""Where calls go: the workers of each area, one Unix socket each, and the collector of traces."""

from collections.abc import Iterable
from pathlib import Path

from verbund.serving.http import HEALTH_PATH

from verbund_gateway.extension import Config, extension, seconds, typed
from verbund_gateway.settings import GRPC, GatewaySettings

PROTOCOLS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
COLLECTOR = "traces"
STREAM_BYTES_MAX, CONNECTION_BYTES_MAX = 512 * 1024, 4 * 1024 * 1024


def clusters(settings: GatewaySettings, areas: Iterable[str], http_areas: Iterable[str]) -> list[Config]:
    """The clusters of the areas' gRPC servers, of their plain HTTP servers, and of the collector where there is one."""
    found = [workers(name_of(area, "grpc"), settings.sockets(area, "grpc"), http2=True) for area in areas]
    found += [workers(name_of(area, "http"), settings.sockets(area, "http"), http2=False) for area in http_areas]
    return [*found, collector(settings)] if settings.trace_endpoint else found


def name_of(area: str, protocol: str) -> str:
    """The name of the cluster that serves a protocol of an area."""
    return f"{area}-{protocol}"


def workers(name: str, sockets: list[Path], *, http2: bool) -> Config:
    """The worker processes of an area. A call goes to the one with the fewest calls; a dead one is left out."""
    return {
        "@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster",
        "name": name,
        "type": "STATIC",
        "connect_timeout": seconds(1),
        "lb_policy": "LEAST_REQUEST",
        "load_assignment": endpoints(name, [{"pipe": {"path": str(socket)}} for socket in sockets]),
        "typed_extension_protocol_options": {PROTOCOLS: protocol_options(http2=http2)},
        # What is heard of a worker counts at once: Envoy would else gather such news for a second.
        "common_lb_config": {"update_merge_window": seconds(0)},
        "outlier_detection": outliers(),
        "health_checks": [health(http2=http2)],
        "circuit_breakers": {
            "thresholds": [
                {"max_connections": 1024, "max_pending_requests": 1024, "max_requests": 4096, "max_retries": 64}
            ]
        },
    }


def outliers() -> Config:
    """When a worker is left out: its socket refused once.

    A dead socket fails fast, so it would look like the least busy worker and draw most calls.
    A service's own answers never count: one caller's bad input must not take a worker away from everybody.
    """
    return {
        "split_external_local_origin_errors": True,
        "consecutive_local_origin_failure": 1,
        "enforcing_consecutive_local_origin_failure": 100,
        "enforcing_consecutive_5xx": 0,
        "enforcing_consecutive_gateway_failure": 0,
        "enforcing_success_rate": 0,
        "enforcing_local_origin_success_rate": 0,
        # The supervisor restarts a worker within a second or so; ejection must not outlive that by much.
        "interval": seconds(0.5),
        "base_ejection_time": seconds(0.5),
        "max_ejection_time": seconds(1),
        "max_ejection_percent": 100,
    }


def health(*, http2: bool) -> Config:
    """How the gateway learns that a worker is about to stop: the worker says so, and takes calls for a while longer.

    A call that reached it after it stopped to listen would be lost. Its own word counts at once; silence has to last,
    since a worker that is merely busy answers late.
    """
    often = seconds(0.25)
    question: Config = {"grpc_health_check": {}} if http2 else {"http_health_check": {"path": HEALTH_PATH}}
    return {
        **question,
        "interval": often,
        "unhealthy_interval": often,
        "no_traffic_interval": often,
        "no_traffic_healthy_interval": often,
        "timeout": seconds(2),
        "unhealthy_threshold": 3,
        "healthy_threshold": 1,
    }


def protocol_options(*, http2: bool) -> Config:
    """How the gateway speaks to a worker."""
    # A dead process closes its connections; the ping finds one that hangs.
    alive = {"connection_keepalive": {"interval": seconds(30), "timeout": seconds(5)}}
    # Envoy holds as much of each stream for a worker as it takes from one unasked: 16 MiB by itself.
    windows = {"initial_stream_window_size": STREAM_BYTES_MAX, "initial_connection_window_size": CONNECTION_BYTES_MAX}
    explicit: Config = {"http2_protocol_options": alive | windows} if http2 else {"http_protocol_options": {}}
    return typed(
        "extensions.upstreams.http.v3.HttpProtocolOptions",
        common_http_protocol_options={"idle_timeout": seconds(300)},
        explicit_http_config=explicit,
    )


def endpoints(name: str, addresses: list[Config]) -> Config:
    """A fixed list of addresses."""
    return {
        "cluster_name": name,
        "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}} for address in addresses]}],
    }


def collector(settings: GatewaySettings) -> Config:
    """The OTLP receiver, given as unix:PATH or host:port."""
    address, static = address_of(settings)
    cluster = {
        "@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster",
        "name": COLLECTOR,
        "type": "STATIC" if static else "STRICT_DNS",
        "connect_timeout": seconds(1),
        "load_assignment": endpoints(COLLECTOR, [address]),
        "typed_extension_protocol_options": {PROTOCOLS: protocol_options(http2=settings.trace_protocol == GRPC)},
    }
    if settings.trace_tls:
        trust: Config = {"validation_context": {"system_root_certs": {}}}
        host = settings.trace_endpoint.rpartition(":")[0]
        cluster["transport_socket"] = extension(
            "envoy.transport_sockets.tls",
            "extensions.transport_sockets.tls.v3.UpstreamTlsContext",
            sni=host,
            common_tls_context=trust,
        )
    return cluster


def address_of(settings: GatewaySettings) -> tuple[Config, bool]:
    """The collector's address, and whether it is fixed rather than looked up."""
    endpoint = settings.trace_endpoint
    if endpoint.startswith("unix:"):
        return {"pipe": {"path": endpoint.removeprefix("unix:").removeprefix("//")}}, True
    host, _, port = endpoint.rpartition(":")
    default = 4317 if settings.trace_protocol == GRPC else 4318
    return {"socket_address": {"address": host or endpoint, "port_value": int(port) if host else default}}, False
