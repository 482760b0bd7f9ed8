"""The registry as members of the mesh see it: real server, real PostgreSQL, one set of stubs for each organisation."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import grpc
from verbund.registry.main import build
from verbund.registry.v1 import change_service_pb2_grpc, project_service_pb2_grpc, strategy_service_pb2_grpc
from verbund.registry.v1 import project_service_pb2 as pb
from verbund.registry.v1.types_pb2 import LocalizedText

from tests.support.members import TIMEOUT_SECONDS, Bearer, environment
from tests.support.serving import served
from tests.support.tokens import Issuer


class Member:
    """A system of one organisation, with the registry's three services."""

    def __init__(self, channel: grpc.Channel, token: str, organisation: str) -> None:
        self.organisation = f"organisations/{organisation}"
        signed = grpc.intercept_channel(channel, Bearer(token))
        self.projects = project_service_pb2_grpc.ProjectServiceStub(signed)
        self.strategies = strategy_service_pb2_grpc.StrategyServiceStub(signed)
        self.changes = change_service_pb2_grpc.ChangeServiceStub(signed)

    def create(self, project_id: str = "", *, request_id: str = "", **fields: Any) -> pb.Project:
        """Records a project that needs nothing but what the test is about."""
        fields.setdefault("title", LocalizedText(de="Ein Projekt"))
        request = pb.CreateProjectRequest(project_id=project_id, project=pb.Project(**fields), request_id=request_id)
        return self.projects.CreateProject(request, timeout=TIMEOUT_SECONDS)

    def update(self, project: pb.Project, *paths: str, request_id: str = "") -> pb.Project:
        """Changes the fields that `paths` name."""
        request = pb.UpdateProjectRequest(project=project, request_id=request_id)
        request.update_mask.paths.extend(paths)
        return self.projects.UpdateProject(request, timeout=TIMEOUT_SECONDS)

    def get(self, name: str) -> pb.Project:
        """Reads a project."""
        return self.projects.GetProject(pb.GetProjectRequest(name=name), timeout=TIMEOUT_SECONDS)

    def delete(self, name: str) -> None:
        """Deletes a project."""
        self.projects.DeleteProject(pb.DeleteProjectRequest(name=name), timeout=TIMEOUT_SECONDS)

    def names(self, **fields: Any) -> list[str]:
        """The names on one page of a list."""
        found = self.projects.ListProjects(pb.ListProjectsRequest(**fields), timeout=TIMEOUT_SECONDS)
        return [project.name for project in found.projects]

    def search(self, query: str, **fields: Any) -> list[str]:
        """The names on one page of a search."""
        request = pb.SearchProjectsRequest(query=query, **fields)
        return [project.name for project in self.projects.SearchProjects(request, timeout=TIMEOUT_SECONDS).projects]


@dataclass(frozen=True)
class Mesh:
    """A registry worker and its members."""

    channel: grpc.Channel
    issuer: Issuer
    dsn: str

    def member(self, organisation: str, **claims: Any) -> Member:
        """A system of an organisation."""
        return Member(self.channel, self.issuer.token(organisation, **claims), organisation)

    @cached_property
    def citylab(self) -> Member:
        """An organisation that owns projects."""
        return self.member("citylab")

    @cached_property
    def district(self) -> Member:
        """Another one."""
        return self.member("ba-charlottenburg-wilmersdorf")

    @cached_property
    def stranger(self) -> Member:
        """One that takes part in nothing."""
        return self.member("stranger")


@contextmanager
def running(dsn: str, directory: Path, *, number: int = 0, **more: str) -> Iterator[Mesh]:
    """A registry worker on a database, stopped afterwards."""
    issuer = Issuer(directory)
    stated = environment(dsn, issuer, directory) | {"VERBUND_REGISTRY_FEED_LOOK_SECONDS": "1"} | more
    with served(lambda verifier: build(stated, verifier), issuer, number=number) as channel:
        yield Mesh(channel, issuer, dsn)
