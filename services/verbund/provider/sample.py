"""The organisations of the provider and their invented people, read from the file beside this one."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

FILE = files("verbund.provider") / "sample" / "people.json"


@dataclass(frozen=True, slots=True)
class Person:
    """An invented person, as their organisation's provider describes them."""

    username: str
    name: str
    email: str
    roles: tuple[str, ...]
    acr: str


@dataclass(frozen=True, slots=True)
class Organisation:
    """An organisation with a provider of its own; `provider_id` is the last part of the issuer's URL."""

    provider_id: str
    name: str
    title: Mapping[str, str]
    people: Sequence[Person]


@cache  # `verbund up` reads it before it gives up the rights that reading it may take
def read() -> tuple[Organisation, ...]:
    """The organisations as they were packed."""
    stated = json.loads(FILE.read_text("utf-8"))
    return tuple(
        Organisation(
            provider_id=entry["id"],
            name=entry["organisation"],
            title=entry["title"],
            people=[Person(**person | {"roles": tuple(person["roles"])}) for person in entry["people"]],
        )
        for entry in stated["providers"]
    )
