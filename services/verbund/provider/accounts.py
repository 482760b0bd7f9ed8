"""What one organisation's provider keeps in the home: its signing key, and each person's identifier and password.

The passwords are random and stand in the file as they are, because whoever tries the mesh out has to read them there.
So they need no slow hash: nobody guesses 100 random bits, and whoever reads the file needs no guess.
"""

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from verbund.failure import Failure
from verbund.files import replace
from verbund.provider.sample import Organisation, Person
from verbund.provider.settings import HOST

PASSWORD_BYTES = 13
GROUP = 5  # a password is typed by people: groups of five
SUBJECT_BYTES = 16


@dataclass(frozen=True, slots=True)
class Account:
    """A person with what their provider knows them by."""

    person: Person
    subject: str
    password: str


@dataclass(frozen=True, slots=True)
class Accounts:
    """The accounts of one organisation, and the key that its provider signs with."""

    key: ECKey
    by_username: Mapping[str, Account]

    def proven(self, username: str, password: str) -> Account | None:
        """Whose name and password these are; an unknown name takes as long as a wrong password."""
        account = self.by_username.get(username)
        right = account.password if account else STAND_IN
        holds = hmac.compare_digest(digest(right), digest(plain(password)))
        return account if holds else None


STAND_IN = secrets.token_urlsafe(32)


def digest(text: str) -> bytes:
    """Texts of any length become alike in length, so that comparing them tells nothing of it."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def plain(password: str) -> str:
    """A password as it is kept: who types it may leave the blanks around it, as copying does."""
    return password.strip()


def issuer_url(port: int, provider_id: str) -> str:
    """The issuer of an organisation's provider."""
    return f"https://{HOST}:{port}/{provider_id}"


def ensure(directory: Path, organisation: Organisation) -> Accounts:
    """The accounts as they are kept; what is missing is made and written, 0600. Raises Failure for a broken file."""
    path = file_of(directory, organisation)
    try:
        kept = json.loads(path.read_bytes()) if path.exists() else {"key": new_key(), "people": {}}
        missing = [person.username for person in organisation.people if person.username not in kept["people"]]
        fresh = {name: {"subject": new_subject(), "password": new_password()} for name in missing}
        found = accounts_of(organisation.people, kept["key"], kept["people"] | fresh)
    except (JoseError, ValueError, TypeError, KeyError):
        raise Failure(
            f"{path}, where the provider of {organisation.name} keeps its key and accounts, is broken.",
            who="The operator of this mesh",
            remedy="restore it from a copy, or remove it: the next start makes new accounts.",
        ) from None
    if fresh:
        replace(path, json.dumps(kept | {"people": kept["people"] | fresh}, indent=2).encode() + b"\n")
    return found


def people(
    directory: Path, organisations: Iterable[Organisation], issuer_of: Callable[[str], str]
) -> list[dict[str, str]]:
    """Who can sign in, and how: what `ready.json` says of people. `issuer_of` is where those of a provider do."""
    return [
        {
            "name": account.person.name,
            "organisation": organisation.name,
            "email": account.person.email,
            "issuer": issuer_of(organisation.provider_id),
            "username": account.person.username,
            "password": account.password,
        }
        for organisation in organisations
        for account in ensure(directory, organisation).by_username.values()
    ]


def file_of(directory: Path, organisation: Organisation) -> Path:
    """The file of one organisation's provider."""
    return directory / f"{organisation.provider_id}.json"


def accounts_of(sample: Iterable[Person], key: dict[str, Any], kept: Mapping[str, Mapping[str, str]]) -> Accounts:
    """The accounts of the sample's people. Raises KeyError, TypeError, ValueError or JoseError for what is none."""
    found = {
        person.username: Account(person, str(kept[person.username]["subject"]), str(kept[person.username]["password"]))
        for person in sample
    }
    if not all(account.subject and account.password for account in found.values()):
        raise ValueError("an account lacks its subject or password")
    signing = ECKey.import_key(key)
    if not signing.is_private or not signing.kid:
        raise ValueError("the key is no private key with an id")
    return Accounts(signing, found)


def new_key() -> dict[str, Any]:
    """A signing key, as a private JSON Web Key (RFC 7517)."""
    key = ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256"}, auto_kid=True)
    return dict(key.as_dict(private=True))


def new_subject() -> str:
    """An identifier that says nothing of the person."""
    return base32(SUBJECT_BYTES)


def new_password() -> str:
    """Random letters and digits, in groups that a person can type."""
    text = base32(PASSWORD_BYTES)[: GROUP * 4]
    return "-".join(text[start : start + GROUP] for start in range(0, len(text), GROUP))


def base32(count: int) -> str:
    """Random bytes as lower-case letters and digits (RFC 4648)."""
    return base64.b32encode(secrets.token_bytes(count)).decode().rstrip("=").lower()
