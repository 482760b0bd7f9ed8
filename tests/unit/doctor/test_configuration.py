"""Settings that nobody reads, and values that nobody can."""

import re
import subprocess
from pathlib import Path

import pytest
from verbund.doctor import configuration
from verbund.doctor.findings import Finding, State
from verbund.doctor.subject import subject_of

ROOT = Path(__file__).resolve().parents[3]
NAME = re.compile(r"VERBUND_[A-Z]+(?:_[A-Z]+)*[A-Z](?![A-Z_<*…])")


def findings(tmp_path: Path, **environment: str) -> list[Finding]:
    """What is said of an environment."""
    return list(configuration.variables(subject_of(environment | {"VERBUND_HOME": str(tmp_path)}, None)))


def test_a_misspelt_setting_is_found_with_the_one_that_was_meant(tmp_path: Path) -> None:
    """It would be ignored without a word."""
    (found,) = findings(tmp_path, VERBUND_GATEWAY_PROT="9443")
    assert (found.state, found.remedy) == (State.PROBLEM, "call it VERBUND_GATEWAY_PORT.")


def test_a_setting_like_no_other_is_found_too(tmp_path: Path) -> None:
    """And so is one of an area that there is not."""
    assert {found.state for found in findings(tmp_path, VERBUND_XYZ="1", VERBUND_NOAREA_PORT="1")} == {State.PROBLEM}


@pytest.mark.parametrize(
    ("name", "value"), [("VERBUND_GATEWAY_PORT", "swordfish"), ("VERBUND_TRACES_RETENTION_DAYS", "swordfish")]
)
def test_a_wrong_value_is_found_and_not_shown(tmp_path: Path, name: str, value: str) -> None:
    """It may be a secret that was put into the wrong variable."""
    (found,) = findings(tmp_path, **{name: value})
    assert found.state is State.PROBLEM
    assert name in found.says
    assert value not in f"{found.says} {found.remedy}"


def test_right_settings_are_no_finding(tmp_path: Path) -> None:
    """Of every area, and those that stand beside them."""
    right = {"VERBUND_GATEWAY_PORT": "9443", "VERBUND_SERVING_WORKERS": "3", "VERBUND_IDENTITY_TOKEN_SECONDS": "60"}
    assert [found.state for found in findings(tmp_path, **right, VERBUND_TEST_MARK="x", OTHER="y")] == [State.OK]


def test_every_setting_that_the_documents_name_is_known() -> None:
    """A setting that the doctor does not know would be called a mistake."""
    listed = subprocess.run(
        ["git", "ls-files", "*.md", "services/*.py", "gateway/*.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    named = {name for path in listed if (ROOT / path).is_file() for name in NAME.findall((ROOT / path).read_text())}
    assert len(named) > 50
    assert named <= {*configuration.known(), *configuration.OTHERS, *configuration.PRINTED}


def test_what_verbund_env_prints_is_no_finding(tmp_path: Path) -> None:
    """Whoever has evaluated it in their shell is told of no mistake."""
    names = ("GATEWAY", "CA", "SYSTEM", "KEY", "TOKEN", "TOKEN_EXPIRE_TIME")
    assert [found.state for found in findings(tmp_path, **{f"VERBUND_{name}": "x" for name in names})] == [State.OK]
