"""What comes of a browser's request: the way on, or a question to its person."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from verbund.identity.signon.domain import Choice, Party
from verbund.identity.signon.requests import SignOnRequest


@dataclass(frozen=True, slots=True)
class Redirect:
    """The browser goes to `location`; `session` is the key of a session that has begun, `provider` where it did."""

    location: str
    session: str = ""
    provider: str = ""


class Found(Enum):
    """What an e-mail address led to that decides nothing."""

    NO_ADDRESS = "the text is no address"
    NOBODY = "no organisation says that its people have such addresses"
    SEVERAL = "an organisation that has several providers"


@dataclass(frozen=True, slots=True)
class Choose:
    """The person is asked where they sign in."""

    request: SignOnRequest
    form: str
    choices: Sequence[Choice]
    found: Found | None = None  # by an address that was typed


@dataclass(frozen=True, slots=True)
class Consent:
    """The person is asked whether a member may learn who they are."""

    request: SignOnRequest
    form: str
    party: Party
    session: str = ""
    provider: str = ""


Outcome = Redirect | Choose | Consent
