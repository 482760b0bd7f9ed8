"""The processes of the home: its supervisor, the parts, what a killed supervisor left; and who has the ports."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from verbund.doctor.findings import Finding, State, ok, problem, skipped, warning
from verbund.doctor.subject import Subject
from verbund.embedded import lock, ports
from verbund.embedded.home import Home
from verbund.embedded.keycloak.settings import COMMAND, DATABASE_PORT_SETTING, HOST, KeycloakSettings
from verbund.embedded.keycloak.settings import PORT_SETTING as KEYCLOAK_PORT_SETTING
from verbund.embedded.settings import (
    PORT_SETTING,
    PROVIDER_PORT_SETTING,
    QUERY_PORT_SETTING,
    address,
    provider_port,
    query_port,
)
from verbund.failure import EnvironmentFailure
from verbund.provider.settings import HOST as PROVIDER_HOST
from verbund.settings import SettingError

KEYCLOAK = "keycloak"
START = "start the mesh with `verbund up`: it ends and removes what was left."


def supervisor(subject: Subject) -> Iterator[Finding]:
    """Whether the mesh runs, and whether the home says so."""
    home = subject.home
    if home is None or not subject.mine:
        yield skipped("supervisor", "no mesh runs here: there is no home that can be looked at")
        return
    holder = holder_of(home)
    if subject.ready is not None and holder:
        yield ok("supervisor", f"the mesh runs (process {holder})")
    elif holder:
        says = f"a mesh starts or stops (process {holder}): it is not ready"
        yield warning("supervisor", says, remedy=f"wait a moment and look again; its logs are in {home.log}.")
    elif home.ready.exists():
        says = f"{home.ready} says that a mesh runs, and none does: it was killed"
        yield problem("supervisor", says, remedy=START)
    else:
        yield ok("supervisor", "no mesh runs in this home")
    left = [f"{name} ({pid})" for name, pid in leftovers(home).items()] if not holder else []
    if left:
        yield problem("leftovers", f"processes of a killed mesh still run: {', '.join(left)}", remedy=START)


def holder_of(home: Home) -> int:
    """The process that holds the home's lock, by the kernel's own list; 0 where nobody does.

    The lock itself is not tried: a supervisor that starts in that moment would be refused.
    """
    try:
        inode = home.lock.stat().st_ino
        lines = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
        held = [line for line in lines if line[1] == "FLOCK" and line[5].rpartition(":")[2] == str(inode)]
        recorded = int(home.lock.read_text())
    except (OSError, ValueError, IndexError):
        return 0
    return recorded if held and lock.alive(recorded) else 0


def leftovers(home: Home) -> dict[str, int]:
    """Processes that an earlier supervisor started, which still run."""
    try:
        entries = json.loads(home.processes.read_bytes())
        same = [entry for entry in entries if entry["started"] and lock.started(entry["pid"]) == entry["started"]]
        return {entry["name"]: entry["pid"] for entry in same}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def parts(subject: Subject) -> Iterator[Finding]:
    """Whether every process that ready.json names is there."""
    named = subject.processes()
    if subject.home is None or not named:
        return
    dead = [name for name, pid in named.items() if not lock.alive(pid)]
    if dead:
        says = f"{', '.join(dead)} of ready.json's {len(named)} processes do not run"
        remedy = f"wait a moment: the supervisor starts them again; why they ended is in {subject.home.log}."
        yield problem("processes", says, who="The operator of this machine", remedy=remedy)
    else:
        yield ok("processes", f"all {len(named)} run: {', '.join(named)}")


def listening(subject: Subject) -> Iterator[Finding]:
    """Whether the ports are free, or have the parts of this mesh."""
    environment = subject.environment_of_mesh() or subject.environment
    runs = subject.ready is not None
    try:
        gateway, provider = address(environment), provider_port(environment)
        queries = query_port(environment)
    except SettingError as error:
        remedy = "give each a number of its own; the settings above say more."
        yield problem("ports", f"the settings of the ports are wrong: {error}", remedy=remedy)
        return
    yield port_finding(subject, Port("gateway", gateway.host, gateway.port, PORT_SETTING))
    if not runs or "provider" in subject.processes():  # a mesh may run without it
        yield port_finding(subject, Port("provider", PROVIDER_HOST, provider, PROVIDER_PORT_SETTING))
    if queries:
        yield port_finding(subject, Port("traces", PROVIDER_HOST, queries, QUERY_PORT_SETTING))


def keycloak(subject: Subject) -> Iterator[Finding]:
    """Its ports, where it runs; where no mesh does, those that it would need, and then none of it is a problem yet."""
    starting = subject.ready is None
    if not starting and KEYCLOAK not in subject.processes():
        return
    try:
        settings = KeycloakSettings.of(subject.environment_of_mesh() or subject.environment)
    except SettingError as error:
        yield warning("ports-keycloak", f"`{COMMAND}` would not start: {error}", remedy="give each a port of its own.")
        return
    for port in (
        Port(KEYCLOAK, HOST, settings.port, KEYCLOAK_PORT_SETTING, command=COMMAND),
        Port("keycloak-db", HOST, settings.database_port, DATABASE_PORT_SETTING, "postgres", COMMAND),
    ):
        found = port_finding(subject, port)
        if starting and found.state is State.PROBLEM:
            says = f"{found.says}: `{COMMAND}` would not start"
            yield warning(found.check, says, who=found.who, remedy=found.remedy)
        else:
            yield found


@dataclass(frozen=True, slots=True)
class Port:
    """A port that the mesh listens on."""

    name: str
    host: str
    number: int
    setting: str
    part: str = ""
    """The part whose process listens there, where it is not called as the port is."""
    command: str = "verbund up"
    """What starts the mesh with it."""


def port_finding(subject: Subject, port: Port) -> Finding:
    """One port."""
    check, part = f"port-{port.name}", port.part or port.name
    processes = subject.processes()
    if part in processes:
        owner = ports.owner_of(port.number)
        if owner and owner[0] == processes[part]:
            return ok(check, f"{port.number} is this mesh's own (process {owner[0]})")
        whose = f"process {owner[0]} ({owner[1]}) has it" if owner else "nobody listens there"
        says = f"{port.number} ({port.setting}) is not this mesh's own: {whose}"
        return problem(check, says, remedy="stop that process if there is one, then start the mesh again.")
    try:
        ports.check(port.host, port.number, port.setting, port.command)
    except EnvironmentFailure as failure:
        return problem(check, failure.what.rstrip("."), who=failure.who, remedy=failure.remedy)
    return ok(check, f"{port.number} ({port.setting}) is free")


CHECKS = (supervisor, parts, listening, keycloak)
