"""`verbund protos`: the interface for other languages."""

from pathlib import Path

import click

from verbund.failure import Failure
from verbund.options import Show, json_option
from verbund.protos.bundle import bundle


@click.group("protos")
def protos() -> None:
    """The protos of the mesh, for clients in any language."""


@protos.command("export", short_help="Write the protos into a directory.")
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
@json_option
def export(*, directory: Path, show: Show) -> None:
    """Write every proto into DIRECTORY with all that it imports; a plain `protoc -I DIRECTORY` compiles them.

    The directory is made where there is none. Files of the same name are replaced, others stay.
    """
    files = bundle()
    try:
        for path, content in files.items():
            target = directory / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
    except OSError as error:
        raise Failure(f"{error}.", who="You", remedy="name a directory that you may write to.") from None
    told = f"{len(files)} files are in {directory}; README.md there says how to compile them and whose they are."
    show({"directory": str(directory), "files": list(files)}, told)
