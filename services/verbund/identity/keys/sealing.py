"""Signing keys at rest: encrypted with a key that lies outside the database, so that a dump of it signs nothing."""

import hmac
import json
import os
from pathlib import Path

from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OctKey

HEADER = {"alg": "dir", "enc": "A256GCM"}
KEY_BITS = 256
OTHERS = 0o077


class SealError(Exception):
    """The file with the key is missing, open to others, or does not fit. The message names it, never its content."""


class Seal:
    """Encrypts and decrypts private keys."""

    def __init__(self, key: OctKey) -> None:
        self._key = key

    @classmethod
    def read(cls, path: Path) -> "Seal":
        """With the key in a file that only its owner may read; raises SealError."""
        try:
            mode = path.stat().st_mode
            text = path.read_text()
        except OSError as error:
            raise SealError(f"{path}: {error.strerror}") from error
        if mode & OTHERS:
            raise SealError(f"{path} may be read by others: chmod 600 it")
        try:
            key = OctKey.import_key(json.loads(text))
        except (JoseError, ValueError, TypeError):
            raise SealError(f"{path} does not hold a symmetric JSON Web Key") from None
        if len(key.raw_value) * 8 != KEY_BITS:
            raise SealError(f"{path} does not hold a key of 256 bits")
        return cls(key)

    def derived(self, purpose: str) -> bytes:
        """A key for another purpose, from which nobody learns this one (RFC 5869's way, with one block)."""
        return hmac.digest(self._key.raw_value, f"verbund {purpose}".encode(), "sha256")

    def close(self, private: ECKey) -> str:
        """The private key's JSON, encrypted."""
        return jwe.encrypt_compact(HEADER, json.dumps(private.as_dict(private=True)), self._key)

    def open(self, sealed: str) -> ECKey:
        """The private key; raises SealError where it was encrypted with another key."""
        try:
            content = jwe.decrypt_compact(sealed, self._key).plaintext
            return ECKey.import_key(json.loads(content or b""))
        except (JoseError, ValueError):
            raise SealError("a signing key was encrypted with another key than the present one") from None


def create_key_encryption_file(path: Path) -> None:
    """Makes the file, readable by its owner only; one that exists stays as it is."""
    content = json.dumps(OctKey.generate_key(KEY_BITS).as_dict(private=True))
    new = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.link(new, path)
    except FileExistsError:
        return
    finally:
        new.unlink()
