"""What one organisation's provider knows while it runs: who is signed in, and which forms, codes and tokens are out.

It is in memory only: after a restart people sign in again. Everything happens in the server's one thread and waits
for nothing, so it needs no locks.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from verbund.provider.accounts import Account, Accounts
from verbund.provider.attempts import Attempts
from verbund.provider.expiring import Expiring
from verbund.provider.requests import AuthenticationRequest, Client
from verbund.provider.sample import Organisation
from verbund.provider.settings import ProviderSettings

FORM_SECONDS = 900
NUMBER_MAX = 1000  # of each kind: a trial has few people

Now = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Session:
    """A person who has signed in, and when (Unix seconds)."""

    account: Account
    auth_time: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """A form that was shown: good for one answer, by the browser that was shown it."""

    browser: str = field(repr=False)
    # What the sign-in is for. A form that asks whether to sign out has none, but may say where to go then.
    request: AuthenticationRequest | None = None
    leave_to: str = ""


@dataclass(frozen=True, slots=True)
class Grant:
    """What a code stands for."""

    request: AuthenticationRequest
    session: Session


class Issuer:
    """One organisation's provider."""

    def __init__(
        self,
        *,
        url: str,
        organisation: Organisation,
        accounts: Accounts,
        client: Client,
        settings: ProviderSettings,
        now: Now,
    ) -> None:
        self.url = url
        self.organisation = organisation
        self.accounts = accounts
        self.client = client
        self.now = now
        self.token_seconds = settings.token_seconds
        self.attempts = Attempts(
            per_account_max=settings.attempts_per_account_max,
            total_max=settings.attempts_per_organisation_max,
            clock=now,
        )
        self.sessions = Expiring[Session](life_seconds=settings.session_seconds, number_max=NUMBER_MAX, clock=now)
        self.forms = Expiring[Form](life_seconds=FORM_SECONDS, number_max=NUMBER_MAX, clock=now)
        self.codes = Expiring[Grant](life_seconds=settings.code_seconds, number_max=NUMBER_MAX, clock=now)
        # Access tokens, each with whom it stands for, and the token that came of a code that was used.
        self.tokens = Expiring[Account](life_seconds=settings.token_seconds, number_max=NUMBER_MAX, clock=now)
        self.used = Expiring[list[str]](
            life_seconds=settings.token_seconds + settings.code_seconds, number_max=NUMBER_MAX, clock=now
        )
