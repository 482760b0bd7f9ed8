"""The checks in their order. What a client lacks to make one is said, and stops no other."""

from collections.abc import Callable, Iterator
from importlib import import_module

from verbund.doctor.findings import Finding, problem, skipped
from verbund.doctor.installation import INSTALL_SERVER
from verbund.doctor.subject import Subject

Check = Callable[[Subject], Iterator[Finding]]

# Modules, imported one by one: some need packages that a client does not have.
GROUPS = (
    "verbund.doctor.machine",
    "verbund.doctor.installation",
    "verbund.doctor.configuration",
    "verbund.doctor.directory",
    "verbund.doctor.processes",
    "verbund.doctor.gateway",
    "verbund.doctor.workers",
    "verbund.doctor.stores",
)


def examine(subject: Subject) -> Iterator[Finding]:
    """Every finding, as it is made."""
    for name in GROUPS:
        group = name.rpartition(".")[2]
        try:
            checks: tuple[Check, ...] = import_module(name).CHECKS
        except ImportError as error:
            yield skipped(group, f"needs the package {error.name}: {INSTALL_SERVER}")
            continue
        for check in checks:
            yield from guarded(check, subject)


def guarded(check: Check, subject: Subject) -> Iterator[Finding]:
    """The findings of a check; one that fails is a finding itself, and the others go on."""
    try:
        yield from check(subject)
    except Exception as error:  # noqa: BLE001 - whatever is wrong with the machine, the report must be made
        name = check.__name__.replace("_", "-")
        says = f"could not be looked at: {type(error).__name__}: {error}"
        yield problem(name, says, who="The operator of this machine", remedy="see what the message names.")
