"""Writes the Python stubs of every proto, checks the protos, and tells whether the committed stubs still match.

python protos/generate.py            write the stubs                                     (make generate)
python protos/generate.py --check    fail where a stub, a comment or a name is amiss     (make lint)
python protos/generate.py --accept   make today's protos the baseline of `buf breaking`  (after a release)
"""

import filecmp
import os
import subprocess
import sys
import tempfile
from importlib.metadata import distribution
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from grpc_tools import protoc
from protovalidate._gen.buf.validate import validate_pb  # the wheel carries the descriptor, not the .proto

ROOT = Path(__file__).resolve().parent.parent
PROTOS = ROOT / "protos"
BASELINE = PROTOS / "baseline.binpb"
IMAGE = "verbund.binpb"
INCLUDES = [
    str(PROTOS),
    str(Path(protoc.__file__).parent / "_proto"),
    str(distribution("googleapis-common-protos").locate_file("")),
]
IMPORTED = [f"google/protobuf/{name}.proto" for name in ("descriptor", "duration", "field_mask", "timestamp")]


def main(arguments: list[str]) -> int:
    """Runs the asked-for step; the exit code is 0 where everything matches."""
    os.environ["PATH"] = (
        f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # protoc finds its plugins there
    )
    with tempfile.TemporaryDirectory() as name:
        build = Path(name)
        validate, sources, image = write_validate(build), all_sources(), build / IMAGE
        write_image(image, sources, validate)
        if "--accept" in arguments:
            return accept(sources, validate)
        if "--check" not in arguments:
            return write_stubs(ROOT / "services", sources, validate)
        return check(build, image, sources, validate)


def all_sources() -> list[str]:
    """Every proto of ours, by its path from protos/."""
    return sorted(str(path.relative_to(PROTOS)) for path in (PROTOS / "verbund").rglob("*.proto"))


def write_image(image: Path, sources: list[str], validate: Path) -> None:
    """Writes the descriptors of the protos and of what they import, with their comments."""
    run_protoc([f"--descriptor_set_out={image}", "--include_imports", "--include_source_info"], sources, validate)


def described(build: Path) -> FileDescriptorSet:
    """The protos with their comments; `build` is an empty directory."""
    write_image(build / IMAGE, all_sources(), write_validate(build))
    return FileDescriptorSet.FromString((build / IMAGE).read_bytes())


def write_validate(build: Path) -> Path:
    """Writes the descriptor of buf/validate/validate.proto, with those it imports, as a FileDescriptorSet."""
    path = build / "validate.binpb"
    includes = [f"-I{include}" for include in INCLUDES]
    if protoc.main(["protoc", *includes, "--include_imports", f"--descriptor_set_out={path}", *IMPORTED]):
        raise SystemExit("protoc failed on google/protobuf")
    found = FileDescriptorSet.FromString(path.read_bytes())
    found.file.add().ParseFromString(validate_pb.desc().proto.to_binary())
    path.write_bytes(found.SerializeToString())
    return path


def run_protoc(outputs: list[str], sources: list[str], validate: Path) -> None:
    """Runs protoc over the sources, with buf/validate from its descriptor and everything else from .proto files."""
    includes = [f"-I{include}" for include in INCLUDES]
    if code := protoc.main(["protoc", *includes, f"--descriptor_set_in={validate}", *outputs, *sources]):
        raise SystemExit(code)


def write_stubs(target: Path, sources: list[str], validate: Path) -> int:
    """Writes stubs and their type stubs below `target`."""
    target.mkdir(parents=True, exist_ok=True)
    # A service's file alone needs the gRPC stub; a *_pb2_grpc.py without one would only be noise.
    services = [source for source in sources if "\nservice " in (PROTOS / source).read_text()]
    run_protoc([f"--python_out={target}", f"--mypy_out=quiet:{target}"], sources, validate)
    run_protoc([f"--grpc_python_out={target}", f"--mypy_grpc_out=quiet:{target}"], services, validate)
    run_protoc([f"--python_out={target}", f"--mypy_out=quiet:{target}"], ["buf/validate/validate.proto"], validate)
    return 0


def check(build: Path, image: Path, sources: list[str], validate: Path) -> int:
    """Formats, lints and compares; prints each finding and what mends it."""
    selected = ["--path", "verbund", "--config", str(PROTOS / "buf.yaml")]
    failures = buf("lint", str(image), *selected) + buf(
        "format", "--diff", "--exit-code", "--path", str(PROTOS / "verbund"), str(PROTOS)
    )
    failures += buf("breaking", str(image), "--against", str(BASELINE), *selected)
    fresh = build / "stubs"
    write_stubs(fresh, sources, validate)
    for path in sorted(fresh.rglob("*.py*")):
        committed = ROOT / "services" / path.relative_to(fresh)
        if not committed.exists() or not filecmp.cmp(path, committed, shallow=False):
            sys.stderr.write(f"{committed.relative_to(ROOT)} is not what the protos say: run `make generate`\n")
            failures += 1
    return 1 if failures else 0


def buf(*arguments: str) -> int:
    """Runs buf; its exit code."""
    return subprocess.run([str(Path(sys.executable).parent / "buf"), *arguments], check=False).returncode


def accept(sources: list[str], validate: Path) -> int:
    """Writes the baseline that later protos are compared with."""
    run_protoc([f"--descriptor_set_out={BASELINE}", "--include_imports"], sources, validate)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
