"""Settings are validated at start; what is wrong is named."""

from typing import Any

import pytest
from verbund.settings import SettingError
from verbund_gateway import tracing
from verbund_gateway.clusters import clusters
from verbund_gateway.golden import EXAMPLE, EXAMPLE_KEYS
from verbund_gateway.jwt import public
from verbund_gateway.render import render
from verbund_gateway.settings import GatewaySettings, from_environment
from verbund_gateway.standalone import standalone

PATHS = {
    "VERBUND_GATEWAY_DIRECTORY": "/x/gateway",
    "VERBUND_GATEWAY_SOCKET_DIRECTORY": "/x/run",
    "VERBUND_GATEWAY_CERTIFICATE_FILE": "/x/server.pem",
    "VERBUND_GATEWAY_KEY_FILE": "/x/server.key",
}


def loaded(**variables: str) -> GatewaySettings:
    """The settings of an environment."""
    return from_environment(PATHS | variables)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "0"),
        ("PORT", "70000"),
        ("PORT", "https"),
        ("TRACE_PERCENT", "101"),
        ("TRACE_PROTOCOL", "udp"),
        ("ISSUER", "http://mesh.example"),
        ("RATE_READ", "0"),
        ("BODY_BYTES_MAX", "-1"),
        ("CONNECTION_STREAMS_MAX", "0"),
        ("SOCKET_DIRECTORY", "/" + "x" * 120),
    ],
)
def test_wrong(name: str, value: str) -> None:
    """A wrong setting stops the start with its name."""
    with pytest.raises(SettingError, match=f"^VERBUND_GATEWAY_{name} "):
        loaded(**{f"VERBUND_GATEWAY_{name}": value})


def test_missing() -> None:
    """So does a missing one."""
    with pytest.raises(SettingError, match="VERBUND_GATEWAY_KEY_FILE"):
        from_environment({key: value for key, value in PATHS.items() if "KEY_FILE" not in key})


@pytest.mark.parametrize(
    ("variables", "endpoint", "protocol", "tls"),
    [
        ({}, "", "grpc", False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "unix:/x/traces.sock"}, "unix:/x/traces.sock", "grpc", False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://otel:4317"}, "otel:4317", "grpc", False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "https://otel:4317"}, "otel:4317", "grpc", True),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "otel:4317", "OTEL_EXPORTER_OTLP_INSECURE": "true"},
            "otel:4317",
            "grpc",
            False,
        ),
        (
            {
                "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://t:4318/v1/traces",
                "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            },
            "t:4318",
            "http/protobuf",
            False,
        ),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://otel:4317", "OTEL_TRACES_EXPORTER": "none"}, "", "grpc", False),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://otel:4317", "VERBUND_GATEWAY_TRACE_ENDPOINT": "own:1"},
            "own:1",
            "grpc",
            False,
        ),
    ],
)
def test_collector(variables: dict[str, str], endpoint: str, protocol: str, *, tls: bool) -> None:
    """Where spans go is what OpenTelemetry's own variables say, unless the gateway's say otherwise."""
    found = loaded(**variables)
    assert (found.trace_endpoint, found.trace_protocol, found.trace_tls) == (endpoint, protocol, tls)


@pytest.mark.parametrize(
    ("variables", "path"),
    [
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://otel:4318"}, "/v1/traces"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://otel:4318/"}, "/v1/traces"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://otel:4318/otlp"}, "/otlp/v1/traces"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://otel:4318/own"}, "/own"),
    ],
)
def test_path_of_the_collector(variables: dict[str, str], path: str) -> None:
    """The path is made as OpenTelemetry's specification says."""
    found = loaded(**variables, OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf")
    assert (found.trace_endpoint, found.trace_path) == ("otel:4318", path)


def test_headers_of_the_collector() -> None:
    """A collector's headers, its key among them, are sent decoded."""
    found = loaded(
        OTEL_EXPORTER_OTLP_ENDPOINT="http://otel:4317",
        OTEL_EXPORTER_OTLP_HEADERS="Authorization=Basic%20abc=, x-team=a",
    )
    service = tracing.exporter(found)["grpc_service"]
    assert service["initial_metadata"] == [
        {"key": "authorization", "value": "Basic abc="},
        {"key": "x-team", "value": "a"},
    ]


def test_unknown_protocol() -> None:
    """A protocol that Envoy cannot speak is refused by the variable's name."""
    with pytest.raises(SettingError, match="OTEL_EXPORTER_OTLP_PROTOCOL"):
        loaded(OTEL_EXPORTER_OTLP_ENDPOINT="http://otel:4318", OTEL_EXPORTER_OTLP_PROTOCOL="http/json")


def test_no_collector_no_tracing() -> None:
    """Without a collector nothing is traced, and no cluster stands for it."""
    assert [found["name"] for found in clusters(loaded(), ["registry"], ["identity"])] == [
        "registry-grpc",
        "identity-http",
    ]


def test_keys() -> None:
    """Only public keys for ES256 are keys of the mesh."""
    good: dict[str, Any] = EXAMPLE_KEYS["keys"][0]
    others: list[dict[str, Any]] = [
        {"kty": "oct", "k": "c2VjcmV0"},
        {"kty": "RSA", "n": "x", "e": "AQAB"},
        good | {"crv": "P-384"},
        good | {"alg": "ES384"},
    ]
    assert public({"keys": [*others, good | {"d": "private"}]}) == {"keys": [good | {"alg": "ES256"}]}
    with pytest.raises(ValueError, match="ES256"):
        public({"keys": others})


def test_standalone_discovers_nothing() -> None:
    """What Envoy validates is everything: nothing in it is left to discovery."""
    files = {name: file for name, file in render(EXAMPLE, EXAMPLE_KEYS).items() if isinstance(file, dict)}
    text = str(standalone(files.pop("bootstrap.json"), files))
    for discovery in ("path_config_source", "config_discovery", "'rds'", "sds_config", "dynamic_resources"):
        assert discovery not in text
    assert "verbund.registry.v1.ProjectService.GetProject" in text
