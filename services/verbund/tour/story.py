"""The story of the tour, from top to bottom: organisations join, people sign in at home, a partner finds a project, its
owner changes it and sends a document, the partner accepts it, and a stranger learns nothing.
"""

import uuid
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import TypeAlias

import grpc
from google.protobuf import json_format
from google.protobuf.field_mask_pb2 import FieldMask

from verbund.registry.v1 import change_service_pb2 as changes
from verbund.registry.v1 import project_service_pb2 as projects
from verbund.registry.v1.change_service_pb2_grpc import ChangeServiceStub
from verbund.registry.v1.project_service_pb2_grpc import ProjectServiceStub
from verbund.sdk.client import Client
from verbund.sdk.refusals import Refused
from verbund.sdk.transfer import File
from verbund.tour import delivering, members, onboarding, pages, people, records, tracing
from verbund.tour.mesh import Mesh
from verbund.tour.project_list import bring_in
from verbund.tour.sample import Member, Sample
from verbund.tour.steps import Narrator, StepFailed, Told

TIMEOUT_SECONDS = 15.0
WATCH_SECONDS_MAX = 60.0
TRACE_HEADER = "x-trace-id"
Project: TypeAlias = projects.Project


def tell(mesh: Mesh, sample: Sample, narrator: Narrator, *, data: Path | None, document: File | None) -> None:
    """Tells the whole story; raises TourEnded at the first step that fails."""
    citylab = sample.member("citylab-berlin")
    narrator.step("admit", lambda: admit(mesh, sample))
    narrator.step("invite", lambda: onboarding.join(mesh, sample.invited))
    narrator.step("record", lambda: record(mesh, sample))
    narrator.step("token", lambda: get_token(mesh.client(citylab.system), citylab))
    if data is not None:
        title = narrator.step("import", lambda: bring_in(mesh.client(citylab.system), citylab, data))
        narrator.step("search", lambda: search(mesh.client(citylab.system), title))
    tell_of_project(mesh, sample, narrator, citylab)
    order = sample.order
    tell_of_delivery(mesh, sample, narrator, citylab, document or File(order.document, order.document_name))


def tell_of_project(mesh: Mesh, sample: Sample, narrator: Narrator, partner: Member) -> None:
    """A partner finds a project; its owner changes it; a stranger may not."""
    pilot = sample.pilots[0]
    owner = sample.member(pilot.owner)
    narrator.step("find", lambda: find(mesh.client(partner.system), partner, pilot.content.title.de))
    narrator.step("change", lambda: change(mesh, partner, owner, pilot.name, sample.published_aim))
    narrator.step("refuse", lambda: refuse(mesh.client(sample.stranger.system), sample.stranger, pilot.name))


def tell_of_delivery(mesh: Mesh, sample: Sample, narrator: Narrator, receiver: Member, document: File) -> None:
    """People sign in at home; one of them sends a document, the receiver's system accepts it, and something comes back
    for a person to decide on.

    Where no provider runs beside the mesh (--idp none), nobody signs in, and the sender's system sends.
    """
    sender = sample.member(sample.order.sender)
    chancellery = sample.member(sample.strategy_owner)
    has_people = bool(mesh.ready()["people"])
    if has_people:
        narrator.step("sign-in", lambda: people.come_in(mesh, sample, chancellery))
    narrator.step("mailbox", lambda: delivering.open_mailbox(mesh, sample.order, receiver))
    person = mesh.client(sender.system)
    if has_people:
        person = narrator.step("sign-in-district", lambda: people.come_in(mesh, sample, sender)).client
    who = f"The {'person' if has_people else 'system'} of {sender.title}"
    project = sample.pilots[0].name
    sent = narrator.step("send", lambda: delivering.send(person, who, sample.order, document, project))
    narrator.step("accept", lambda: delivering.receive(mesh.client(receiver.system), receiver, sent))
    narrator.step("timeline", lambda: delivering.follow(person, sender, sent))
    narrator.step("hide", lambda: delivering.hide(mesh.client(sample.stranger.system), sample.stranger, sent))
    narrator.step("trace", lambda: tracing.show(mesh.home, sent.trace_id))
    if has_people:
        username = sample.people[sender.organisation_id]
        back = narrator.step("answer", lambda: delivering.answer(mesh, sample.answer, receiver, sender, project))
        narrator.step("page", lambda: pages.show(mesh, person, sender, username, back.name))


def admit(mesh: Mesh, sample: Sample) -> Told[None]:
    """The operator admits organisations, each with a system that proves itself with a key of its own."""
    admitted = [member for member in (*sample.members, sample.stranger) if member is not sample.invited]
    operator = mesh.operator()
    new = [members.admit(operator.channel, mesh.home, member) for member in admitted]
    systems = {member.system for member in admitted}
    mesh.wait_until_listed(systems)
    verb = "admits" if any(new) else "has admitted"
    line = f"The operator {verb} {joined([member.title for member in admitted])}, each with one system."
    return Told(line, None, {"systems": sorted(systems)})


def record(mesh: Mesh, sample: Sample) -> Told[None]:
    """The strategy and the pilots are recorded, each by its owner."""
    strategy_owner = sample.member(sample.strategy_owner)
    new = [records.record_strategy(mesh.client(strategy_owner.system).channel, sample)]
    for pilot in sample.pilots:
        channel = mesh.client(sample.member(pilot.owner).system).channel
        new.append(records.record_pilot(channel, pilot))
    verb = "is recorded" if any(new) else "stands already"
    line = f"The strategy “{sample.strategy.title.de}” {verb}, with its {len(sample.pilots)} pilot projects."
    names = [f"strategies/{sample.strategy_id}", *(pilot.name for pilot in sample.pilots)]
    return Told(line, None, {"resources": names})


