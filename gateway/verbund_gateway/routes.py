"""Which requests go where: one route for each method and HTTP route that has a rule, and nothing else."""

from collections.abc import Iterable, Mapping, Sequence

from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from verbund.policy.table import HttpRoute, Rule, rules_of
from verbund.policy.v1 import policy_pb2 as pb
from verbund.serving.infrastructure import REFLECTION, REFLECTION_RULE

from verbund_gateway import jwt, limits, rbac, refusals, sessions, transcoding
from verbund_gateway.clusters import name_of
from verbund_gateway.extension import METADATA, Config, extension, seconds, typed
from verbund_gateway.settings import GatewaySettings

Areas = Mapping[str, Sequence[ServiceDescriptor]]
CORS = "envoy.filters.http.cors"
FRONT_PAGE = "/console/"
# What a page may read of an answer.
EXPOSED = (
    "grpc-status,grpc-message,grpc-status-details-bin,x-trace-id,traceresponse,retry-after,www-authenticate,"
    "content-disposition,content-range,etag,repr-digest"
)
ASKED = "authorization,content-type,grpc-timeout,x-grpc-web,x-user-agent,if-match,if-none-match,if-range,range"
# A call that no worker received can be sent to another one; one that may have begun, only where its rule says so.
NOT_RECEIVED, MAYBE_BEGUN = "connect-failure,refused-stream", "reset"
MARGIN_SECONDS = 0.1
RETRY_BYTES_MAX = 64 * 1024


def route_configuration(settings: GatewaySettings, areas: Areas, http_routes: Iterable[HttpRoute]) -> Config:
    """The routes of the gateway."""
    host = {
        "name": "verbund",
        "domains": ["*"],
        "routes": [
            healthy(),
            front_door(),
            *sessions.routes(settings),
            *(found for route in http_routes for found in (http_route(settings, route), other_methods(route))),
            reflection(settings, areas),
            *(route for area, services in areas.items() for route in method_routes(settings, area, services)),
            nowhere(),
        ],
        "typed_per_filter_config": cors(settings),
        "request_headers_to_remove": [
            "x-trace-id",
            "x-envoy-external-address",
            "x-envoy-original-path",
            "x-envoy-original-method",
        ],
        "response_headers_to_remove": ["server"],
    }
    return {
        "@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
        "name": "verbund",
        "virtual_hosts": [host],
        "validate_clusters": False,
    }


def method_routes(settings: GatewaySettings, area: str, services: Iterable[ServiceDescriptor]) -> Iterable[Config]:
    """The routes of an area's methods; raises PolicyError where one has no rule."""
    services = tuple(services)
    rules = rules_of(services)
    for service in services:
        for method in service.methods:
            path = f"/{service.full_name}/{method.name}"
            rule = rules[path]
            for verb, template in transcoding.bindings(method):
                if rule.audience == pb.AUDIENCE_PUBLIC:
                    yield before_transcoding(verb, template, rule, jwt.switched_off())
                elif method.client_streaming:
                    yield before_transcoding(verb, template, rule, limits.unbounded_body())
            yield method_route(settings, area, method, path, rule)


def method_route(settings: GatewaySettings, area: str, method: MethodDescriptor, path: str, rule: Rule) -> Config:
    """The route of one method, which requests in JSON take too once they are transcoded."""
    target = {"cluster": name_of(area, "grpc"), "retry_policy": retries(rule)}
    target |= lasting(settings, method, rule)
    found = {
        "name": rule.name,
        "match": grpc_path(path),
        "route": target,
        **ruled(rule),
        **without_cookies(),
    }
    if method.client_streaming:
        found["typed_per_filter_config"] |= limits.streamed() | limits.unbounded_body()
        # A stream that has begun is not kept for another worker: Envoy would hold 16 MiB of each.
        found["per_request_buffer_limit_bytes"] = RETRY_BYTES_MAX
    return found


def lasting(settings: GatewaySettings, method: MethodDescriptor, rule: Rule) -> Config:
    """How long a call of a method may take: a watch may be silent, and what moves much data may not."""
    if method.client_streaming or (method.server_streaming and rule.rate == pb.RATE_BULK):
        return streaming(settings)
    return endless(settings) if method.server_streaming else bounded(settings)


def bounded(settings: GatewaySettings) -> Config:
    """How long a call may take: as long as the client says, but never longer than the mesh's limit.

    The gateway gives up a little before the client and the service do, or one of them ends the call without a reason.
    """
    limit = settings.call_seconds_max
    duration = {
        "max_stream_duration": seconds(limit - MARGIN_SECONDS),
        "grpc_timeout_header_max": seconds(limit),
        "grpc_timeout_header_offset": seconds(MARGIN_SECONDS),
    }
    return {"timeout": seconds(limit), "max_stream_duration": duration}


def endless(settings: GatewaySettings) -> Config:
    """How long a watch may live, however quiet it is. A client's own deadline is between it and the service."""
    limit = seconds(settings.watch_seconds_max)
    return {"timeout": "0s", "idle_timeout": "0s", "max_stream_duration": {"max_stream_duration": limit}}


def streaming(settings: GatewaySettings) -> Config:
    """How long an upload or a download may take: long, as long as something moves."""
    limit = {"max_stream_duration": seconds(settings.stream_seconds_max)}
    return {"timeout": "0s", "idle_timeout": seconds(settings.stream_idle_seconds), "max_stream_duration": limit}


def reflection(settings: GatewaySettings, areas: Areas) -> Config:
    """Reflection, which any worker answers for the whole mesh."""
    rule = REFLECTION_RULE
    target = {"cluster": name_of(next(iter(areas)), "grpc"), "retry_policy": retries(rule), **bounded(settings)}
    found = {"name": rule.name, "match": grpc_path(REFLECTION), "route": target, **ruled(rule)} | without_cookies()
    found["typed_per_filter_config"] |= limits.streamed()
    return found


