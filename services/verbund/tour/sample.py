"""The sample: facts with source and date, read from the file beside this one."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from google.protobuf import json_format

from verbund.exchange.v1 import mailbox_service_pb2 as mailboxes
from verbund.identity.v1 import provider_service_pb2 as providers
from verbund.registry.v1 import project_service_pb2 as projects
from verbund.registry.v1 import strategy_service_pb2 as strategies

FOLDER = files("verbund.tour") / "sample"
FILE = FOLDER / "gemeinsam-digital-berlin.json"


@dataclass(frozen=True, slots=True)
class Member:
    """An organisation to admit, with one system."""

    organisation_id: str
    title: str
    system_id: str
    system_title: str
    roles: tuple[str, ...]

    @property
    def organisation(self) -> str:
        """The organisation's resource name."""
        return f"organisations/{self.organisation_id}"

    @property
    def system(self) -> str:
        """The system's resource name."""
        return f"{self.organisation}/systems/{self.system_id}"


@dataclass(frozen=True, slots=True)
class Pilot:
    """A project to record, and whose it is."""

    project_id: str
    owner: str
    content: projects.Project

    @property
    def name(self) -> str:
        """The project's resource name."""
        return f"projects/{self.owner}.{self.project_id}"


@dataclass(frozen=True, slots=True)
class Sending:
    """A document that goes from a member to a mailbox of another one."""

    sender: str
    owner: str
    mailbox_id: str
    mailbox: mailboxes.Mailbox
    subject: str
    message: str
    document: bytes
    document_name: str

    @property
    def mailbox_name(self) -> str:
        """The mailbox's resource name."""
        return f"organisations/{self.owner}/mailboxes/{self.mailbox_id}"


@dataclass(frozen=True, slots=True)
class Sample:
    """Everything that the tour brings with it; the first pilot is the one that it shows."""

    members: Sequence[Member]
    invited: Member  # one of the members, who joins by invitation
    stranger: Member
    strategy_id: str
    strategy_owner: str
    strategy: strategies.Strategy
    pilots: Sequence[Pilot]
    published_aim: str
    provider_id: str
    provider: providers.Provider  # without its issuer, which differs from home to home
    people: Mapping[str, str]  # who signs in, by organisation
    order: Sending
    answer: Sending

    def member(self, organisation_id: str) -> Member:
        """The member with this id."""
        return next(member for member in self.members if member.organisation_id == organisation_id)


@cache  # `verbund up` reads it before it gives up the rights that reading it may take
def read() -> Sample:
    """The sample as it was packed."""
    stated = json.loads(FILE.read_text("utf-8"))
    strategy, home = stated["strategy"], stated["homeProvider"]
    members = [member_of(entry) for entry in stated["organisations"]]
    return Sample(
        members=members,
        invited=next(member for member in members if member.organisation_id == stated["invited"]),
        stranger=member_of(stated["stranger"]),
        strategy_id=strategy["id"],
        strategy_owner=strategy["owner"],
        strategy=json_format.ParseDict(strategy["content"], strategies.Strategy()),
        pilots=[pilot_of(entry, f"strategies/{strategy['id']}") for entry in stated["projects"]],
        published_aim=stated["projects"][0]["publishedAim"]["en"],
        provider_id=home["id"],
        provider=provider_of(home),
        people=stated["people"],
        order=sending_of(stated["order"]),
        answer=sending_of(stated["answer"]),
    )


def member_of(entry: Mapping[str, Any]) -> Member:
    """A member of the file."""
    system = entry["system"]
    return Member(entry["id"], entry["title"], system["id"], system["title"], tuple(system["roles"]))


def sending_of(entry: Mapping[str, Any]) -> Sending:
    """What is sent, and to where."""
    mailbox = entry["mailbox"]
    return Sending(
        sender=entry["sender"],
        owner=mailbox["owner"],
        mailbox_id=mailbox["id"],
        mailbox=json_format.ParseDict(mailbox["content"], mailboxes.Mailbox()),
        subject=entry["subject"],
        message=entry["message"],
        document=(FOLDER / entry["document"]).read_bytes(),
        document_name=entry["document"],
    )


def provider_of(entry: Mapping[str, Any]) -> providers.Provider:
    """What the mesh is told of an organisation's own provider."""
    stated = {name: value for name, value in entry.items() if name not in {"note", "id"}}
    return json_format.ParseDict(stated, providers.Provider())


def pilot_of(entry: Mapping[str, Any], strategy: str) -> Pilot:
    """A project of the file; the sample's pilots are public."""
    content = json_format.ParseDict(entry["content"], projects.Project())
    content.strategy = strategy
    content.visibility = projects.VISIBILITY_PUBLIC
    return Pilot(entry["id"], entry["owner"], content)
