"""Runs the tour: for `verbund tour`, and for `verbund up --tour`."""

import sys
from pathlib import Path
from typing import BinaryIO, TextIO

from verbund.embedded import home as homes
from verbund.sdk.transfer import File
from verbund.tour import sample
from verbund.tour.mesh import Mesh
from verbund.tour.steps import Narrator, TourEnded
from verbund.tour.story import tell


def run(
    named: Path,
    *,
    data: Path | None = None,
    document: BinaryIO | Path | None = None,
    as_json: bool = False,
    out: TextIO | None = None,
) -> int:
    """The exit code: 0, or 1 where a step failed. Raises Failure where there is no home."""
    home = homes.find(named)
    narrator = Narrator(out or sys.stdout, as_json=as_json, logs=str(home.log))
    try:
        with Mesh(home) as mesh:
            tell(mesh, sample.read(), narrator, data=data, document=File(document) if document else None)
    except TourEnded:
        return 1
    finally:
        narrator.close()
    return 0
