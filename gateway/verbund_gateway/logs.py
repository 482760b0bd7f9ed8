"""The access log: one JSON line for each request, without anything personal.

It holds no address, no path with its names and query, no subject.
"""

from verbund_gateway.extension import Config, extension

FIELDS = {
    "time": "%START_TIME%",
    "event": "request",
    "method": "%REQ(:METHOD)%",
    "rule": "%METADATA(ROUTE:verbund:rule)%",
    "protocol": "%PROTOCOL%",
    "status": "%RESPONSE_CODE%",
    "grpc_status": "%GRPC_STATUS(SNAKE_STRING)%",
    "details": "%RESPONSE_CODE_DETAILS%",
    "flags": "%RESPONSE_FLAGS%",
    "duration_ms": "%DURATION%",
    "upstream": "%UPSTREAM_CLUSTER%",
    "attempts": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
    "received_bytes": "%BYTES_RECEIVED%",
    "sent_bytes": "%BYTES_SENT%",
    "trace_id": "%TRACE_ID%",
}


def access_log() -> Config:
    """The log on standard output, where the supervisor or the container's runtime takes it."""
    return extension(
        "envoy.access_loggers.stdout",
        "extensions.access_loggers.stream.v3.StdoutAccessLog",
        log_format={"json_format": FIELDS},
    )
