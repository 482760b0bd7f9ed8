"""Identity's settings: the variables `VERBUND_IDENTITY_*`."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from verbund.identity.keys.domain import Schedule

TOKEN_SECONDS_MIN = 30
TOKEN_SECONDS_MAX = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentitySettings:
    """Times are seconds where their names say so."""

    # Where jwks.json and revocations.json are put, for gateway and services to read.
    publish_dir: Path
    # The key that signing keys are encrypted with in the database: a symmetric JSON Web Key of 256 bits, mode 0600.
    key_encryption_file: Path
    # How long a signing key is published before it signs: longer than anybody keeps an old key set.
    key_publish_seconds: float = 600
    # How long a key signs before the next one takes over.
    key_rotate_days: float = 30
    # How long a token lives.
    token_seconds: int = 300
    # How often the published files are compared with the database, apart from what is published at once.
    publish_every_seconds: float = 0.5
    # How many tokens a system may get from one worker; a token is to be kept until it expires.
    tokens_per_minute_max: int = 600
    # Certificate authorities (PEM) that may vouch for OpenID providers, besides those that the machine trusts.
    provider_ca_file: Path | None = None
    # Whether OpenID providers may lie at private addresses and on this machine. Whoever administers an organisation
    # could then have identity ask around in your network; where all providers are public, leave it.
    provider_private_addresses: bool = False
    # The secret by which the gateway proves to be the console's, mode 0600. Without it nobody signs on to the console.
    console_secret_file: Path | None = None
    # Connections of one worker for calls; jobs have four more.
    pool_size: int = 16

    def __post_init__(self) -> None:
        """Refuses times that contradict each other."""
        if not TOKEN_SECONDS_MIN <= self.token_seconds <= TOKEN_SECONDS_MAX:
            raise ValueError(f"TOKEN_SECONDS must be {TOKEN_SECONDS_MIN} to {TOKEN_SECONDS_MAX}")
        if self.key_publish_seconds < 0 or self.key_rotate_days * 86_400 <= self.key_publish_seconds:
            raise ValueError("KEY_ROTATE_DAYS must be longer than KEY_PUBLISH_SECONDS")
        if self.publish_every_seconds <= 0 or self.tokens_per_minute_max < 1 or self.pool_size < 1:
            raise ValueError("PUBLISH_EVERY_SECONDS, TOKENS_PER_MINUTE_MAX and POOL_SIZE must be positive")

    @property
    def schedule(self) -> Schedule:
        """The life of signing keys."""
        return Schedule(
            publish=timedelta(seconds=self.key_publish_seconds),
            rotate=timedelta(days=self.key_rotate_days),
            token_life=timedelta(seconds=self.token_seconds),
        )
