"""The trace that starts at the gateway, and what a client may not put into it."""

from urllib.parse import unquote

from verbund.serving.telemetry import EXTERNAL

from verbund_gateway.clusters import COLLECTOR
from verbund_gateway.extension import Config, extension, header, seconds
from verbund_gateway.settings import GRPC, GatewaySettings

# What a client could choose or suppress traces with, or smuggle data through the mesh with.
FOREIGN = ("traceparent", "tracestate", "baggage", "b3", "grpc-trace-bin", "x-client-trace-id")
# Envoy's own tags that hold a client's address, name or query: overwritten, for spans carry no personal data.
BLANKED = ("peer.address", "user_agent", "http.url", "guid:x-request-id")


def tracing(settings: GatewaySettings) -> Config:
    """The connection manager's tracing: W3C trace context, sampled here and nowhere else."""
    return {
        "provider": extension(
            "envoy.tracers.opentelemetry",
            "config.trace.v3.OpenTelemetryConfig",
            service_name="gateway",
            **exporter(settings),
        ),
        "random_sampling": {"value": settings.trace_percent},
        # A client cannot ask for a trace.
        "client_sampling": {"value": 0},
        "overall_sampling": {"value": 100},
        "max_path_tag_length": 1,
        "operation": "%METADATA(ROUTE:verbund:rule)%",
        "custom_tags": tags(),
    }


def tags() -> list[Config]:
    """The spans' attributes: what was called, under the stable names of OpenTelemetry's conventions."""
    return [
        {"tag": "verbund.rule", "value": "%METADATA(ROUTE:verbund:rule)%"},
        {"tag": "verbund.details", "value": "%RESPONSE_CODE_DETAILS%"},
        {"tag": "http.response.status_code", "value": "%RESPONSE_CODE%", "value_type": "INT"},
        *({"tag": name, "literal": {"value": "-"}} for name in BLANKED),
    ]


def exporter(settings: GatewaySettings) -> Config:
    """Where spans go. Those that cannot be delivered are lost, never kept.

    Envoy counts them as sent; the exports that failed are cluster.traces.upstream_rq_5xx.
    """
    headers = [part.partition("=") for part in settings.trace_headers]
    named = [{"key": name.strip().lower(), "value": unquote(value.strip())} for name, _, value in headers]
    if settings.trace_protocol == GRPC:
        service: Config = {"envoy_grpc": {"cluster_name": COLLECTOR}, "timeout": seconds(1)}
        return {"grpc_service": service | ({"initial_metadata": named} if named else {})}
    scheme = "https" if settings.trace_tls else "http"
    host = "localhost" if settings.trace_endpoint.startswith("unix:") else settings.trace_endpoint
    uri = {"uri": f"{scheme}://{host}{settings.trace_path}", "cluster": COLLECTOR, "timeout": seconds(1)}
    return {"http_service": {"http_uri": uri, "request_headers_to_add": [{"header": pair} for pair in named]}}


def early_mutations(*, removed: tuple[str, ...], prefixes: tuple[str, ...]) -> Config:
    """What happens to a request's headers before tracing starts.

    The client's trace context is set aside for a link, its claims about itself are dropped.
    """
    mutations = [
        {"remove": EXTERNAL},
        {"append": header(EXTERNAL, "%REQ(traceparent)%")},
        *({"remove": name} for name in (*FOREIGN, *removed)),
        *({"remove_on_match": {"key_matcher": {"prefix": prefix}}} for prefix in prefixes),
    ]
    return extension(
        "envoy.http.early_header_mutation.header_mutation",
        "extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation",
        mutations=mutations,
    )
