"""Sign-on: who asks for it, where people sign in, sessions, and what clients get of them."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from verbund.resources.names import NOBODY, OrganisationName, PersonName, ProviderName
from verbund.serving.call import Call

AUTHORIZE = "identity.signon.authorize"
SIGN_ON_LIFE = timedelta(minutes=10)
SESSION_LIFE = timedelta(hours=12)
CODE_LIFE = timedelta(seconds=60)
# A browser that asks several times at once sends one token several times: the one before is good for a moment more.
REFRESH_GRACE = timedelta(seconds=30)
KEY_BYTES = 32
SID_BYTES = 16
# A key says in the clear whose it is, so that whoever looks it up acts for that organisation and sees no other.
KEY = re.compile(r"(?P<organisation>[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?)\.(?P<secret>[A-Za-z0-9_-]{43})")
REFRESH = re.compile(
    r"(?P<organisation>[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?)\.(?P<sid>[A-Za-z0-9_-]{22})\.(?P<count>[0-9]{1,9})\."
    r"(?P<mac>[0-9a-f]{64})"
)


@dataclass(frozen=True, slots=True)
class Browser:
    """What a browser sent of itself: the keys in its cookies, the first a new one where it had none."""

    key: str
    session: str = ""
    remembered: str = ""


class Unanswerable(Exception):  # noqa: N818 - a refusal
    """The person is told what cannot be done, on a page; `reason` names the text, and `who` whom it speaks of."""

    def __init__(self, reason: str, *, who: str = "", status: int = 400, retry_seconds: int = 0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.who = who
        self.status = status
        self.retry_seconds = retry_seconds
        self.ui_locales = ""  # of the request that it is about, where that is known


@contextmanager
def told_in(ui_locales: str) -> Iterator[None]:
    """What cannot be done is told in the languages that the client's request named, though no later one names them."""
    try:
        yield
    except Unanswerable as refused:
        refused.ui_locales = ui_locales
        raise


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """A client that people sign on to."""

    client: str
    title: str
    redirect_uris: frozenset[str]
    post_logout_redirect_uris: frozenset[str]
    organisation_title: str = ""
    public_client: bool = False  # PKCE alone proves who asked
    organisation: OrganisationName = NOBODY  # of a member; the mesh's own client has none, and needs no consent

    @property
    def is_member(self) -> bool:
        """Whether what it gets leaves the mesh's own pages."""
        return self.organisation != NOBODY


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Where people can sign in: an active provider of an active organisation."""

    provider: ProviderName
    organisation: OrganisationName
    title: str
    provider_title: str
    issuer: str
    audience: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A person's session in a browser."""

    session: str
    organisation: OrganisationName
    person: PersonName
    provider: ProviderName
    roles: tuple[str, ...]
    assurance: str
    auth_time: datetime
    expire_time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a client got of a session that goes on."""

    sid: str
    organisation: OrganisationName
    client: str
    redirect_uri: str
    challenge: str
    nonce: str
    scope: tuple[str, ...]
    code_expire_time: datetime
    code_use_time: datetime | None
    refresh_count: int
    refresh_time: datetime | None
    person: PersonName
    provider: ProviderName
    roles: tuple[str, ...]
    assurance: str
    auth_time: datetime
    session_expire_time: datetime
    alive: bool
    resume_time: datetime | None = None
    signing_kid: str | None = None


@dataclass(frozen=True, slots=True)
class Key:
    """A secret that a browser or a client holds; only its digest is kept."""

    organisation: OrganisationName
    text: str = field(repr=False)

    @property
    def digest(self) -> bytes:
        """Its SHA-256."""
        return digest(self.text)

    @classmethod
    def new(cls, organisation: OrganisationName) -> "Key":
        """A new one of an organisation's."""
        return cls(organisation, f"{organisation.partition('/')[2]}.{secret()}")

    @classmethod
    def read(cls, text: str) -> "Key | None":
        """The key in a cookie or a form; None where it is none."""
        match = KEY.fullmatch(text)
        return cls(OrganisationName(f"organisations/{match['organisation']}"), text) if match else None


@dataclass(frozen=True, slots=True)
class Refresh:
    """A refresh token: whose, of which grant, and how many came before it."""

    organisation: OrganisationName
    sid: str
    count: int

    def text(self, key: bytes) -> str:
        """The token as it is sent."""
        stated = f"{self.organisation.partition('/')[2]}.{self.sid}.{self.count}"
        return f"{stated}.{hmac.new(key, stated.encode(), hashlib.sha256).hexdigest()}"

    @classmethod
    def read(cls, text: str, key: bytes) -> "Refresh | None":
        """The token that was sent; None where it is none of ours."""
        match = REFRESH.fullmatch(text)
        if match is None:
            return None
        found = cls(OrganisationName(f"organisations/{match['organisation']}"), match["sid"], int(match["count"]))
        return found if hmac.compare_digest(found.text(key), text) else None


def secret() -> str:
    """A secret that nobody guesses."""
    return secrets.token_urlsafe(KEY_BYTES)


def digest(text: str) -> bytes:
    """The SHA-256 of a text."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def browser_name(cookie: str) -> OrganisationName:
    """On whose behalf a browser without a session acts."""
    return OrganisationName(f"browsers/{digest(cookie).hex()}")


def acting(browser: Browser) -> Call:
    """What is done for a browser without a session: it sees what it is under way with, and nobody else's."""
    return Call.internal(AUTHORIZE, organisation=browser_name(browser.key))


def pairwise(person: PersonName, sector: OrganisationName, key: bytes) -> str:
    """A person's name towards the clients of one organisation, which no other can compare with its own."""
    return hmac.new(key, f"{sector}\n{person}".encode(), hashlib.sha256).hexdigest()
