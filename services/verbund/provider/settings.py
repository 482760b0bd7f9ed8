"""The settings of the built-in provider, VERBUND_PROVIDER_*."""

from dataclasses import dataclass
from pathlib import Path

PREFIX = "VERBUND_PROVIDER_"
# It listens nowhere else: nobody on another machine is to take it for an organisation's own.
HOST = "127.0.0.1"
DEFAULT_PORT = 8444
PORT_MAX = 65535


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSettings:
    """Only the embedded mode has this provider, and only for trials."""

    # Where the accounts of the invented people and the signing keys are kept: one file an organisation, 0600.
    directory: Path
    # The TLS certificate chain and its key, PEM. Replaced ones are used without a restart.
    certificate_file: Path
    key_file: Path
    # The port on 127.0.0.1.
    port: int = DEFAULT_PORT
    # Where it may send a browser back to besides this machine's loopback: after the sign-in, after the sign-out.
    redirect_uris: tuple[str, ...] = ()
    post_logout_redirect_uris: tuple[str, ...] = ()
    # How long a person stays signed in at the provider.
    session_seconds: int = 3600
    # How long an id token and an access token are good, and how long a code waits to be exchanged.
    token_seconds: int = 900
    code_seconds: int = 60
    # Wrong passwords that one account, and that one organisation may have in a minute.
    attempts_per_account_max: int = 5
    attempts_per_organisation_max: int = 100

    def __post_init__(self) -> None:
        """Refuses ports that do not exist, and bounds of nothing."""
        if not 0 <= self.port <= PORT_MAX:
            raise ValueError(f"PORT must be at most {PORT_MAX}")
        for name in ("session_seconds", "token_seconds", "code_seconds"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name.upper()} must be at least 1")
        if self.attempts_per_account_max < 1 or self.attempts_per_organisation_max < 1:
            raise ValueError("ATTEMPTS_PER_ACCOUNT_MAX and ATTEMPTS_PER_ORGANISATION_MAX must be at least 1")
