"""Where people can sign in, and where that needs no question."""

import re
from collections.abc import Sequence

from verbund.database.database import Database
from verbund.identity.signon.domain import AUTHORIZE, Choice, Unanswerable
from verbund.identity.signon.requests import SignOnRequest
from verbund.identity.signon.store import SignOnStore
from verbund.resources.names import ProviderName
from verbund.serving.call import Call

ADDRESS_LENGTH_MAX = 254  # RFC 5321, as RFC 3696's erratum 1690 counts it
DOMAIN = re.compile(r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?[.])+[a-z]([a-z0-9-]{0,61}[a-z0-9])?")


class Choices:
    """Finds active providers of active organisations."""

    def __init__(self, *, database: Database, store: SignOnStore) -> None:
        self._database = database
        self._store = store

    def all(self) -> Sequence[Choice]:
        """All of them, by title; raises Unanswerable where there is none."""
        with self._database.read(Call.internal(AUTHORIZE)) as rows:
            found = self._store.choices(rows)
        if not found:
            raise Unanswerable("nobody")
        return found

    def by_address(self, address: str) -> Sequence[Choice]:
        """Where people with such an e-mail address sign in; none where no organisation says that its people have such.

        The address is asked for its domain only, and is kept nowhere.
        """
        domain = domain_of(address)
        if not domain:
            return []
        with self._database.read(Call.internal(AUTHORIZE)) as rows:
            return self._store.choices_of(rows, domain)

    def of(self, provider: ProviderName) -> Choice:
        """The provider that somebody was sent to; raises Unanswerable where it is active no more."""
        for choice in self.all():
            if choice.provider == provider:
                return choice
        raise Unanswerable("suspended")


def domain_of(address: str) -> str:
    """The domain of an e-mail address, as providers state theirs; empty where the text is no address."""
    local, _, domain = address.strip().rpartition("@")
    if not local or len(address) > ADDRESS_LENGTH_MAX:
        return ""
    try:
        found = domain.encode("idna").decode("ascii").lower()
    except UnicodeError:
        return ""
    return found if DOMAIN.fullmatch(found) else ""


def decided_by(request: SignOnRequest, remembered: str, choices: Sequence[Choice]) -> Choice | None:
    """Where the person signs in, where that needs no question: by the client's hint, from the last time, or for want
    of another.
    """
    named = [choice for choice in choices if request.login_hint in (choice.organisation, choice.provider)]
    known = [choice for choice in choices if choice.provider == remembered]
    for found in (named, known, choices):
        if len(found) == 1:
            return found[0]
    return None
