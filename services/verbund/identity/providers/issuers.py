"""What is known of each issuer that was asked, within a bound."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

ISSUERS_MAX = 1024

Known = TypeVar("Known")


class Issuers(Generic[Known]):
    """Finds what is known of an issuer, or begins with it; of too many, the one that came first is forgotten.

    Thread-safe: whoever asks at the same time gets the same.
    """

    def __init__(self, begin: Callable[[str], Known]) -> None:
        self._begin = begin
        self._lock = threading.Lock()
        self._known: dict[str, Known] = {}

    def of(self, issuer: str) -> Known:
        """What is known of an issuer."""
        found = self._known.get(issuer)
        if found is None:
            with self._lock:
                found = self._known.get(issuer)
                if found is None:
                    while len(self._known) >= ISSUERS_MAX:
                        self._known.pop(next(iter(self._known)))
                    found = self._known[issuer] = self._begin(issuer)
        return found
