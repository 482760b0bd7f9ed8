"""The mesh's protos and everything that they import, file by file: what `protoc -I DIR` needs, and its licences."""

import io
import re
import zipfile
from collections.abc import Iterator, Mapping
from importlib.metadata import distribution
from pathlib import Path

INSTALLED = Path(__file__).parent / "source"
SOURCE = INSTALLED if INSTALLED.is_dir() else Path(__file__).resolve().parents[3] / "protos"
"""Where they lie: beside this file in a wheel, else in the repository."""

# Every refusal is a google.rpc.Status with details, though no proto of the mesh imports them.
REFUSALS = ("google/rpc/code.proto", "google/rpc/error_details.proto", "google/rpc/status.proto")
IMPORT = re.compile(r'^import (?:public |weak )?"([^"]+)";', re.MULTILINE)
LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the first moment that a ZIP can name: the same content makes the same file


def bundle() -> Mapping[str, bytes]:
    """The content of each file by its path, sorted."""
    files = {name: place_of(name).read_bytes() for name in closure([*own(), *REFUSALS])}
    licences = {f"licenses/{path.name}": path.read_bytes() for path in (SOURCE / "third_party/licenses").iterdir()}
    ours = {"README.md": (SOURCE / "README.md").read_bytes(), "LICENSE": licence().encode()}
    return dict(sorted((files | licences | ours).items()))


def own() -> list[str]:
    """The mesh's own protos, by the name under which they are imported."""
    return sorted(path.relative_to(SOURCE).as_posix() for path in (SOURCE / "verbund").rglob("*.proto"))


def closure(names: list[str]) -> set[str]:
    """The names with all that they import, and what that imports."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(imports(name))
    return found


def imports(name: str) -> Iterator[str]:
    """What a proto imports."""
    yield from IMPORT.findall(place_of(name).read_text(encoding="utf-8"))


def place_of(name: str) -> Path:
    """The file of a proto: the mesh's, one that is kept beside them, or one of googleapis-common-protos."""
    kept = (SOURCE / name, SOURCE / "third_party" / name)
    installed = Path(str(distribution("googleapis-common-protos").locate_file(name)))
    return next((path for path in kept if path.is_file()), installed)


def licence() -> str:
    """The text of the licence under which the mesh's own are."""
    return distribution("verbund").read_text("licenses/LICENSE") or ""


def zipped(files: Mapping[str, bytes]) -> bytes:
    """The files as a ZIP that depends on their paths and contents alone."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for path, content in files.items():
            entry = zipfile.ZipInfo(path, LONG_AGO)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED, 9)
    return target.getvalue()
