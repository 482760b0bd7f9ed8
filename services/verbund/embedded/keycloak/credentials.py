"""What Keycloak keeps in the home beside its configuration: its secrets, random for each home."""

import json
import secrets
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

from verbund.embedded.home import Home
from verbund.failure import Failure
from verbund.files import replace

SECRET_BYTES = 24
ADMINISTRATOR = "admin"


def directory(home: Home) -> Path:
    """What Keycloak keeps in the home; its data is in PostgreSQL."""
    return home.path / "keycloak"


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """Random for each home, and in one file of it, 0600."""

    administrator: str
    database: str
    broker: str

    @classmethod
    def ensure(cls, home: Home) -> Self:
        """The secrets as they are kept, made at the first start; raises Failure where the file is broken."""
        path = directory(home) / "secrets.json"
        names = [field.name for field in fields(cls)]
        if not path.exists():
            path.parent.mkdir(mode=0o700, exist_ok=True)
            replace(path, json.dumps({name: secrets.token_hex(SECRET_BYTES) for name in names}, indent=2).encode())
        try:
            return cls(**{name: str(value) for name, value in json.loads(path.read_bytes()).items()})
        except (ValueError, TypeError, AttributeError):
            raise Failure(
                f"{path}, where the passwords of Keycloak are kept, is broken.",
                who="The operator of this mesh",
                remedy="restore it from a copy.",
            ) from None
