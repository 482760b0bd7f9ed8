"""The protos that are given away can be compiled by tools of other makers, with nothing beside them."""

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from grpc_tools import protoc
from protovalidate._gen.buf.validate import validate_pb
from verbund.policy import catalogue
from verbund.protos.bundle import bundle, own, zipped

from tests.support.debian import program
from tests.support.home import ROOT
from tests.support.lacking import lacking
from tests.support.wheel import unpacked, wheel

__all__ = ["unpacked", "wheel"]
MAVEN = ROOT / "tests" / "support" / "maven-protos"
COMPILE_SECONDS_MAX = 500  # the first time Maven fetches some hundred files
Compile = Callable[[list[str]], int]


def files_below(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def exported(unpacked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the command of the built wheel writes, which knows nothing of the repository."""
    folder = tmp_path_factory.mktemp("exported") / "new" / "protos"
    code = "import sys; sys.path.insert(0, sys.argv.pop(1)); from verbund.__main__ import main; main()"
    command = [sys.executable, "-c", code, str(unpacked), "protos", "export", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=unpacked)
    assert (done.returncode, done.stderr) == (0, "")
    assert str(folder) in done.stdout
    return folder


def test_the_wheel_exports_what_the_repository_holds(exported: Path) -> None:
    """File by file, with the licence of each, and every proto of ours among them."""
    found = files_below(exported)
    assert found == dict(bundle())
    ours = {name for name in found if name.startswith("verbund/")}
    kept = {path.relative_to(ROOT / "protos").as_posix() for path in (ROOT / "protos" / "verbund").rglob("*.proto")}
    assert ours == kept
    assert "EUROPEAN UNION PUBLIC LICENCE" in found["LICENSE"].decode()
    assert all(line.split("`")[-2] in found for line in found["README.md"].decode().splitlines() if "Apache" in line)


def test_an_editable_install_copies_none_of_them(tmp_path: Path) -> None:
    """They are read where they are edited; a copy beside them would be old tomorrow."""
    code = "import sys; from hatchling.build import build_editable; build_editable(sys.argv[1])"
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, check=True, capture_output=True)
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as archive:
        assert not [name for name in archive.namelist() if name.endswith(".proto")]


def test_the_zip_holds_the_same_and_is_the_same_each_time(exported: Path) -> None:
    """Byte for byte, so that an ETag of it lasts."""
    first, again = zipped(bundle()), zipped(bundle())
    assert first == again
    with zipfile.ZipFile(BytesIO(first)) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == files_below(exported)


@pytest.fixture(params=["grpcio-tools", "debian"])
def compiles(request: pytest.FixtureRequest) -> Compile:
    """The compiler of two makers, new and years old."""
    if request.param == "grpcio-tools":
        return lambda arguments: int(protoc.main(["protoc", *arguments]))
    path = program("protobuf-compiler", "protoc")
    return lambda arguments: subprocess.run([str(path), *arguments], check=False, timeout=60).returncode


def test_plain_protoc_compiles_them_and_they_are_the_meshs(compiles: Compile, exported: Path, tmp_path: Path) -> None:
    """With `-I DIR` and nothing else; what comes of it is what the services were generated from."""
    image = tmp_path / "image.binpb"
    assert compiles([f"-I{exported}", "--include_imports", f"--descriptor_set_out={image}", *own()]) == 0
    compiled = {file.name: file for file in FileDescriptorSet.FromString(image.read_bytes()).file}
    for services in catalogue.AREAS.values():
        for service in services:
            served = FileDescriptorProto()
            service.file.CopyToProto(served)
            assert bare(compiled[served.name]) == served


def bare(file: FileDescriptorProto) -> FileDescriptorProto:
    """A file as stubs have it: without the names in JSON, which follow from the names."""
    waiting = list(file.message_type)
    while waiting:
        message = waiting.pop()
        waiting.extend(message.nested_type)
        for field in message.field:
            field.ClearField("json_name")
    return file


def test_every_file_of_others_compiles_too(compiles: Compile, exported: Path, tmp_path: Path) -> None:
    """google/rpc, which no proto imports, with the rest."""
    names = [name for name in files_below(exported) if name.endswith(".proto")]
    assert {"google/rpc/status.proto", "google/rpc/error_details.proto", "buf/validate/validate.proto"} <= set(names)
    assert compiles([f"-I{exported}", f"--descriptor_set_out={tmp_path / 'image.binpb'}", *names]) == 0


def test_the_rules_are_in_the_words_of_the_validator(exported: Path, tmp_path: Path) -> None:
    """buf/validate/validate.proto is of the release that checks requests here; its options are for other languages."""
    image = tmp_path / "validate.binpb"
    assert protoc.main(["protoc", f"-I{exported}", f"--descriptor_set_out={image}", "buf/validate/validate.proto"]) == 0
    (kept,) = FileDescriptorSet.FromString(image.read_bytes()).file
    used = FileDescriptorProto.FromString(validate_pb.desc().proto.to_binary())
    for file in (kept, used):
        file.ClearField("options")
    assert kept == used


def test_what_is_googles_is_unchanged() -> None:
    """Where it differs, copy it anew from grpcio-tools: the README in the export says that it is from there."""
    theirs = Path(str(protoc.__file__)).parent / "_proto"
    kept = ROOT / "protos" / "third_party"
    for path in (kept / "google").rglob("*.proto"):
        assert path.read_bytes() == (theirs / path.relative_to(kept)).read_bytes(), path.name


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    """In a sentence, with the way out."""
    (tmp_path / "file").touch()
    command = [sys.executable, "-m", "verbund", "protos", "export", str(tmp_path / "file" / "below")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "You can mend this: name a directory that you may write to." in done.stderr


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of a Java shop."""
    if shutil.which("javac") is None:
        program("default-jdk-headless", "javac")
    return Path(shutil.copytree(MAVEN, tmp_path / "project"))


@pytest.mark.timeout(600)
def test_mavens_plugin_compiles_them_and_javac_what_it_writes(exported: Path, project: Path) -> None:
    """With protoc and grpc-java's plugin as Maven fetches them; a class of the project uses a stub."""
    maven = str(program("maven", "mvn"))
    told = ["-q", "-B", "-ntp", f"-Dprotos.directory={exported}"]
    done = subprocess.run(
        [maven, *told, "compile"],
        cwd=project,
        env=os.environ | {"MAVEN_OPTS": "-Xmx1g"},
        capture_output=True,
        text=True,
        timeout=COMPILE_SECONDS_MAX,
        check=False,
    )
    if "Could not transfer" in done.stdout or "Unknown host" in done.stdout:
        lacking(f"Maven's packages cannot be had here: {done.stdout.splitlines()[-1]}")
    assert done.returncode == 0, done.stdout
    classes = {path.relative_to(project / "target" / "classes").as_posix() for path in project.rglob("*.class")}
    assert {"example/FirstStubs.class", "verbund/registry/v1/ProjectServiceGrpc.class"} <= classes
    assert not [name for name in classes if name.startswith("com/google")], "protobuf-java and grpc-protobuf have those"
