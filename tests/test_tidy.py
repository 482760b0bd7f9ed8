"""The house style, executable: what a review would otherwise have to look for."""

import ast
import re
import statistics
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from verbund.policy import catalogue

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "services" / "verbund"
GENERATED = re.compile(r"_pb2(_grpc)?\.pyi?$|services/buf/|^protos/third_party/")
AREAS = tuple(catalogue.AREAS)
# Where SQL may be run: the doors and the migrations, and the traces' own SQLite; asking whether PostgreSQL answers.
CURSORS = ("services/verbund/database/", "services/verbund/traces/", "services/verbund/embedded/postgres.py")
WORDS_BANNED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
NAMES_BANNED = {"utils", "util", "common", "helpers", "helper", "manager", "base", "misc"}


@cache
def files() -> tuple[Path, ...]:
    """Every file of the project; generated ones and those of others are left out."""
    command = ["git", "ls-files", "-co", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    return tuple(ROOT / name for name in listed if name and not GENERATED.search(name) and (ROOT / name).is_file())


def name_of(path: Path) -> str:
    """A file's name from the root."""
    return str(path.relative_to(ROOT))


def sources(*folders: str) -> list[Path]:
    """The Python files below the folders."""
    return [path for path in files() if path.suffix == ".py" and name_of(path).startswith(folders)]


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """The functions of a file, and how many lines each has."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{name_of(path)}:{node.lineno} {node.name}", (node.end_lineno or node.lineno) - node.lineno + 1


def imports(path: Path) -> set[str]:
    """The modules that a file imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def test_a_function_fits_a_screen() -> None:
    """Median at most 10 lines, nine of ten at most 35, none over 70."""
    found = [each for path in sources("services/", "gateway/", "protos/") for each in functions(path)]
    lengths = sorted(length for _, length in found)
    assert not [name for name, length in found if length > 70]
    assert statistics.median(lengths) <= 10
    assert lengths[int(len(lengths) * 0.9)] <= 35


def test_a_file_is_read_in_one_go() -> None:
    """Median at most 150 lines, nine of ten at most 400."""
    lengths = sorted(path.read_text().count("\n") for path in sources("services/", "gateway/"))
    assert statistics.median(lengths) <= 150
    assert lengths[int(len(lengths) * 0.9)] <= 400
    assert lengths[-1] <= 600


def test_sql_runs_behind_the_doors_only() -> None:
    """The organisation, the idempotency key and the evidence intents cannot be forgotten: there is no other way in."""
    driver = re.compile(r"\bpsycopg\.connect|\.cursor\(|ConnectionPool|Connection\.connect")
    outside = [path for path in sources("services/", "gateway/") if not name_of(path).startswith(CURSORS)]
    assert not [name_of(path) for path in outside if driver.search(path.read_text())]


def test_the_domain_knows_neither_wire_nor_driver() -> None:
    """Rules can be read and tested without either."""
    for path in sources(*(f"services/verbund/{area}/" for area in AREAS)):
        if path.name in {"domain.py", "records.py"}:
            found = {module.split(".")[0] for module in imports(path)}
            assert not found & {"grpc", "psycopg", "psycopg_pool", "starlette"}, name_of(path)


def test_areas_are_alike() -> None:
    """Who knows one area's files knows where to look in the next."""
    for area in AREAS:
        kept = ("schema.sql", "migrations") if catalogue.AREAS[area] else ()  # pages keep nothing
        for name in ("__init__.py", "main.py", "settings.py", *kept):
            assert (PACKAGE / area / name).exists(), f"{area}/{name}"
        for servicer in (PACKAGE / area).glob("*/servicer.py"):
            siblings = {path.name for path in servicer.parent.iterdir()}
            stores = {"domain.py", "store.py"} if "database" in servicer.read_text() else set()
            assert {"servicer.py", *stores} <= siblings, servicer.parent


@pytest.mark.parametrize("area", [*AREAS, "evidence"])
def test_an_area_says_what_it_owns_and_imports_nothing(area: str) -> None:
    """The first thing one reads of an area is one paragraph."""
    path = PACKAGE / area / "__init__.py"
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree)
    assert len(tree.body) == 1


def test_statements_name_their_columns() -> None:
    """A column that is added later does not change what old code reads."""
    star = re.compile(r"SELECT\s+(\w+\.)?\*", re.IGNORECASE)
    for path in files():
        if path.suffix in {".py", ".sql"} and name_of(path).startswith("services/"):
            assert not star.search(path.read_text()), name_of(path)


def test_nothing_is_left_to_do_and_modules_are_nouns() -> None:
    """Work that is owed stands in an issue; a module that does everything has no name."""
    for path in files():
        if path.suffix in {".py", ".proto", ".sql", ".md", ".yaml"} and path != Path(__file__):
            assert not WORDS_BANNED.search(path.read_text()), name_of(path)
        assert path.stem not in NAMES_BANNED, name_of(path)


def test_no_machine_and_no_index_is_named() -> None:
    """What is committed works on every machine."""
    machine = re.compile(r"(?<![\w.])/(?:work|farm)/|/root/")
    address = re.compile(r"(index-url|find-links|resolved)\W+(https?:|/)")
    for path in files():
        if path.suffix in {".py", ".md", ".toml", ".lock", ".yaml", ".sh", ""} and path != Path(__file__):
            text = path.read_text()
            assert not machine.search(text), name_of(path)
            assert not address.search(text), name_of(path)


def test_every_rpc_has_a_rule_and_the_rule_a_role() -> None:
    """What has no rule is not routed, and a permission that nobody holds is a mistake."""
    from verbund.policy.roles import PERMISSIONS_OF, roles_holding  # noqa: PLC0415

    rules = [*catalogue.rules().values(), *(route.rule for route in catalogue.HTTP_ROUTES)]
    assert rules
    stated = {rule.permission for rule in rules if rule.permission}
    assert not {permission for permission in stated if not roles_holding(permission)}
    held = frozenset().union(*PERMISSIONS_OF.values())
    assert held <= stated, f"no rule asks for {held - stated}"


def test_tests_use_real_parts() -> None:
    """At most one test file in ten has a mock in it."""
    tests = [path for path in sources("tests/") if path.name.startswith("test_")]
    mocked = [path for path in tests if "unittest.mock" in path.read_text() or "MagicMock" in path.read_text()]
    assert len(mocked) * 10 <= len(tests)


def test_every_test_says_what_it_promises() -> None:
    """A docstring, so that whoever breaks it knows what was lost."""
    for path in sources("tests/"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                assert ast.get_docstring(node), f"{name_of(path)}:{node.lineno} {node.name}"
