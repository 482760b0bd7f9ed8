"""Settings: variables that nobody reads, and values that nobody can."""

import difflib
import pkgutil
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any, get_type_hints

import verbund
from verbund import settings as loader
from verbund.doctor.findings import Finding, ok, problem
from verbund.doctor.subject import Subject

# Read beside the areas' settings: the home, the stage, the database that `verbund migrate` is given, a switch of the
# tests.
OTHERS = {"VERBUND_HOME", "VERBUND_EMBEDDED_STAGE", "VERBUND_DATABASE_ADMIN_DSN", "VERBUND_REQUIRE_ALL"}
# What `verbund env` prints for other tools: a shell that has them has no mistake in it.
PRINTED = {
    "VERBUND_GATEWAY",
    "VERBUND_CA",
    "VERBUND_SYSTEM",
    "VERBUND_KEY",
    "VERBUND_TOKEN",
    "VERBUND_TOKEN_EXPIRE_TIME",
}
TESTS = "VERBUND_TEST_"
CLOSE = 0.75


def variables(subject: Subject) -> Iterator[Finding]:
    """The caller's variables, and those that the running mesh was started with."""
    mesh = subject.environment_of_mesh()
    own = list(wrong(subject.environment, "settings"))
    yield from own
    if mesh and mesh != subject.environment:
        yield from (finding for finding in wrong(mesh, "settings-mesh") if finding.says not in {f.says for f in own})
    if not own:
        count = sum(name.startswith("VERBUND_") for name in subject.environment)
        yield ok("settings", f"{count} variables VERBUND_..., each one known" if count else "the defaults")


def wrong(environment: Mapping[str, str], check: str) -> Iterator[Finding]:
    """What is amiss in an environment. Values are never shown: one may be a secret in the wrong place."""
    whose = " of the running mesh" if check.endswith("mesh") else ""
    kinds = known()
    for name in sorted(environment):
        if not name.startswith("VERBUND_") or name.startswith(TESTS) or name in OTHERS | PRINTED:
            continue
        if name not in kinds:
            if name.startswith(tuple(unreadable())):
                continue
            like = difflib.get_close_matches(name, [*kinds, *OTHERS], 1, CLOSE)
            remedy = f"call it {like[0]}." if like else "unset it; docs/operations.md names every setting."
            yield problem(check, f"nobody reads {name}{whose}", remedy=remedy)
            continue
        try:
            loader.read(name, environment[name], kinds[name])
        except loader.SettingError:
            takes = loader.describe(kinds[name])
            yield problem(check, f"{name}{whose} takes {takes}, and has something else", remedy=f"give it {takes}.")


@cache
def known() -> Mapping[str, Any]:
    """Every setting with its type: the fields of the settings classes, found where each area has them."""
    found: dict[str, Any] = {}
    for package, module in modules():
        try:
            classes = vars(import_module(module)).values()
        except ModuleNotFoundError:  # it needs a package of the extra 'server'
            continue
        for kind in classes:
            if is_dataclass(kind) and isinstance(kind, type) and kind.__module__ == module:
                hints = get_type_hints(kind)
                found |= {f"{prefix_of(package)}{field.name.upper()}": hints[field.name] for field in fields(kind)}
    return found


@cache
def unreadable() -> tuple[str, ...]:
    """The prefixes of areas whose settings need a package that is not installed here."""
    prefixes = {prefix_of(package) for package, _ in modules()}
    return tuple(prefix for prefix in prefixes if not any(name.startswith(prefix) for name in known()))


def modules() -> Iterator[tuple[str, str]]:
    """The areas that have settings, each with the module."""
    for entry in pkgutil.iter_modules(verbund.__path__):
        if entry.ispkg and find_spec(f"verbund.{entry.name}.settings"):
            yield entry.name, f"verbund.{entry.name}.settings"
    yield "keycloak", "verbund.embedded.keycloak.settings"
    yield "gateway", "verbund_gateway.settings"


def prefix_of(package: str) -> str:
    """How the variables of an area begin."""
    return f"VERBUND_{package.upper()}_"


CHECKS = (variables,)
