"""People: who they are, their pseudonyms, and who may know."""

from dataclasses import dataclass
from datetime import datetime

from verbund.policy.roles import permissions_of
from verbund.resources import ids
from verbund.resources.names import OrganisationName, PersonName, ProviderName
from verbund.serving.call import Call
from verbund.serving.refusals import Absent

READ = "identity.people.read"


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A person of an organisation, as their provider describes them."""

    name: PersonName
    organisation: OrganisationName
    provider: ProviderName
    home_subject: str
    display_name: str
    email: str
    create_time: datetime
    update_time: datetime


def new_name(organisation: OrganisationName) -> PersonName:
    """A new pseudonym."""
    return PersonName(f"{organisation}/people/{ids.opaque()}")


def refuse_stranger(name: PersonName, call: Call) -> None:
    """Raises Absent unless it is the caller, or the caller's roles may read the people of their organisation.

    Row-level security hides those of other organisations besides.
    """
    if call.principal.subject != name and READ not in permissions_of(call.principal.roles):
        raise Absent(name)
