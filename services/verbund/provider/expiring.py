"""What the provider remembers for a time: in memory, under secret keys, and never more than a number of things."""

import hashlib
import secrets
from collections.abc import Callable
from typing import Generic, TypeVar

Value = TypeVar("Value")
KEY_BYTES = 32


class Expiring(Generic[Value]):
    """Values by secret keys. Beyond the number that fits, the oldest is forgotten.

    It holds digests of the keys, so that finding one takes no longer the more of it is right.
    """

    def __init__(self, *, life_seconds: float, number_max: int, clock: Callable[[], float]) -> None:
        self._life_seconds = life_seconds
        self._number_max = number_max
        self._clock = clock
        self._kept: dict[bytes, tuple[float, Value]] = {}  # in the order in which they expire

    def put(self, value: Value) -> str:
        """Keeps a value; the new key that finds it."""
        key = secrets.token_urlsafe(KEY_BYTES)
        self.keep(key, value)
        return key

    def keep(self, key: str, value: Value) -> None:
        """Keeps a value under a key that is secret already."""
        now = self._clock()
        self._kept.pop(digest(key), None)
        while self._kept and (len(self._kept) >= self._number_max or self._oldest() <= now):
            del self._kept[next(iter(self._kept))]
        self._kept[digest(key)] = (now + self._life_seconds, value)

    def get(self, key: str) -> Value | None:
        """The value of a key, while it lasts."""
        expires, value = self._kept.get(digest(key), (0.0, None))
        return value if self._clock() < expires else None

    def take(self, key: str) -> Value | None:
        """The value of a key, which then finds it no more."""
        value = self.get(key)
        self._kept.pop(digest(key), None)
        return value

    def _oldest(self) -> float:
        return self._kept[next(iter(self._kept))][0]


def digest(key: str) -> bytes:
    """What stands for a key."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
