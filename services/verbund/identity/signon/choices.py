"""Where people can sign in, and where that needs no question."""

from collections.abc import Sequence

from verbund.database.database import Database
from verbund.identity.signon.domain import AUTHORIZE, Choice, Unanswerable
from verbund.identity.signon.requests import SignOnRequest
from verbund.identity.signon.store import SignOnStore
from verbund.resources.names import ProviderName
from verbund.serving.call import Call


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

    def of(self, provider: ProviderName) -> Choice:
        """The provider that somebody was sent to; raises Unanswerable where it is active no more."""
        for choice in self.all():
            if choice.provider == provider:
                return choice
        raise Unanswerable("suspended")


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
