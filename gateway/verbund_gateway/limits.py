"""How often a caller may call, by the rule's rate class."""

from collections.abc import Sequence

from verbund.policy.table import Rule
from verbund.policy.v1 import policy_pb2 as pb

from verbund_gateway import jwt
from verbund_gateway.extension import METADATA, Config, extension, seconds, typed
from verbund_gateway.settings import GatewaySettings

FILTER = "envoy.filters.http.local_ratelimit"
BUFFER = "envoy.filters.http.buffer"
BODY = "envoy.filters.http.body_size_limit"
SHORT, SHORT_DIGITS = "verbund.filters.short_body", 5
CLASS, CALLER, ADDRESS = "class", "caller", "masked_remote_address"
STRANGER = "stranger"
# Whom an allowance belongs to, by the descriptor's entries behind the class.
COUNTED = ((CALLER,), (ADDRESS,), (STRANGER, ADDRESS))


def limiter(settings: GatewaySettings) -> Config:
    """The filter: one bucket for each caller and class, filled evenly over the window."""
    classes = {
        pb.RATE_READ: settings.rate_read,
        pb.RATE_WRITE: settings.rate_write,
        pb.RATE_BULK: settings.rate_bulk,
        pb.RATE_AUTHENTICATE: settings.rate_authenticate,
    }
    always = {"default_value": {"numerator": 100}}
    return extension(
        FILTER,
        "extensions.filters.http.local_ratelimit.v3.LocalRateLimit",
        stat_prefix="edge",
        filter_enabled=always,
        filter_enforced=always,
        descriptors=[
            descriptor(settings, rate, calls, counts) for rate, calls in classes.items() for counts in COUNTED
        ],
        rate_limits=counted(),
        max_dynamic_descriptors=settings.rate_callers_max,
        always_consume_default_token_bucket=False,
        rate_limited_as_resource_exhausted=True,
    )


def whole(settings: GatewaySettings) -> Config:
    """The filter that sends a request on when all of it is here.

    A service reads a request in one of its few threads: a client that sends the headers and then nothing would hold
    it, and a handful of those the whole service.
    """
    return extension(BUFFER, "extensions.filters.http.buffer.v3.Buffer", max_request_bytes=settings.body_bytes_max)


def short_body() -> Config:
    """The filter that waits for a short body, of a stated length below 100 kB, before anything is said of its request.

    A refusal before the body is there ends its stream, and with HTTP/2 curl 7.88 tells of that instead of the refusal.
    """
    length = typed("type.matcher.v3.HttpRequestHeaderMatchInput", header_name="content-length")
    is_short = {
        "input": {"name": "content-length", "typed_config": length},
        "value_match": {"safe_regex": {"google_re2": {}, "regex": f"[0-9]{{1,{SHORT_DIGITS}}}"}},
    }
    skip = {"name": "skip", "typed_config": typed("extensions.filters.common.matcher.action.v3.SkipFilter")}
    other = {"predicate": {"not_matcher": {"single_predicate": is_short}}, "on_match": {"action": skip}}
    return extension(
        SHORT,
        "extensions.common.matching.v3.ExtensionWithMatcher",
        extension_config=extension(
            BUFFER, "extensions.filters.http.buffer.v3.Buffer", max_request_bytes=10**SHORT_DIGITS
        ),
        xds_matcher={"matcher_list": {"matchers": [other]}},
    )


def bounded_body(settings: GatewaySettings) -> Config:
    """The filter that refuses a body that is too large before anything reads it."""
    kind = "extensions.filters.http.body_size_limit.v3.BodySizeLimit"
    return extension(BODY, kind, max_request_bytes=settings.body_bytes_max)


def streamed() -> Config:
    """A route whose requests have no end before the answer."""
    return {BUFFER: typed("extensions.filters.http.buffer.v3.BufferPerRoute", disabled=True)}


def unbounded_body() -> Config:
    """A route whose requests may be of any size: what reads them stops where it has had enough, or is kept waiting."""
    return {name: typed("config.route.v3.FilterConfig", disabled=True) for name in (BODY, SHORT)}


def descriptor(settings: GatewaySettings, rate: int, calls: int, counts: Sequence[str]) -> Config:
    """The allowance of a class. The caller's entry has no value: every value gets a bucket of its own."""
    return {
        "entries": [
            {"key": CLASS, "value": pb.Rate.Name(pb.Rate.ValueType(rate))},
            *({"key": key} for key in counts),
        ],
        "token_bucket": {
            "max_tokens": calls,
            "tokens_per_fill": calls,
            "fill_interval": seconds(settings.rate_window_seconds),
        },
    }


def counted() -> list[Config]:
    """What a call is counted as: by the token's subject, or by the client's address where the route asks for no token.

    Which of the two is said by the route's metadata; where an area refuses those without a token itself, it is both.
    """
    # Whoever has one IPv6 address has the 2^64 of its network.
    address = {"masked_remote_address": {"v4_prefix_mask_len": 32, "v6_prefix_mask_len": 64}}
    subject = {"key": jwt.FILTER, "path": [{"key": jwt.CLAIMS}, {"key": "sub"}]}
    return [
        {
            "actions": [
                of_route(CALLER),
                {"metadata": {"descriptor_key": CALLER, "metadata_key": subject, "source": "DYNAMIC"}},
            ]
        },
        {"actions": [of_route(ADDRESS), address]},
        {"actions": [of_route(STRANGER), without_token(), address]},
    ]


def without_token() -> Config:
    """Only calls that bring no token are counted so. What else there is in that header, the rule has refused."""
    absent = {"name": "authorization", "present_match": True, "invert_match": True}
    return {"header_value_match": {"descriptor_key": STRANGER, "descriptor_value": "true", "headers": [absent]}}


def of_route(counts: str) -> Config:
    """The rate class, of routes that count this."""
    key = {"key": METADATA, "path": [{"key": f"{counts}_{CLASS}"}]}
    return {"metadata": {"descriptor_key": CLASS, "metadata_key": key, "source": "ROUTE_ENTRY"}}


def metadata_of(rule: Rule, *, strangers: bool = False) -> dict[str, str]:
    """What a route's metadata says of the rule's rate class; `strangers` without a token come through too."""
    counted = [ADDRESS] if rule.audience == pb.AUDIENCE_PUBLIC else [CALLER, STRANGER][: 1 + strangers]
    return {f"{counts}_{CLASS}": pb.Rate.Name(pb.Rate.ValueType(rule.rate)) for counts in counted}
