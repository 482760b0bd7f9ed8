"""The one door: TLS, the limits at the edge, the filters in their order."""

from collections.abc import Sequence

from google.protobuf.descriptor import ServiceDescriptor

from verbund_gateway import jwt, limits, logs, rbac, refusals, sessions, tracing, transcoding
from verbund_gateway.bootstrap import watched
from verbund_gateway.extension import Config, extension, header, seconds, typed
from verbund_gateway.settings import GatewaySettings

# What a client says about itself or about the mesh's inside, and is not a client's to say.
CLAIMS = ("x-jwt-payload", "forwarded", "x-real-ip", "x-request-id", "x-trace-id")
CLAIM_PREFIXES = ("x-envoy-", "x-forwarded-")


def listener(settings: GatewaySettings, services: Sequence[ServiceDescriptor]) -> Config:
    """The listener of the gateway."""
    return {
        "@type": "type.googleapis.com/envoy.config.listener.v3.Listener",
        "name": "edge",
        "address": {"socket_address": {"address": settings.host, "port_value": settings.port}},
        # Two gateways on one port would share its calls unnoticed; without this the second one fails.
        "enable_reuse_port": False,
        "per_connection_buffer_limit_bytes": 256 * 1024,
        "listener_filters": [
            extension(
                "envoy.filters.listener.tls_inspector", "extensions.filters.listener.tls_inspector.v3.TlsInspector"
            )
        ],
        "listener_filters_timeout": seconds(10),
        "filter_chains": [
            {
                "transport_socket": tls(settings),
                "transport_socket_connect_timeout": seconds(10),
                "filters": [manager(settings, services)],
            }
        ],
    }


def tls(settings: GatewaySettings) -> Config:
    """TLS 1.2 and 1.3, HTTP/2 first; the certificate is read again when it is replaced."""
    source = watched(settings.directory, "certificates.json")
    return extension(
        "envoy.transport_sockets.tls",
        "extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        common_tls_context={
            "alpn_protocols": ["h2", "http/1.1"],
            "tls_params": {"tls_minimum_protocol_version": "TLSv1_2", "tls_maximum_protocol_version": "TLSv1_3"},
            "tls_certificate_sds_secret_configs": [{"name": "edge", "sds_config": source}],
        },
    )


def certificate(settings: GatewaySettings) -> Config:
    """The certificate as a resource of the secret discovery service (SDS)."""
    return {
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
        "name": "edge",
        "tls_certificate": {
            "certificate_chain": {"filename": str(settings.certificate_file)},
            "private_key": {"filename": str(settings.key_file)},
            "watched_directory": {"path": str(settings.certificate_file.parent)},
        },
    }


def manager(settings: GatewaySettings, services: Sequence[ServiceDescriptor]) -> Config:
    """The HTTP connection manager."""
    config = typed(
        "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix="edge",
        rds={"route_config_name": "verbund", "config_source": watched(settings.directory, "routes.json")},
        http_filters=filters(settings, services),
        early_header_mutation_extensions=[tracing.early_mutations(removed=CLAIMS, prefixes=CLAIM_PREFIXES)],
        local_reply_config=refusals.local_replies(traced=bool(settings.trace_endpoint)),
        access_log=[logs.access_log()],
        **edge(settings),
        **protocols(settings),
    )
    if settings.trace_endpoint:
        config["tracing"] = tracing.tracing(settings)
    return {"name": "envoy.filters.network.http_connection_manager", "typed_config": config}


def filters(settings: GatewaySettings, services: Sequence[ServiceDescriptor]) -> list[Config]:
    """The filters in the order that requests pass them."""
    return [
        # Writes the trace id into every answer, refusals included, so it stands outside of all others.
        trace_header(),
        refusals.kept(),
        limits.short_body(),
        # Before authentication: a preflight has no token.
        extension("envoy.filters.http.cors", "extensions.filters.http.cors.v3.Cors"),
        *sessions.filters(settings),
        extension("envoy.filters.http.grpc_web", "extensions.filters.http.grpc_web.v3.GrpcWeb"),
        # Before the transcoder: a caller without a token learns nothing of what there is.
        jwt.discovered(watched(settings.directory, "authentication.json")),
        limits.bounded_body(settings),
        transcoding.transcoder(settings, services),
        # After the transcoder: one rule for a method, however it is called.
        rbac.default(),
        limits.limiter(settings),
        limits.whole(settings),
        extension("envoy.filters.http.router", "extensions.filters.http.router.v3.Router", suppress_envoy_headers=True),
    ]


def trace_header() -> Config:
    """The trace's id in every answer, and in the request as far as the refusals of later filters need it."""
    trace = {"append": header("x-trace-id", "%TRACE_ID%")}
    return extension(
        "envoy.filters.http.header_mutation",
        "extensions.filters.http.header_mutation.v3.HeaderMutation",
        mutations={"request_mutations": [trace], "response_mutations": [trace]},
    )


def edge(settings: GatewaySettings) -> Config:
    """What is refused before anybody looks at it."""
    return {
        "use_remote_address": True,
        "skip_xff_append": True,
        "normalize_path": True,
        "merge_slashes": True,
        "path_with_escaped_slashes_action": "REJECT_REQUEST",
        "strip_any_host_port": True,
        "server_header_transformation": "PASS_THROUGH",
        "forward_client_cert_details": "SANITIZE",
        "max_request_headers_kb": settings.headers_kilobytes_max,
        "stream_idle_timeout": seconds(settings.stream_idle_seconds),
        "request_headers_timeout": seconds(10),
        "delayed_close_timeout": seconds(1),
        "drain_timeout": seconds(5),
    }


def protocols(settings: GatewaySettings) -> Config:
    """The limits of HTTP/1.1 and HTTP/2."""
    return {
        "codec_type": "AUTO",
        "common_http_protocol_options": {
            "idle_timeout": seconds(settings.connection_idle_seconds),
            "max_headers_count": settings.headers_count_max,
            # x_roles and x-roles would be one header to a server of the CGI kind.
            "headers_with_underscores_action": "REJECT_REQUEST",
            # How long a request may take that no route says more of. Envoy's own time-out for requests knows no
            # exceptions, and uploads are one.
            "max_stream_duration": seconds(settings.request_seconds_max),
        },
        "http_protocol_options": {"enable_trailers": False},
        "http2_protocol_options": {
            "max_concurrent_streams": settings.connection_streams_max,
            "initial_stream_window_size": 256 * 1024,
            "initial_connection_window_size": 1024 * 1024,
            "max_outbound_frames": 10_000,
            "max_outbound_control_frames": 1_000,
            "max_consecutive_inbound_frames_with_empty_payload": 1,
            "max_inbound_priority_frames_per_stream": 10,
        },
    }
