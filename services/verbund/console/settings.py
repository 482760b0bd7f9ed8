"""The console's settings: the variables `VERBUND_CONSOLE_*`."""

from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleSettings:
    """Times are seconds."""

    # How long a browser may show a page of the manual, or the stylesheet, again without asking whether it changed.
    cache_seconds: int = 300
    # The gateway's URL as browsers see it: forms are taken from its pages only.
    origin: str = "https://127.0.0.1:8443"
    # The clock that people go by.
    time_zone: str = "Europe/Berlin"
    # How long one call of a page may take.
    call_seconds_max: float = 5.0
    # Where the workers of the services have their Unix sockets, and how many workers each service has.
    socket_dir: Path | None = None
    workers: int = 2
    # In a cluster, instead: the services' addresses, `exchange.verbund.svc:8443`, and what they know the console by.
    exchange_address: str = ""
    identity_address: str = ""
    registry_address: str = ""
    tls_ca_file: Path | None = None
    tls_certificate_file: Path | None = None
    tls_key_file: Path | None = None

    def __post_init__(self) -> None:
        """Refuses a time before now, a clock of nowhere, and services that are half named."""
        if self.cache_seconds < 0:
            raise ValueError("CACHE_SECONDS must be at least 0")
        if self.call_seconds_max <= 0 or self.workers < 1:
            raise ValueError("CALL_SECONDS_MAX must be greater than 0, and WORKERS at least 1")
        try:
            ZoneInfo(self.time_zone)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError("TIME_ZONE takes a name of the IANA database, Europe/Berlin for example") from None
        cluster = (*self.addresses.values(), self.tls_ca_file, self.tls_certificate_file, self.tls_key_file)
        if any(cluster) and (self.socket_dir or not all(cluster)):
            raise ValueError("set either SOCKET_DIR, or all of the addresses and the TLS files")

    @property
    def addresses(self) -> dict[str, str]:
        """The services' addresses by area; empty where they have sockets."""
        return {
            "exchange": self.exchange_address,
            "identity": self.identity_address,
            "registry": self.registry_address,
        }
