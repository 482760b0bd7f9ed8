"""The variables that `verbund env` prints are read by the shells as they were meant."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from joserfc.jwk import ECKey
from verbund.failure import Failure
from verbund.sdk.environment import FORMS, write_pem
from verbund.sdk.tokens import read_key

from tests.support.debian import program

NASTY = "a path/with 'quotes', \"more\", $HOME, `id`, \\back\\ and ü"
VARIABLES = {"VERBUND_GATEWAY": "https://127.0.0.1:8443", "VERBUND_CA": NASTY}
EXPIRES = "2026-11-23T05:00:00Z"
ASKED = 'printf "%s\\n%s" "$VERBUND_GATEWAY" "$VERBUND_CA"'


def told(command: list[str]) -> list[str]:
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={"PATH": os.environ["PATH"]})
    return done.stdout.splitlines()


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_a_posix_shell_reads_them(shell: str) -> None:
    """Nothing in a value is run or expanded."""
    assert told([shell, "-c", f"{FORMS['sh'](VARIABLES, EXPIRES)}\n{ASKED}"]) == list(VARIABLES.values())


def test_eval_without_quotes_reads_them_too() -> None:
    """The comment stands last, where one long line may have it."""
    plain = {"VERBUND_GATEWAY": "https://127.0.0.1:8443", "VERBUND_CA": "/ca.pem"}
    joined = " ".join(FORMS["sh"](plain, EXPIRES).split())
    assert told(["sh", "-c", f"eval '{joined}'\n{ASKED}"]) == list(plain.values())


def test_fish_reads_them() -> None:
    """In its own words."""
    fish = str(program("fish", "fish"))
    assert told([fish, "-c", f"{FORMS['fish'](VARIABLES, EXPIRES)}\n{ASKED}"]) == list(VARIABLES.values())


def test_powershell_gets_its_quotes_doubled() -> None:
    """Within single quotes nothing else means anything there."""
    assert FORMS["powershell"]({"VERBUND_CA": "C:\\it's"}, EXPIRES).splitlines()[0] == "$env:VERBUND_CA = 'C:\\it''s'"


def test_json_has_the_expiry_as_a_member() -> None:
    """A program wants to know it too."""
    assert json.loads(FORMS["json"](VARIABLES, EXPIRES)) == {**VARIABLES, "VERBUND_TOKEN_EXPIRE_TIME": EXPIRES}


def test_a_key_is_written_as_pem_once_and_nothing_is_overwritten(tmp_path: Path) -> None:
    """Private, the same key, and again without a change; another file's content stays."""
    jwk, target = tmp_path / "key.json", tmp_path / "key.pem"
    jwk.write_text(json.dumps(ECKey.generate_key("P-256").as_dict(private=True)))
    for _ in range(2):
        assert write_pem(jwk, target) == target
    assert target.stat().st_mode & 0o777 == 0o600
    assert read_key(target).thumbprint() == read_key(jwk).thumbprint()
    other = tmp_path / "letter"
    other.write_text("dear")
    with pytest.raises(Failure, match="holds something else"):
        write_pem(jwk, other)
    assert other.read_text() == "dear"
    with pytest.raises(Failure, match="name a file that you may write"):
        write_pem(jwk, tmp_path / "nowhere" / "key.pem")
