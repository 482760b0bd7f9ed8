"""The home directory: everything that `verbund up` keeps, 0700 of the user who runs the parts."""

import hashlib
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from verbund.embedded.users import ServiceUser, caller, system_user, user_of
from verbund.failure import EnvironmentFailure

SHARED_ROOT = Path("/var/lib/verbund")
MARKER = "lock"
"""The file that tells a home from any other directory; it is also what a running supervisor holds locked."""

SOCKET_PATH_BYTES_MAX = 107
SOCKET_NAME_BYTES_MAX = 26  # "/registry-99.http.sock" and the names of whatever else comes
PLAIN_PATH = re.compile(r"[A-Za-z0-9/._-]+")

FOLDERS = ("blobs", "gateway", "keys", "log", "provider", "published", "tls", "traces")


@dataclass(frozen=True, slots=True)
class Home:
    """A prepared home. `named` is the path the user chose, `path` the directory behind it."""

    named: Path
    path: Path
    user: ServiceUser
    run: Path

    @property
    def lock(self) -> Path:
        """Held locked by the supervisor."""
        return self.path / MARKER

    @property
    def ready(self) -> Path:
        """There while the mesh is ready."""
        return self.path / "ready.json"

    @property
    def processes(self) -> Path:
        """Who was started, for the next supervisor if this one is killed."""
        return self.path / "processes.json"

    @property
    def postgres(self) -> Path:
        """PostgreSQL's data directory."""
        return self.path / "postgres"

    @property
    def traces(self) -> Path:
        """The spans of the last days."""
        return self.path / "traces" / "traces.sqlite"

    @property
    def blobs(self) -> Path:
        """The contents of documents."""
        return self.path / "blobs"

    @property
    def keys(self) -> Path:
        """Private keys of systems, one JWK a file."""
        return self.path / "keys"

    @property
    def provider(self) -> Path:
        """The accounts and keys of the built-in provider: not the mesh's, but those of organisations at home."""
        return self.path / "provider"

    @property
    def tls(self) -> Path:
        """The local certificate authority, the gateway's certificate and the built-in provider's."""
        return self.path / "tls"

    @property
    def log(self) -> Path:
        """One log a part."""
        return self.path / "log"

    @property
    def published(self) -> Path:
        """What identity publishes: the verification keys and the revocations."""
        return self.path / "published"

    @property
    def gateway(self) -> Path:
        """Envoy's configuration."""
        return self.path / "gateway"

    def key_file(self, system: str) -> Path:
        """Where the private key of the system `organisations/…/systems/…` lies."""
        return self.keys / f"{system.replace('/', '.')}.json"

    def system_of(self, key_file: Path) -> str:
        """The system whose private key `key_file` is."""
        return key_file.name.removesuffix(".json").replace(".", "/")


def choose(environment: Mapping[str, str], data_dir: Path | None) -> Path:
    """The home's path by option, by VERBUND_HOME, or the default; absolute, links not followed."""
    stated = data_dir or (Path(environment["VERBUND_HOME"]) if environment.get("VERBUND_HOME") else None)
    default = Path(environment.get("HOME") or Path.home()) / ".local" / "share" / "verbund"
    return Path(os.path.abspath((stated or default).expanduser()))  # noqa: PTH100 - resolve() would follow the link


def present(named: Path | None) -> Home:
    """The home that a command's option or VERBUND_HOME names, as it stands; raises EnvironmentFailure."""
    return find(choose(os.environ, named))


def find(named: Path) -> Home:
    """The home at `named` as it stands, for commands that talk to a running mesh; nothing is made."""
    try:
        path = named.resolve(strict=True)
        user = user_of(path.stat().st_uid)
    except OSError:
        raise EnvironmentFailure(
            f"There is no home of Verbund in {named}.", remedy="start the mesh with `verbund up`, or set VERBUND_HOME."
        ) from None
    return Home(named, path, user, runtime_directory(path, user.uid))