def search(client: Client, title: str) -> Told[None]:
    """A project of the imported list is found by its title."""
    answer, trace_id = found_by(client, title)
    titles = [text for project in answer.projects for text in (project.title.de, project.title.en)]
    if not any(text.startswith(title) for text in titles):
        raise StepFailed(f"“{title}” is not found.", "look at the import above, and at `verbund project search`")
    line = f"“{title}”, one of them, is found among {len(answer.projects)} matches."
    return Told(line, None, {"query": title, "matches": len(answer.projects), "trace": trace_id})


def get_token(client: Client, member: Member) -> Told[None]:
    """A token by the system's own key; it is kept until shortly before it expires."""
    client.tokens.token()
    line = f"{member.title}'s system gets a token with its own key (private_key_jwt)."
    return Told(line, None, {"clientId": client.client_id})


def find(client: Client, member: Member, title: str) -> Told[str]:
    """A partner finds a project over JSON; the value is the trace id of the request."""
    answer, trace_id = found_by(client, title)
    found = next((project for project in answer.projects if project.title.de == title), None)
    if found is None:
        raise StepFailed(f"“{title}” is not found.", "look at it with `verbund project search`, and start again")
    line = f"{member.title} finds “{title}” over JSON, through the gateway."
    return Told(line, trace_id, {"project": found.name, "trace": trace_id}, facts_of(found))


def found_by(client: Client, query: str) -> tuple[projects.SearchProjectsResponse, str]:
    """What a search over JSON answers, and the trace id of the request."""
    response = client.http.get("/v1/projects:search", params={"query": query})
    if not response.is_success:
        raise Refused.from_http(response)
    answer = json_format.Parse(response.text, projects.SearchProjectsResponse())
    return answer, response.headers.get(TRACE_HEADER, "")


def change(mesh: Mesh, watcher: Member, owner: Member, name: str, aim: str) -> Told[None]:
    """The owner adds the project's published aim over gRPC, and a partner who watches sees it arrive."""
    stub = ProjectServiceStub(mesh.client(owner.system).channel)
    project = stub.GetProject(projects.GetProjectRequest(name=name), timeout=TIMEOUT_SECONDS)
    if project.description.en:  # an earlier tour's
        project = update(stub, project, "")[0]
    request = changes.WatchChangesRequest(resources=[name])
    stream = ChangeServiceStub(mesh.client(watcher.system).channel).WatchChanges(request, timeout=WATCH_SECONDS_MAX)
    try:
        next(stream)  # it stands: every later change arrives
        sent = perf_counter()
        changed, trace_id = update(stub, project, aim)
        arrived = next(message.change for message in stream if message.HasField("change"))
        took = (perf_counter() - sent) * 1000
    finally:
        stream.cancel()
    if arrived.project.etag != changed.etag:
        raise StepFailed("Another change arrived than the one that was made.", "nobody else may change it meanwhile")
    line = f"{owner.title} adds the published aim over gRPC; {watcher.title}, who watches, has it {took:.0f} ms later."
    return Told(line, None, {"trace": trace_id, "etag": changed.etag, "changedPaths": list(arrived.changed_paths)})


def refuse(client: Client, stranger: Member, name: str) -> Told[None]:
    """Somebody who may only read tries to change the project."""
    stub = ProjectServiceStub(client.channel)
    try:
        update(stub, projects.Project(name=name), "This must not be written.")
    except grpc.RpcError as error:
        refused = Refused.from_rpc(error)
    else:
        raise StepFailed("A stranger could change the project.", "stop the mesh: its rules are not enforced")
    if refused.reason != "PERMISSION_MISSING":
        raise refused
    line = f"{stranger.title} may not change it: {refused.reason} by the rule {refused.metadata['rule']}."
    facts = {"reason": refused.reason, **refused.metadata}
    return Told(line, None, facts, [f"{key}: {refused.metadata[key]}" for key in ("permission", "remedy")])


def update(stub: ProjectServiceStub, project: Project, aim: str) -> tuple[Project, str]:
    """The project with another description, on the state that was read; and the trace id of the call."""
    changed = projects.Project(name=project.name, etag=project.etag)
    changed.description.en = aim
    request = projects.UpdateProjectRequest(
        project=changed, update_mask=FieldMask(paths=["description.en"]), request_id=str(uuid.uuid4())
    )
    answer, call = stub.UpdateProject.with_call(request, timeout=TIMEOUT_SECONDS)
    return answer, str(dict(call.initial_metadata()).get(TRACE_HEADER, ""))


def facts_of(project: Project) -> Sequence[str]:
    """What the registry knows of a project, with its sources."""
    period = project.period
    runs = f"{period.start_date or 'not known'} to {period.end_date or 'not known'}"
    sources = [f"source: {source.uri} (read {source.as_of})" for source in project.sources]
    parties = joined([party.title for party in project.parties]) or "not known"
    return [f"{project.name}, owned by {project.owner}", f"period: {runs} · parties: {parties}", *sources]


def joined(words: Sequence[str]) -> str:
    """An enumeration in words."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
