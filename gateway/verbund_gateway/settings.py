"""The gateway's settings: VERBUND_GATEWAY_<NAME>, and the standard OTEL_EXPORTER_OTLP_* for where traces go."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from verbund.policy import catalogue
from verbund.settings import SettingError, load

PREFIX = "VERBUND_GATEWAY_"
PORT_MAX, PERCENT_MAX = 65535, 100
SOCKET_PATH_BYTES_MAX = 107  # of sockaddr_un
GRPC, HTTP = "grpc", "http/protobuf"


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySettings:
    """What the configuration depends on besides protos and policy."""

    # Where the configuration's files lie. Envoy watches this directory.
    directory: Path
    # Where the workers' sockets lie, `<area>-<n>.grpc.sock` and `<area>-<n>.http.sock`, and the admin interface's.
    socket_directory: Path
    # The TLS certificate chain and its key, PEM. Replaced with os.replace, new ones are used without a restart.
    certificate_file: Path
    key_file: Path
    # The address and port to listen on.
    host: str = "127.0.0.1"
    port: int = 8443
    # Who issues the tokens: the gateway's own URL as clients know it; and for whom they are issued.
    issuer: str = "https://127.0.0.1:8443"
    audience: str = "verbund"
    # The secret by which the gateway proves at identity to be the console's, and the one that encrypts the cookies of
    # browsers: files of mode 0600. Without both nobody signs on in a browser.
    console_secret_file: Path | None = None
    cookie_secret_file: Path | None = None
    # How far a token's times may be off.
    clock_skew_seconds: int = 5
    # How many workers each area runs, numbered from 0.
    workers: int = 2
    # Envoy's worker threads.
    threads: int = 2
    # Which browsers' pages may call: origins such as https://portal.berlin.example. None by default.
    cors_origins: tuple[str, ...] = ()
    # Calls that a caller may make within the window, by rate class. A caller is a subject or, without one, an address.
    rate_window_seconds: int = 10
    rate_read: int = 2000
    rate_write: int = 1000
    rate_bulk: int = 200
    rate_authenticate: int = 100
    # How many callers are counted at once; beyond, the one unheard of the longest is forgotten.
    rate_callers_max: int = 20_000
    # The largest request body, and the largest answer that is transcoded to JSON.
    body_bytes_max: int = 4 * 1024 * 1024
    answer_bytes_max: int = 16 * 1024 * 1024
    # The largest header section; gRPC services refuse more than 8 KiB themselves.
    headers_kilobytes_max: int = 8
    headers_count_max: int = 64
    # Open connections, and streams on each.
    connections_max: int = 10_000
    connection_streams_max: int = 100
    # The memory beyond which new work is refused.
    memory_bytes_max: int = 1024 * 1024 * 1024
    # The longest deadline of a call.
    call_seconds_max: int = 30
    # The longest life of a watch. Services end theirs earlier, after 900 s, with a message that says where to go on.
    watch_seconds_max: int = 960
    # The longest life of an upload or a download. Services end theirs earlier.
    stream_seconds_max: int = 3660
    # How long a stream or connection may be silent, and how long a request to a plain HTTP route may take as a whole.
    stream_idle_seconds: int = 60
    connection_idle_seconds: int = 300
    request_seconds_max: int = 60
    # Where spans go, host:port or unix:PATH, and how. Where not given, as OTEL_EXPORTER_OTLP_* say. Empty: no tracing.
    trace_endpoint: str = ""
    trace_protocol: str = GRPC
    trace_tls: bool = False
    # The path and the headers, name=value with the value percent-encoded, of a collector that wants some.
    trace_path: str = "/v1/traces"
    trace_headers: tuple[str, ...] = ()
    # How many calls of a hundred are traced.
    trace_percent: float = 100.0

    def __post_init__(self) -> None:
        """Refuses what Envoy or the operating system would refuse later and less clearly."""
        if not 0 < self.port <= PORT_MAX:
            raise ValueError(f"PORT must be within 1 and 65535, not {self.port}")
        if not 0 <= self.trace_percent <= PERCENT_MAX:
            raise ValueError(f"TRACE_PERCENT must be within 0 and 100, not {self.trace_percent}")
        if self.trace_protocol not in {GRPC, HTTP}:
            raise ValueError(f"TRACE_PROTOCOL must be {GRPC} or {HTTP}, not {self.trace_protocol}")
        if not self.issuer.startswith("https://"):
            raise ValueError(f"ISSUER must be an https URL, not {self.issuer}")
        if len(bytes(self.admin_socket)) > SOCKET_PATH_BYTES_MAX:
            raise ValueError(f"SOCKET_DIRECTORY is too long for a Unix socket: {self.socket_directory}")
        self.refuse_zeros()

    def refuse_zeros(self) -> None:
        """Refuses limits of nothing: Envoy reads most zeros as unlimited."""
        for name in self.__dataclass_fields__:
            value = getattr(self, name)
            if isinstance(value, int) and not isinstance(value, bool) and value < 1 and name != "clock_skew_seconds":
                raise ValueError(f"{name.upper()} must be at least 1, not {value}")

    @property
    def admin_socket(self) -> Path:
        """Where Envoy's admin interface listens: a socket only the service user can reach."""
        return self.socket_directory / "envoy-admin.sock"

    def sockets(self, area: str, protocol: str) -> list[Path]:
        """The sockets of an area's workers for `grpc` or `http`."""
        workers = 1 if area in catalogue.SINGLE else self.workers
        return [self.socket_directory / f"{area}-{worker}.{protocol}.sock" for worker in range(workers)]


def from_environment(environment: Mapping[str, str]) -> GatewaySettings:
    """The settings of VERBUND_GATEWAY_*, the trace's destination of OTEL_EXPORTER_OTLP_*; raises SettingError."""
    settings = load(GatewaySettings, environment, prefix=PREFIX)
    return settings if settings.trace_endpoint else with_collector(settings, environment)


def with_collector(settings: GatewaySettings, environment: Mapping[str, str]) -> GatewaySettings:
    """The settings with the destination that OpenTelemetry's own variables name, where they name one."""

    def standard(name: str) -> str:
        return environment.get(f"OTEL_EXPORTER_OTLP_TRACES_{name}") or environment.get(f"OTEL_EXPORTER_OTLP_{name}", "")

    endpoint = standard("ENDPOINT")
    protocol = standard("PROTOCOL") or GRPC
    if not endpoint or environment.get("OTEL_TRACES_EXPORTER") == "none":
        return settings
    if protocol not in {GRPC, HTTP}:
        raise SettingError(f"OTEL_EXPORTER_OTLP_PROTOCOL takes {GRPC} or {HTTP}, not {protocol}")
    scheme, separator, rest = endpoint.rpartition("://")
    address, _, path = (rest, "", "") if rest.startswith("unix:") else rest.partition("/")
    own = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT" in environment
    return replace(
        settings,
        trace_endpoint=f"unix:{rest}" if scheme == "unix" else address,
        trace_protocol=protocol,
        trace_tls=scheme == "https" and bool(separator) and standard("INSECURE") != "true",
        # As the standard has it: the endpoint for traces is used as it stands, the one for everything gets their path.
        trace_path=f"/{path}" if own else f"/{path}/v1/traces".replace("//", "/"),
        trace_headers=tuple(part.strip() for part in standard("HEADERS").split(",") if "=" in part),
    )
