"""How every service is served: the variables `VERBUND_SERVING_*`."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingSettings:
    """Times are seconds, sizes bytes."""

    # The mesh's issuer: the gateway's URL as partners see it.
    issuer: str
    # The public keys that tokens are signed with, a JWK Set that identity keeps up to date.
    jwks_file: Path
    # Tokens, systems and organisations that are no longer accepted; identity keeps it up to date.
    revocations_file: Path
    # The audience that tokens of the mesh name.
    audience: str = "verbund"
    # Where each worker has its Unix sockets: a directory that only the mesh's own user may enter.
    socket_dir: Path | None = None
    # In a cluster, instead: the address to listen on with mutual TLS.
    listen: str = ""
    tls_certificate_file: Path | None = None
    tls_key_file: Path | None = None
    tls_client_ca_file: Path | None = None
    # The names (subject alternative names) whose certificates may connect.
    tls_client_names: tuple[str, ...] = ()
    # Worker processes, each with a socket of its own.
    workers: int = 2
    # Calls that one worker carries out at once, and that wait for it. Its threads share one interpreter: twice as many
    # answer no sooner, and cost a quarter more CPU a call.
    threads: int = 8
    waiting_calls_max: int = 256
    # Watches that one worker holds, of them how many for one organisation, and how long one may last.
    watches_max: int = 1000
    watches_per_organisation_max: int = 600
    watch_seconds_max: int = 900
    # Uploads and downloads that one worker carries out at once, each in a thread of its own; of them at most half for
    # one organisation. How long one may last, and how slow its other side may be: a stream ends that moved less than so
    # many bytes a second while we waited so many seconds for it.
    streams_max: int = 8
    stream_seconds_max: int = 3600
    stream_bytes_per_second_min: int = 64 * 1024
    stream_pace_seconds: float = 30.0
    # A call ends after this, whatever its caller allows.
    deadline_seconds_max: float = 30.0
    # How long a worker that stops goes on taking calls, so that whoever sends them notices first that it leaves.
    leave_seconds: float = 1.0
    # How long calls in progress may take when the worker stops.
    drain_seconds: float = 10.0
    # The largest request, and the largest metadata with it; an answer may be four times as large.
    message_bytes_max: int = 4 * 1024 * 1024
    metadata_bytes_max: int = 8 * 1024

    def __post_init__(self) -> None:
        """Refuses to listen nowhere, twice, or without knowing who calls."""
        if (self.socket_dir is None) == (not self.listen):
            raise ValueError("set either SOCKET_DIR or LISTEN")
        tls = (self.tls_certificate_file, self.tls_key_file, self.tls_client_ca_file, self.tls_client_names)
        if self.listen and not all(tls):
            raise ValueError("LISTEN needs TLS_CERTIFICATE_FILE, TLS_KEY_FILE, TLS_CLIENT_CA_FILE and TLS_CLIENT_NAMES")
        for name in ("workers", "threads", "waiting_calls_max", "watches_max", "streams_max", "message_bytes_max"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name.upper()} must be at least 1")