def grpc_path(path: str) -> Config:
    """The requests for a gRPC method."""
    return {"path": path, "headers": [{"name": "content-type", "string_match": {"prefix": "application/grpc"}}]}


def http_route(settings: GatewaySettings, route: HttpRoute) -> Config:
    """A plain HTTP route of an area."""
    methods = "|".join(sorted(route.methods))
    found = {
        "name": route.rule.name,
        "match": {
            **http_path(route),
            "headers": [{"name": ":method", "string_match": {"safe_regex": {"regex": methods}}}],
        },
        "route": {
            "cluster": name_of(route.area, "http"),
            "retry_policy": retries(route.rule),
            **(streaming(settings) if route.streaming else {"timeout": seconds(settings.call_seconds_max)}),
        },
        **ruled(route.rule, refuses_itself=route.refuses_itself),
        **({} if route.cookies else without_cookies()),
    }
    found["typed_per_filter_config"] |= transcoding.switched_off() | sessions.switches(settings, route)
    return found


def http_path(route: HttpRoute) -> Config:
    """The path of a plain HTTP route, or everything below it."""
    return {"prefix": route.path} if route.path.endswith("/") else {"path": route.path}


def other_methods(route: HttpRoute) -> Config:
    """The same path with a method that the route does not take."""
    return {
        "name": f"not {route.rule.name}",
        "match": http_path(route),
        "direct_response": {"status": 405},
        **ungoverned(),
    }


def healthy() -> Config:
    """The gateway's own sign of life."""
    body = {"inline_string": '{"status":"SERVING"}'}
    return {
        "name": "gateway.health",
        "match": {"path": "/healthz"},
        "direct_response": {"status": 200, "body": body},
        **ungoverned(),
    }


def front_door() -> Config:
    """Who types the mesh's name alone comes to the pages for people.

    The place is relative: the gateway knows hosts without their ports, and a redirect of its own would lose them.
    """
    location = {"header": {"key": "location", "value": FRONT_PAGE}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
    return {
        "name": "gateway.front-door",
        "match": {
            "path": "/",
            "headers": [{"name": ":method", "string_match": {"safe_regex": {"regex": "GET|HEAD"}}}],
        },
        "direct_response": {"status": 302},
        "response_headers_to_add": [location],
        **ungoverned(),
    }


def ungoverned() -> Config:
    """What a route has that the gateway answers itself, to anybody."""
    free = typed("extensions.filters.http.rbac.v3.RBACPerRoute")
    return {"typed_per_filter_config": {rbac.FILTER: free} | jwt.switched_off() | transcoding.switched_off()}


def without_cookies() -> Config:
    """What keeps a browser's cookies from a service: few routes have use for any."""
    return {"request_headers_to_remove": ["cookie"]}


def ruled(rule: Rule, *, refuses_itself: bool = False) -> Config:
    """What a rule puts on its route; where the area `refuses_itself`, those without a token pass, and are counted."""
    switches: Config = {}
    if rule.audience == pb.AUDIENCE_PUBLIC:
        switches = jwt.switched_off()
    elif refuses_itself:
        switches = jwt.unless_missing()
    denied = rbac.policies_of_known(rule) if refuses_itself else rbac.policies(rule)
    said = refusals.metadata_of(rule) | limits.metadata_of(rule, strangers=refuses_itself)
    return {
        "metadata": {"filter_metadata": {METADATA: said}},
        "typed_per_filter_config": rbac.on_route(denied) | switches,
    }


def before_transcoding(verb: str, template: str, rule: Rule, switches: Config) -> Config:
    """The path of a method in JSON that some filters let pass before the call is transcoded; it goes nowhere else.

    A PUBLIC method asks for no token, and an upload may have any size.
    """
    return {
        **nowhere(),
        "name": f"{rule.name} in JSON",
        "match": {
            "safe_regex": {"regex": transcoding.path_regex(template)},
            "headers": [{"name": ":method", "string_match": {"exact": verb}}],
        },
        "typed_per_filter_config": switches,
    }


def nowhere() -> Config:
    """Where everything goes that has no rule, requests in JSON before they are transcoded, and preflights.

    It is a route to a cluster that does not exist, not a direct response: the CORS filter looks at no other.
    """
    target = {"cluster": "none", "cluster_not_found_response_code": "NOT_FOUND"}
    return {"name": "none", "match": {"prefix": "/"}, "route": target}


def retries(rule: Rule) -> Config:
    """When a call is sent to another worker."""
    return {
        "retry_on": f"{NOT_RECEIVED},{MAYBE_BEGUN}" if rule.safe_to_retry else NOT_RECEIVED,
        "num_retries": 2,
        "retry_host_predicate": [
            extension(
                "envoy.retry_host_predicates.previous_hosts",
                "extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate",
            )
        ],
        "host_selection_retry_max_attempts": 5,
        "retry_back_off": {"base_interval": seconds(0.005), "max_interval": seconds(0.05)},
    }


def cors(settings: GatewaySettings) -> Config:
    """Which pages may call. The list is empty unless the operator names origins; credentials are never cookies here."""
    if not settings.cors_origins:
        return {}
    policy = typed(
        "extensions.filters.http.cors.v3.CorsPolicy",
        allow_origin_string_match=[{"exact": origin} for origin in settings.cors_origins],
        allow_methods="GET,POST,PATCH,PUT,DELETE,OPTIONS",
        allow_headers=ASKED,
        expose_headers=EXPOSED,
        max_age="600",
        allow_credentials=False,
    )
    return {CORS: policy}
