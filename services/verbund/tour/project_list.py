"""Importing a real list of projects before the tour, as `verbund project import` does it."""

from pathlib import Path

from verbund.registry.commands import Progress
from verbund.registry.imports.importer import import_file
from verbund.registry.imports.mapping import MappingError
from verbund.registry.v1.project_service_pb2_grpc import ProjectServiceStub
from verbund.resources.names import organisation_of
from verbund.sdk.client import Client
from verbund.tour.sample import Member
from verbund.tour.steps import StepFailed, Told

ERRORS_SHOWN_MAX = 5
QUERY_CHARS_MAX = 200  # of a search


def bring_in(client: Client, member: Member, data: Path) -> Told[str]:
    """Imports the file as the member's system; the value is the title of one of its projects, to search for."""
    remedy = f"try it alone: `verbund project import {data} --system {client.client_id} --mapping …`"
    stub = ProjectServiceStub(client.channel)
    try:
        report = import_file(stub, organisation_of(client.client_id), data, progress=Progress())
    except (MappingError, OSError, EOFError) as error:
        raise StepFailed(f"{data} cannot be imported: {error}.", remedy) from error
    if report.first is None:
        raise StepFailed(f"Nothing of {data} could be imported.", remedy)
    counts = {name: getattr(report, name) for name in ("created", "updated", "unchanged", "failed")}
    said = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count)
    title = report.first.title.de or report.first.title.en
    below = [str(error) for error in report.errors[:ERRORS_SHOWN_MAX]]
    return Told(f"{member.title} imports {data.name}: {said}.", title[:QUERY_CHARS_MAX], counts, below)
