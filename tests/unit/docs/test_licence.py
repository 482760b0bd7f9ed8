"""What a reuser needs to know by law is there, complete, and the same everywhere."""

import re
import tomllib
from typing import Any

import pytest
import yaml

from tests.support.documents import ROOT

LICENCE = (ROOT / "LICENSE").read_text()
DESCRIBED: dict[str, Any] = yaml.safe_load((ROOT / "publiccode.yml").read_text())
SHORT_MAX, LONG_MIN, LONG_MAX = 150, 150, 10_000


def test_licence_is_complete() -> None:
    """LICENSE is the EUPL 1.2 with its fifteen articles and its appendix."""
    assert LICENCE.startswith("EUROPEAN UNION PUBLIC LICENCE v. 1.2\n")
    assert [int(number) for number in re.findall(r"^(\d+)\.[A-Z]", LICENCE, re.MULTILINE)] == list(range(1, 16))
    assert re.search(r"^ +Appendix$", LICENCE, re.MULTILINE)
    assert LICENCE.rstrip().endswith("require the production of a new EUPL version.")


def test_licence_is_named_alike() -> None:
    """Package, catalogue entry and README name the same licence."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["license"] == DESCRIBED["legal"]["license"] == "EUPL-1.2"
    assert "EUPL-1.2" in (ROOT / "README.md").read_text()


def test_publiccode_has_what_the_standard_asks_for() -> None:
    """publiccode.yml has the mandatory keys of version 0.4, with values that the standard allows."""
    assert DESCRIBED["publiccodeYmlVersion"] == "0.4"
    assert DESCRIBED["name"]
    assert DESCRIBED["url"].startswith("https://")
    assert DESCRIBED["platforms"]
    assert DESCRIBED["categories"]
    assert DESCRIBED["developmentStatus"] in {"concept", "development", "beta", "stable", "obsolete"}
    assert DESCRIBED["softwareType"] == "standalone/backend"
    assert isinstance(DESCRIBED["localisation"]["localisationReady"], bool)
    assert DESCRIBED["localisation"]["availableLanguages"]
    maintenance = DESCRIBED["maintenance"]
    assert maintenance["type"] in {"internal", "contract", "community", "none"}
    assert maintenance["type"] == "none" or maintenance["contacts"] or maintenance["contractors"]


@pytest.mark.parametrize("language", DESCRIBED["description"])
def test_publiccode_describes_within_bounds(language: str) -> None:
    """Each language has a short and a long description of the lengths that catalogues take, and features."""
    described = DESCRIBED["description"][language]
    assert 0 < len(described["shortDescription"]) <= SHORT_MAX
    assert LONG_MIN <= len(described["longDescription"]) <= LONG_MAX
    assert described["features"]
