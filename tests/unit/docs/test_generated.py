"""The documents that are derived are what their sources say; what is written by hand names only what exists."""

import importlib.util
import re
import sys
from dataclasses import fields
from pathlib import Path
from types import ModuleType

import pytest
from verbund.commands import COMMANDS
from verbund.errors.v1 import reason_pb2
from verbund.serving.status import advice_of

from tests.support.documents import DOCUMENTS, ROOT

# Variables that are no field of a settings class.
OTHERS = {"VERBUND_HOME", "VERBUND_DATABASE_ADMIN_DSN", "VERBUND_REQUIRE_ALL"}


def generator() -> ModuleType:
    """docs/generate.py, which is a script."""
    specification = importlib.util.spec_from_file_location("generate_docs", ROOT / "docs" / "generate.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[module.__name__] = module
    specification.loader.exec_module(module)
    return module


GENERATE = generator()


def name_of(document: Path) -> str:
    return str(document.relative_to(ROOT))


@pytest.mark.parametrize("document", GENERATE.documents(), ids=name_of)
def test_derived_documents_are_up_to_date(document: Path) -> None:
    """A changed reason, rule or setting is in the documentation: `make generate` writes it."""
    assert document.read_text() == GENERATE.documents()[document], "run `make generate`"


@pytest.mark.parametrize("reason", reason_pb2.Reason.keys()[1:])
def test_reasons_advise(reason: str) -> None:
    """Every reason says its code, what happened, who can remove the cause and how; and gives an example."""
    advice = advice_of(reason.removeprefix("REASON_"))
    assert advice.code in GENERATE.HTTP_OF_CODE
    assert advice.message.endswith(".")
    assert advice.remedy.endswith(".")
    assert advice.fixer != reason_pb2.FIXER_UNSPECIFIED
    assert "Example:" in GENERATE.comment_of("verbund/errors/v1/reason.proto", f"{reason} =")


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_variables_exist(document: Path) -> None:
    """A VERBUND_… variable that a document names is one that the code reads."""
    known = {prefix + field.name.upper() for _, prefix, kind in GENERATE.SETTINGS for field in fields(kind)} | OTHERS
    named = set(re.findall(r"VERBUND_[A-Z]+_[A-Z_]*[A-Z](?![A-Z_…])", document.read_text()))
    assert named <= known


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_commands_exist(document: Path) -> None:
    """A `verbund` command or `make` target that a document names is one."""
    code = "\n".join(re.findall(r"`[^`\n]+`|^```.*?^```$", document.read_text(), re.MULTILINE | re.DOTALL))
    targets = set(re.findall(r"^([a-z0-9]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:^|[`/ (])verbund ([a-z]+)", code)) <= set(COMMANDS)
    assert set(re.findall(r"(?:^|[`])make ([a-z0-9]+)", code, re.MULTILINE)) <= targets


def test_comments_of_settings_are_complete() -> None:
    """Every setting is explained."""
    for _, _, kind in GENERATE.SETTINGS:
        comments = GENERATE.comments_of(kind)
        assert all(comments[field.name] for field in fields(kind))
