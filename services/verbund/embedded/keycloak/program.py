"""Keycloak's program: fetched by Maven from its artifact, checked, unpacked and built once for all homes."""

import hashlib
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from verbund.embedded.home import SHARED_ROOT, make_shared_root
from verbund.embedded.users import ServiceUser
from verbund.failure import EnvironmentFailure

VERSION = "26.7.3"
ARTIFACT = f"org.keycloak:keycloak-quarkus-dist:{VERSION}:tar.gz"
ARCHIVE = f"keycloak-quarkus-dist-{VERSION}.tar.gz"
# Maven compares with a checksum that comes from where the file comes from; this one came with our own code.
SHA256 = "77657f30b7e90d70f727712ce1c967f430fd6a5e9f458d32d8c6df0635345f47"
COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"
# What cannot be chosen at a start. Without health and metrics there is no management port.
BUILD = ("build", "--db=postgres", "--health-enabled=false", "--metrics-enabled=false")
JAVA_VERSION_MIN = 17
FETCH_SECONDS_MAX = 1800.0
BUILD_SECONDS_MAX = 600.0
OPTION = "--idp keycloak"
OTHERWISE = "or start without it: `verbund up` has a provider of its own."


@dataclass(frozen=True, slots=True)
class Program:
    """Java, and the directory of a Keycloak that has been built."""

    java: Path
    directory: Path


def obtain(user: ServiceUser, environment: Mapping[str, str], say: Callable[[str], None]) -> Program:
    """Keycloak as it can be started; what is missing is made, which takes a minute. Raises EnvironmentFailure.

    Where root calls, root makes it for all homes of the machine, and `user` only reads and runs it.
    """
    java = find_java(environment)
    if not user.may(java, os.R_OK | os.X_OK):
        raise EnvironmentFailure(
            f"{user.name}, who runs the services, may not execute {java}.",
            remedy=f"install Java for everybody, name another with JAVA_HOME, {OTHERWISE}",
        )
    target = place(environment) / f"keycloak-{identity()}"
    if not target.exists():
        make(target, java, find_maven(environment), environment, say)
    return Program(java, target)


def identity() -> str:
    """What a build follows from: a new version, or other options, make another."""
    return f"{VERSION}-{hashlib.sha256(' '.join((SHA256, *BUILD)).encode()).hexdigest()[:12]}"


def place(environment: Mapping[str, str]) -> Path:
    """Where programs lie: with those that all homes share where root calls, otherwise in the user's cache."""
    if os.geteuid() == 0:
        return SHARED_ROOT / "programs"
    cache = environment.get("XDG_CACHE_HOME") or Path(environment.get("HOME") or Path.home()) / ".cache"
    return Path(cache) / "verbund" / "programs"


def find_java(environment: Mapping[str, str]) -> Path:
    """A Java that Keycloak runs on; raises EnvironmentFailure."""
    home = environment.get("JAVA_HOME")
    found = str(Path(home) / "bin" / "java") if home else shutil.which("java", path=environment.get("PATH"))
    version = java_version(found) if found else None
    if found is None or version is None:
        raise EnvironmentFailure(
            f"{OPTION} needs Java {JAVA_VERSION_MIN} or later, and "
            + (f"JAVA_HOME ({home}) has none." if home else "there is no `java` on the PATH."),
            remedy=f"install it (Debian: apt install openjdk-17-jre-headless), {OTHERWISE}",
        )
    if version < JAVA_VERSION_MIN:
        raise EnvironmentFailure(
            f"{OPTION} needs Java {JAVA_VERSION_MIN} or later, and {found} is Java {version}.",
            remedy=f"install a newer one, name it with JAVA_HOME, {OTHERWISE}",
        )
    return Path(found)


def java_version(java: str) -> int | None:
    """The feature release of a Java, None where it cannot say."""
    try:
        said = subprocess.run([java, "-version"], capture_output=True, text=True, check=True, timeout=30).stderr
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r'version "(\d+)', said)
    return int(found[1]) if found else None


