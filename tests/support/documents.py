"""The documents of the repository, and what they claim that can be looked up."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    [
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")),
        *(ROOT / "docs").rglob("*.md"),
    ]
)
TOP = ("services/", "gateway/", "protos/", "docs/", "tests/", "deploy/", ".ci/")
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")
NOT_A_PATH = re.compile(r"[\s…*<>{}$]")


@cache
def text_of(document: Path) -> str:
    """A document without its fenced blocks."""
    return FENCED.sub("", document.read_text())


def links(document: Path) -> Iterator[tuple[Path, str]]:
    """The links to other files and to headings: the file, and the heading's anchor or nothing."""
    for target in LINK.findall(text_of(document)):
        if "://" not in target:
            path, _, anchor = target.partition("#")
            yield (document.parent / path if path else document), anchor


def places(document: Path) -> Iterator[tuple[str, str]]:
    """The paths in the repository that the text names, each with a name in that file or nothing."""
    for code in CODE.findall(text_of(document)):
        if code.startswith(TOP) and not NOT_A_PATH.search(code):
            path, _, name = code.partition(":")
            yield path, name


def anchors(document: Path) -> set[str]:
    """The anchors of a document's headings, as code forges make them."""
    headings = re.findall(r"^#+ (.+)$", text_of(document), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@cache
def names_in(module: Path) -> frozenset[str]:
    """What a Python file defines at its top, and in its classes as `Class.name`."""
    found: set[str] = set()
    for node in ast.parse(module.read_text()).body:
        found |= defined_by(node)
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{inner}" for member in node.body for inner in defined_by(member)}
    return frozenset(found)


def defined_by(node: ast.stmt) -> set[str]:
    """The names that one statement defines."""
    match node:
        case ast.FunctionDef() | ast.ClassDef():
            return {node.name}
        case ast.Assign():
            return {target.id for target in node.targets if isinstance(target, ast.Name)}
        case ast.AnnAssign(target=ast.Name() as target):
            return {target.id}
    return set()
