"""A token issuer for tests: real keys, real files, no identity service."""

import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

ISSUER = "https://127.0.0.1:8443"


def new_key() -> ECKey:
    """A signing key with a thumbprint as its id."""
    key = ECKey.generate_key("P-256")
    key.ensure_kid()
    return key


@dataclass
class Issuer:
    """Signs tokens as identity does, and publishes what verifies them in `directory`."""

    directory: Path
    key: ECKey = field(default_factory=new_key)

    def __post_init__(self) -> None:
        """Publishes the key and no revocations."""
        self.publish(self.key)
        self.revoke()

    def keys(self) -> dict[str, Any]:
        """The published key set."""
        found: dict[str, Any] = json.loads(self.jwks_file.read_text())
        return found

    @property
    def jwks_file(self) -> Path:
        """The published keys."""
        return self.directory / "jwks.json"

    @property
    def revocations_file(self) -> Path:
        """The published revocations."""
        return self.directory / "revocations.json"

    def publish(self, *keys: ECKey) -> None:
        """Replaces the published keys."""
        replace(self.jwks_file, KeySet(list(keys)).as_dict(private=False))

    def revoke(self, *entries: dict[str, Any]) -> None:
        """Replaces the published revocations."""
        replace(self.revocations_file, {"version": 1, "entries": list(entries)})

    def token(self, organisation: str = "citylab", *, roles: tuple[str, ...] = ("system",), **claims: Any) -> str:
        """A token of a system of an organisation; `claims` replace what it says."""
        now = int(time.time())
        name = f"organisations/{organisation}"
        stated = {
            "iss": ISSUER,
            "aud": "verbund",
            "sub": f"{name}/systems/test",
            "client_id": f"{name}/systems/test",
            "org": name,
            "sys": f"{name}/systems/test",
            "roles": list(roles),
            "acr": "substantial",
            "iat": now,
            "exp": now + 300,
            "jti": uuid.uuid4().hex,
        }
        header = {"alg": "ES256", "typ": "at+jwt", "kid": self.key.kid}
        return jwt.encode(header, stated | claims, self.key, algorithms=["ES256"])


def replace(path: Path, content: Mapping[str, Any]) -> None:
    """Writes a file as identity does: whole, or not at all."""
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(content))
    fresh.replace(path)