def prepare(named: Path) -> Home:
    """Makes the home with all folders, or takes the one that is there; raises EnvironmentFailure."""
    try:
        path, user = prepare_as_root(named) if os.geteuid() == 0 else (prepare_as_user(named), caller())
        home = Home(named, path, user, runtime_directory(path, user.uid))
        with user.acting():
            path.chmod(0o700)
            for folder in FOLDERS:
                (path / folder).mkdir(mode=0o700, exist_ok=True)
            make_private(home.run, user)
            os.close(os.open(home.lock, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o600))
    except OSError as error:
        raise EnvironmentFailure(
            f"The home directory {named} cannot be used: {error.strerror or error} ({error.filename}).",
            remedy="choose another one with --data-dir or VERBUND_HOME.",
        ) from error
    return home


def prepare_as_user(named: Path) -> Path:
    """The directory of an ordinary user."""
    named.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = named.resolve()
    check_owner(named, path, os.geteuid())
    check_content(named, path)
    return path


def prepare_as_root(named: Path) -> tuple[Path, ServiceUser]:
    """The directory and its user, where root calls: an existing home keeps its owner, a new one gets `verbund`."""
    present = named.resolve() if named.exists() else None
    if present is not None:
        check_content(named, present)
        owner = present.stat().st_uid
        if owner != 0:
            return present, user_of(owner)
    user = system_user()
    named.parent.mkdir(parents=True, exist_ok=True)
    target = present or named.parent.resolve() / named.name
    if user.may(target.parent, os.X_OK):
        target.mkdir(mode=0o700, exist_ok=True)
    else:
        target = place_elsewhere(named)
    if any(target.iterdir()):
        raise EnvironmentFailure(
            f"The home directory {named} belongs to root, and PostgreSQL does not run as root.",
            remedy=f"give it to another user (chown -R {user.name} {target}), or choose another with --data-dir.",
        )
    os.chown(target, user.uid, user.gid, follow_symlinks=False)
    return target, user


def place_elsewhere(named: Path) -> Path:
    """A directory that the system user can reach, with a link to it at `named`, which lies behind a closed door."""
    target = SHARED_ROOT / hashlib.sha256(os.fsencode(named)).hexdigest()[:12]
    make_shared_root()
    target.mkdir(mode=0o700, exist_ok=True)
    if named.is_symlink():
        named.unlink()  # its target is gone, or it would be the home
    elif named.exists():
        named.rmdir()  # empty: check_content has looked
    named.symlink_to(target)
    return target


def make_shared_root() -> None:
    """Makes /var/lib/verbund: everybody may pass through, whatever root's umask says."""
    SHARED_ROOT.mkdir(parents=True, exist_ok=True)
    SHARED_ROOT.chmod(0o755)


def check_owner(named: Path, path: Path, uid: int) -> None:
    """Refuses another user's directory."""
    owner = path.stat().st_uid
    if owner != uid:
        raise EnvironmentFailure(
            f"The home directory {named} belongs to {user_of(owner).name}, not to you.",
            remedy="choose another one with --data-dir or VERBUND_HOME.",
        )


def check_content(named: Path, path: Path) -> None:
    """Refuses a directory that holds something else: a home is made private, and cleaned up."""
    if any(path.iterdir()) and not (path / MARKER).exists():
        raise EnvironmentFailure(
            f"{named} is not empty, and it is no home of Verbund.",
            remedy="name an empty or a new directory with --data-dir or VERBUND_HOME.",
        )


def runtime_directory(path: Path, uid: int) -> Path:
    """Where the sockets lie: below the home, or in /tmp where the path is too long for a socket or needs quoting."""
    inside = path / "run"
    fits = len(os.fsencode(inside)) + SOCKET_NAME_BYTES_MAX <= SOCKET_PATH_BYTES_MAX
    if fits and PLAIN_PATH.fullmatch(str(inside)):
        return inside
    return Path(f"/tmp/verbund-{uid}-{hashlib.sha256(os.fsencode(path)).hexdigest()[:12]}")  # noqa: S108 - checked 0700


def make_private(directory: Path, user: ServiceUser) -> None:
    """Makes a 0700 directory; refuses one that somebody else has put there before."""
    directory.mkdir(mode=0o700, exist_ok=True)
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != user.uid:
        raise EnvironmentFailure(
            f"{directory}, where the sockets are to lie, belongs to somebody else.",
            who="The operator of this machine",
            remedy="remove it, or choose another home with --data-dir.",
        )
    directory.chmod(0o700)
