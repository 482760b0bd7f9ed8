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

from grpc_tools import protoc
from protovalidate._gen.buf.validate import validate_pb  # the wheel carries the descriptor, not the .proto

ROOT = Path(__file__).resolve().parent.parent
PROTOS = ROOT / "protos"
BASELINE = PROTOS / "baseline.binpb"
INCLUDES = [str(PROTOS), str(Path(protoc.__file__).parent / "_proto"), str(distribution("googleapis-common-protos").locate_file(""))]


def main(arguments: list[str]) -> int:
    """Runs the asked-for step; the exit code is 0 where everything matches."""
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # protoc finds its plugins there
    with tempfile.TemporaryDirectory() as name:
        build = Path(name)
        validate = write_validate(build)
        sources = sorted(str(path.relative_to(PROTOS)) for path in PROTOS.rglob("*.proto"))
        image = build / "verbund.binpb"
        run_protoc([f"--descriptor_set_out={image}", "--include_imports", "--include_source_info"], sources, validate)
        if "--accept" in arguments:
            return accept(sources, validate)
        if "--check" not in arguments:
            return write_stubs(ROOT / "services", sources, validate)
        return check(build, image, sources, validate)


def write_validate(build: Path) -> Path:
    """Writes the descriptor of buf/validate/validate.proto as a FileDescriptorSet, with the file it imports."""
    own = validate_pb.desc().proto.to_binary()
    path = build / "validate.binpb"
    imported = build / "imported.binpb"
    if protoc.main(["protoc", *[f"-I{i}" for i in INCLUDES], "--include_imports", f"--descriptor_set_out={imported}", "google/protobuf/duration.proto",
                    "google/protobuf/timestamp.proto", "google/protobuf/descriptor.proto", "google/protobuf/field_mask.proto"]):
        raise SystemExit("protoc failed on google/protobuf")
    path.write_bytes(imported.read_bytes() + b"\x0a" + varint(len(own)) + own)
    return path


def varint(value: int) -> bytes:
    """The length prefix of a proto field."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def run_protoc(outputs: list[str], sources: list[str], validate: Path) -> None:
    """Runs protoc over the sources, with buf/validate from its descriptor and everything else from .proto files."""
    code = protoc.main(["protoc", *[f"-I{include}" for include in INCLUDES], f"--descriptor_set_in={validate}", *outputs, *sources])
    if code:
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
    buf = str(Path(sys.executable).parent / "buf")
    config = ["--config", str(PROTOS / "buf.yaml")]
    failures = subprocess.run([buf, "lint", str(image), "--path", "verbund", *config], check=False).returncode
    failures += subprocess.run([buf, "format", "--diff", "--exit-code", str(PROTOS)], check=False).returncode
    if BASELINE.exists():
        failures += subprocess.run([buf, "breaking", str(image), "--against", str(BASELINE), "--path", "verbund", *config], check=False).returncode
    fresh = build / "stubs"
    write_stubs(fresh, sources, validate)
    for path in sorted(fresh.rglob("*.py*")):
        committed = ROOT / "services" / path.relative_to(fresh)
        if not committed.exists() or not filecmp.cmp(path, committed, shallow=False):
            print(f"{committed.relative_to(ROOT)} is not what the protos say: run `make generate`", file=sys.stderr)
            failures += 1
    return 1 if failures else 0


def accept(sources: list[str], validate: Path) -> int:
    """Writes the baseline that later protos are compared with."""
    run_protoc([f"--descriptor_set_out={BASELINE}", "--include_imports"], sources, validate)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
