"""What a caller may not see is not there for them, in every way of asking."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from google.protobuf import json_format
from google.protobuf.field_mask_pb2 import FieldMask
from google.rpc import code_pb2
from verbund.registry.v1 import change_service_pb2 as changes
from verbund.registry.v1 import project_service_pb2 as pb

from tests.support.asks import CHANGES, DIALECTS, PROJECTS, Ask, Callers, delete, dialects, get, new_id, untraced
from tests.support.dialects import info
from tests.support.load import CALL_SECONDS_MAX, System, creation

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("mesh")]


def naming(name: str) -> dict[str, Ask]:
    """Every call that names a project."""
    given = pb.Project(name=name, status=pb.PROJECT_STATUS_IMPLEMENTATION)
    path, update = f"{PROJECTS}/UpdateProject", pb.UpdateProjectRequest
    as_json = json_format.MessageToDict
    mask = FieldMask(paths=["status"])
    return {
        "get": get(name),
        "update": Ask(
            path,
            update(project=given, update_mask=mask),
            "PATCH",
            f"/v1/{name}?updateMask=status",
            as_json(given),
        ),
        "update by etag": Ask(
            path,
            update(project=pb.Project(name=name, status=pb.PROJECT_STATUS_IMPLEMENTATION, etag="x"), update_mask=mask),
            "PATCH",
            f"/v1/{name}?updateMask=status",
            as_json(given) | {"etag": "x"},
        ),
        "delete": Ask(f"{PROJECTS}/DeleteProject", pb.DeleteProjectRequest(name=name), "DELETE", f"/v1/{name}"),
        "delete by etag": Ask(
            f"{PROJECTS}/DeleteProject", pb.DeleteProjectRequest(name=name, etag="x"), "DELETE", f"/v1/{name}?etag=x"
        ),
        "history": Ask(f"{CHANGES}/ListChanges", changes.ListChangesRequest(parent=name), "GET", f"/v1/{name}/changes"),
    }


@dialects
def test_a_hidden_project_is_byte_for_byte_a_missing_one(callers: Callers, dialect: str) -> None:
    """Before it is recorded, while it stands and after it was deleted, a stranger reads the same of an internal
    project in every method that names one, but for the trace's id.
    """
    project_id = new_id()
    name = f"projects/owner.{project_id}"
    stages: list[Callable[[], Any]] = [
        lambda: None,
        lambda: callers.owner.create(project_id),
        lambda: delete(callers.owner, name),
    ]
    answers: dict[str, set[bytes]] = {kind: set() for kind in naming(name)}
    for stage in stages:
        stage()
        for kind, ask in naming(name).items():
            status = DIALECTS[dialect](ask, callers.stranger)
            assert (status.code, info(status).reason) == (code_pb2.NOT_FOUND, "NOT_FOUND")
            answers[kind].add(untraced(status))
    assert {kind: len(found) for kind, found in answers.items()} == dict.fromkeys(answers, 1)


def test_lists_and_searches_do_not_show_what_is_hidden(callers: Callers) -> None:
    """Neither pages, nor filters, nor words of the title, in either dialect; the owner finds it by all of them."""
    word = new_id()
    request = creation(word)
    request.project.title.de = f"Geheimes {word}"
    hidden = callers.owner.projects.CreateProject(request, timeout=CALL_SECONDS_MAX)
    for system, expected in ((callers.owner, {hidden.name}), (callers.stranger, set())):
        assert set(system.names()) & {hidden.name} == expected
        for url in ("/v1/projects?pageSize=1000", f'/v1/projects?filter=owner = "{hidden.owner}"'):
            page = system.http.get(url).json()
            assert {found["name"] for found in page.get("projects", [])} & {hidden.name} == expected
            assert "nextPageToken" not in page
        for query in (word, word[:-3], f"geheimes {word}"):
            found = system.projects.SearchProjects(pb.SearchProjectsRequest(query=query), timeout=CALL_SECONDS_MAX)
            over_json = system.http.get("/v1/projects:search", params={"query": query}).json()
            assert {project.name for project in found.projects} & {hidden.name} == expected
            assert {project["name"] for project in over_json.get("projects", [])} & {hidden.name} == expected


@dialects
@pytest.mark.parametrize("named", [False, True], ids=["all", "named"])
def test_watches_do_not_tell_of_what_is_hidden(callers: Callers, dialect: str, named: bool) -> None:
    """Who watches everything, or the hidden project by its name, is told of neither its creation, nor its change, nor
    its end: the next thing they hear is what they may.
    """
    hidden, seen = new_id(), new_id()
    names = [f"projects/owner.{project_id}" for project_id in (hidden, seen)]
    with watching(callers.stranger, dialect, names if named else []) as told:
        assert "started" in next(told)
        project = callers.owner.create(hidden)
        changed = pb.UpdateProjectRequest(
            project=pb.Project(name=project.name, status=pb.PROJECT_STATUS_IMPLEMENTATION)
        )
        callers.owner.projects.UpdateProject(changed, timeout=CALL_SECONDS_MAX)
        delete(callers.owner, project.name)
        callers.owner.create(seen, pb.VISIBILITY_PUBLIC)
        assert next(told)["change"]["resource"] == names[1]


class watching:  # noqa: N801 - reads as what it does
    """An open watch in either dialect; gives its messages as JSON."""

    def __init__(self, system: System, dialect: str, resources: list[str]) -> None:
        self._system, self._dialect, self._resources = system, dialect, resources
        self._close: list[Callable[[], Any]] = []

    def __enter__(self) -> Iterator[dict[str, Any]]:
        if self._dialect == "grpc":
            request = changes.WatchChangesRequest(resources=self._resources)
            stream = self._system.changes.WatchChanges(request, timeout=CALL_SECONDS_MAX)
            self._close.append(stream.cancel)
            return (json_format.MessageToDict(message) for message in stream)
        http = self._system.http_with(self._system.tokens.token())
        opened = http.stream("GET", "/v1/changes:watch", params={"resources": self._resources})
        answer = opened.__enter__()
        self._close += [lambda: opened.__exit__(None, None, None), http.close]
        return (json.loads(line) for line in answer.iter_lines() if line)

    def __exit__(self, *_: object) -> None:
        for close in self._close:
            close()