def find_maven(environment: Mapping[str, str]) -> str:
    """Maven, which knows where artifacts come from on this machine; raises EnvironmentFailure."""
    found = shutil.which("mvn", path=environment.get("PATH"))
    if found is None:
        raise EnvironmentFailure(
            f"{OPTION} fetches Keycloak with Maven, and there is no `mvn` on the PATH.",
            remedy=f"install it (Debian: apt install maven), {OTHERWISE}",
        )
    return found


def make(target: Path, java: Path, maven: str, environment: Mapping[str, str], say: Callable[[str], None]) -> None:
    """Fetches, unpacks and builds Keycloak beside `target`, and renames it there: half of one never counts."""
    try:
        if os.geteuid() == 0:
            make_shared_root()
        target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        if os.geteuid() == 0:
            target.parent.chmod(0o755)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix="keycloak.new.") as folder:
            say(f"Keycloak {VERSION} is fetched by Maven (176 MB) …")
            archive = fetch(Path(folder), maven, environment)
            say("… unpacked and built, once for this machine …")
            built = build(unpack(archive), java, environment)
            move(built, target)
    except OSError as error:
        raise EnvironmentFailure(
            f"Keycloak could not be laid down in {target.parent}: {error.strerror or error}.",
            remedy="make room there (500 MB), or let the directory be written to.",
        ) from error


def fetch(folder: Path, maven: str, environment: Mapping[str, str]) -> Path:
    """The archive, checked by Maven and by ourselves; raises EnvironmentFailure."""
    options = ["--batch-mode", "--no-transfer-progress", "--strict-checksums"]
    command = [maven, *options, COPY, f"-Dartifact={ARTIFACT}", f"-DoutputDirectory={folder}"]
    said = run(command, folder, environment, FETCH_SECONDS_MAX)
    archive = folder / ARCHIVE
    if said is not None or not archive.exists():
        raise EnvironmentFailure(
            f"Maven could not fetch {ARTIFACT}: {said or 'it left no file'}",
            who="You, or who runs the network",
            remedy="let Maven reach a repository (its settings.xml names proxies and mirrors), and start again.",
        )
    with archive.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != SHA256:
        raise EnvironmentFailure(
            f"What Maven gave as {ARTIFACT} is not that file: its SHA-256 is {digest}, not {SHA256}.",
            who="Who runs the repository that Maven asks",
            remedy="remove the file from Maven's local repository and from any mirror, and start again.",
        )
    return archive


def unpack(archive: Path) -> Path:
    """The directory in the archive. Its members can neither leave it nor bring rights with them."""
    with tarfile.open(archive) as members:
        members.extractall(archive.parent, filter="data")
    return archive.parent / f"keycloak-{VERSION}"


def build(directory: Path, java: Path, environment: Mapping[str, str]) -> Path:
    """Has Keycloak settle what no start has to settle again; raises EnvironmentFailure."""
    given = {**environment, "JAVA": str(java)}
    said = run([str(directory / "bin" / "kc.sh"), *BUILD], directory, given, BUILD_SECONDS_MAX)
    if said is not None:
        raise EnvironmentFailure(
            f"Keycloak could not be built: {said}", who="You", remedy=f"try another Java, {OTHERWISE}"
        )
    return directory


def run(command: list[str], directory: Path, environment: Mapping[str, str], seconds_max: float) -> str | None:
    """Runs a program to its end: None where it succeeded, otherwise the last that it said."""
    try:
        done = subprocess.run(
            command,
            cwd=directory,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=seconds_max,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"it did not end within {seconds_max:.0f} s"
    if done.returncode == 0:
        return None
    errors = [line for line in done.stdout.splitlines() if "ERROR" in line] or done.stdout.splitlines()
    return (errors[0] if errors else f"exit code {done.returncode}").strip()


def move(built: Path, target: Path) -> None:
    """Puts a build in its place, readable for all and writable for its owner."""
    for path in (built, *built.rglob("*")):
        path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
    try:
        built.rename(target)
    except OSError:  # another start was faster
        if not target.exists():
            raise
