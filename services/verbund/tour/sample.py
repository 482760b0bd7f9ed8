"""The sample: facts with source and date, read from the file beside this one."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from google.protobuf import json_format

from verbund.registry.v1 import project_service_pb2 as projects
from verbund.registry.v1 import strategy_service_pb2 as strategies

FILE = files("verbund.tour") / "sample" / "gemeinsam-digital-berlin.json"


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
class Sample:
    """Everything that the tour brings with it; the first pilot is the one that it shows."""

    members: Sequence[Member]
    stranger: Member
    strategy_id: str
    strategy_owner: str
    strategy: strategies.Strategy
    pilots: Sequence[Pilot]
    published_aim: str

    def member(self, organisation_id: str) -> Member:
        """The member with this id."""
        return next(member for member in self.members if member.organisation_id == organisation_id)


@cache  # `verbund up` reads it before it gives up the rights that reading it may take
def read() -> Sample:
    """The sample as it was packed."""
    stated = json.loads(FILE.read_text("utf-8"))
    strategy = stated["strategy"]
    return Sample(
        members=[member_of(entry) for entry in stated["organisations"]],
        stranger=member_of(stated["stranger"]),
        strategy_id=strategy["id"],
        strategy_owner=strategy["owner"],
        strategy=json_format.ParseDict(strategy["content"], strategies.Strategy()),
        pilots=[pilot_of(entry, f"strategies/{strategy['id']}") for entry in stated["projects"]],
        published_aim=stated["projects"][0]["publishedAim"]["en"],
    )


def member_of(entry: Mapping[str, Any]) -> Member:
    """A member of the file."""
    system = entry["system"]
    return Member(entry["id"], entry["title"], system["id"], system["title"], tuple(system["roles"]))


def pilot_of(entry: Mapping[str, Any], strategy: str) -> Pilot:
    """A project of the file; the sample's pilots are public."""
    content = json_format.ParseDict(entry["content"], projects.Project())
    content.strategy = strategy
    content.visibility = projects.VISIBILITY_PUBLIC
    return Pilot(entry["id"], entry["owner"], content)
