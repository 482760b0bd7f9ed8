"""`verbund project`: import and find projects, as a system of the mesh and through its gateway."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from google.protobuf import json_format

from verbund.failure import ExitCode, Failure
from verbund.options import Show, harmless, json_option
from verbund.registry.imports import mapping as mappings
from verbund.registry.imports.importer import Report, import_file
from verbund.registry.v1 import change_service_pb2 as changes
from verbund.registry.v1 import project_service_pb2 as pb
from verbund.registry.v1.change_service_pb2_grpc import ChangeServiceStub
from verbund.registry.v1.project_service_pb2_grpc import ProjectServiceStub
from verbund.resources.names import organisation_of
from verbund.sdk.client import Client
from verbund.sdk.connection import client_options

CALL_SECONDS = 30.0
PROGRESS_SECONDS = 1.0


@click.group("project")
def project() -> None:
    """Import and find projects, as a system that ready.json lists."""


@project.command("import", short_help="Import a project list: CSV or JSON.")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--mapping", help="A shipped mapping by name, or a mapping file in TOML or JSON; else by the columns.")
@click.option("--map", "extra", multiple=True, metavar="FIELD=COLUMN", help="One field from a column; repeatable.")
@click.option("--identifier", metavar="SCHEME=COLUMN", help="Without a mapping: which column names a project.")
@json_option
@client_options
def import_(
    *, client: Client, file: Path, mapping: str | None, extra: tuple[str, ...], identifier: str | None, show: Show
) -> None:
    """Import the project list FILE: CSV or JSON, also compressed by gzip.

    A project is known by its identifier: importing a file again changes nothing. What is wrong with a row is said by
    line and column, the other rows are imported, and the exit code is 1.
    """
    try:
        fields = dict(pair(text, "--map") for text in extra)
        report = import_file(
            ProjectServiceStub(client.channel),
            organisation_of(client.client_id),
            file,
            mapped=chosen(mapping, identifier, fields),
            extra=fields,
            told=lambda error: click.echo(f"{file.name}: {error}", err=True),
            progress=Progress(),
        )
    except (mappings.MappingError, OSError, EOFError) as error:
        remedy = "choose or correct the mapping (--mapping, --map), or the file."
        raise Failure(f"{file} cannot be imported: {error}.", who="You", remedy=remedy, code=ExitCode.USAGE) from None
    counts = {name: getattr(report, name) for name in ("created", "updated", "unchanged", "failed")}
    errors = [{"line": error.line, "column": error.column, "message": error.message} for error in report.errors]
    said = ", ".join(f"{count:,} {name}" for name, count in counts.items())
    seconds = round(report.seconds, 3)
    show(counts | {"seconds": seconds, "errors": errors}, f"{said}, in {seconds:.1f} s")
    if report.failed:
        sys.exit(ExitCode.FAILED)


def chosen(named: str | None, identifier: str | None, fields: dict[str, str]) -> mappings.Mapped | None:
    """The mapping that the options choose; None leaves the choice to the file's columns. Raises MappingError."""
    if identifier is not None:
        scheme, column = pair(identifier, "--identifier")
        return mappings.Mapped.of({"identifier": {"scheme": scheme, "column": column}, "fields": fields})
    if named is None:
        return None
    known = mappings.shipped()
    return known[named] if named in known else mappings.read(Path(named))


def pair(text: str, option: str) -> tuple[str, str]:
    """The two sides of `title.de=project_name`."""
    left, found, right = text.partition("=")
    if not (left and found and right):
        raise click.UsageError(f"{option} takes NAME=COLUMN, not {text!r}")
    return left, right


class Progress:
    """Says now and then how far an import is, to whoever watches a terminal."""

    def __init__(self) -> None:
        self._shown = time.monotonic()

    def __call__(self, report: Report) -> None:
        """One project more is settled."""
        now = time.monotonic()
        if sys.stderr.isatty() and now - self._shown >= PROGRESS_SECONDS:
            self._shown = now
            rate = report.done / max(report.seconds, 0.001)
            click.echo(f"\r{report.done:,} projects, {rate:,.0f} a second ", err=True, nl=False)


@project.command("get")
@click.argument("name")
@client_options
def get(*, client: Client, name: str) -> None:
    """Print the project NAME, projects/…, as JSON."""
    full = name if name.startswith("projects/") else f"projects/{name}"
    found = ProjectServiceStub(client.channel).GetProject(pb.GetProjectRequest(name=full), timeout=CALL_SECONDS)
    click.echo(harmless(json_format.MessageToJson(found, ensure_ascii=False)))


@project.command("list")
@click.option("--filter", "expression", default="", help="Which projects, as AIP-160 writes it.")
@click.option("--limit", default=50, type=click.IntRange(1, 100_000), show_default=True)
@json_option
@client_options
def list_(*, client: Client, expression: str, limit: int, show: Show) -> None:
    """List projects by name."""
    stub = ProjectServiceStub(client.channel)
    request = pb.ListProjectsRequest(filter=expression)
    show_pages(lambda: stub.ListProjects(request, timeout=CALL_SECONDS), request, limit, show)


@project.command("search")
@click.argument("query", nargs=-1, required=True)
@click.option("--limit", default=20, type=click.IntRange(1, 1000), show_default=True)
@json_option
@client_options
def search(*, client: Client, query: tuple[str, ...], limit: int, show: Show) -> None:
    """Find projects by words, German or English, the best first."""
    stub = ProjectServiceStub(client.channel)
    request = pb.SearchProjectsRequest(query=" ".join(query))
    show_pages(lambda: stub.SearchProjects(request, timeout=CALL_SECONDS), request, limit, show)


@project.command("watch", short_help="Print changes as they happen.")
@click.option("--resume", default="", metavar="TOKEN", help="Go on after the message with this resumeToken.")
@click.argument("resources", nargs=-1)
@client_options
def watch(*, client: Client, resume: str, resources: tuple[str, ...]) -> None:
    """Print changes as they happen, one JSON object a line, of RESOURCES or of all; ends with the stream."""
    request = changes.WatchChangesRequest(resume_token=resume, resources=resources)
    for message in ChangeServiceStub(client.channel).WatchChanges(request):
        Show(as_json=True)(message, "")


def show_pages(call: Callable[[], Any], request: Any, limit: int, show: Show) -> None:
    """Prints projects page by page, until there are no more or enough."""
    left = limit
    while left:
        request.page_size = min(left, 1000)
        page = call()
        for found in page.projects:
            show(found, f"{found.name}  {found.title.de or found.title.en}")
        left -= len(page.projects)
        request.page_token = page.next_page_token
        if not page.next_page_token:
            return
