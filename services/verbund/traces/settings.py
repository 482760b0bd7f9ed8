"""The settings of the trace store, VERBUND_TRACES_*."""

from dataclasses import dataclass
from pathlib import Path

MIB = 1024 * 1024
PORT_MAX = 65535


@dataclass(frozen=True, kw_only=True)
class TraceSettings:
    """Where spans arrive, where they lie, and for how long."""

    # The Unix socket that takes OTLP over gRPC; whoever may open it may send spans.
    socket: Path
    # The SQLite database; its directory must exist.
    database: Path
    # The Unix socket at which the gateway asks for traces in Jaeger's query API, below /api/; none: nobody asks.
    query_socket: Path | None = None
    # A port of this machine's loopback with the same API, for Jaeger's UI and Grafana on this machine. It asks for no
    # token: every user of the machine can read traces there. 0: no port.
    query_port: int = 0
    # How long a span is kept, from its arrival.
    retention_days: float = 7.0
    # How large the database may become, its write-ahead log included; the oldest spans make room.
    size_mib_max: int = 256
    # How often old spans are looked for; the bound in bytes is kept with every arrival.
    sweep_seconds: float = 60.0
    # The largest request; exporters send 512 spans at a time, about 0.5 MiB.
    request_mib_max: int = 8
    # How many requests are taken in at the same time; the rest waits its turn.
    threads: int = 4

    def __post_init__(self) -> None:
        """Refuses bounds under which the store could not work."""
        if self.size_mib_max < 8 * self.request_mib_max:
            raise ValueError("SIZE_MIB_MAX must be at least eight times REQUEST_MIB_MAX")
        if not 0 <= self.query_port <= PORT_MAX:
            raise ValueError(f"QUERY_PORT must be within 0 and {PORT_MAX}")
        if min(self.retention_days, self.sweep_seconds, self.request_mib_max, self.threads) <= 0:
            raise ValueError("RETENTION_DAYS, SWEEP_SECONDS, REQUEST_MIB_MAX and THREADS must be greater than 0")
