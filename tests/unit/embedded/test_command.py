"""The `verbund` command before it does anything."""

import os
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner
from verbund.commands import COMMANDS, Commands, is_installed


def verbund(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs the command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "verbund", *arguments],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_help_imports_no_area() -> None:
    """`verbund --help` names every command of the table that is installed, and imports none of them."""
    script = """
import sys
from verbund.__main__ import main
sys.argv[1:] = ["--help"]
try:
    main()
finally:
    print([name for name in sys.modules if name.startswith(("grpc", "psycopg", "google", "cryptography"))])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("[]\n")
    for name, (place, summary) in COMMANDS.items():
        assert (f"  {name}" in done.stdout and summary in done.stdout) is is_installed(place)


def test_an_interrupted_command_says_so_by_its_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C ends every command with 130, as the help says."""

    @click.command()
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Commands, "get_command", lambda _self, _context, _name: interrupted)
    assert CliRunner().invoke(Commands(), ["up"]).exit_code == 130


@pytest.mark.parametrize("loading", ["verbund.commands", "click", "verbund.embedded.up"])
def test_a_command_that_still_loads_can_be_interrupted(loading: str) -> None:
    """Whoever changes their mind at once gets the same end, and no traceback."""
    script = f"""
import os, signal, sys
class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == {loading!r}:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupting())
from verbund.__main__ import main
sys.argv[1:] = ["up", "--data-dir", "/proc/nobody", "--idp=none"]
main()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr.strip()) == (130, "", "")


def test_an_area_that_is_not_installed_has_no_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing package breaks nothing."""
    monkeypatch.setitem(COMMANDS, "absent", ("verbund.absent.commands:absent", "Is not there."))
    assert not is_installed("verbund.absent.commands:absent")
    assert not is_installed("verbund.policy.absent:absent")


@pytest.mark.parametrize("name", [name for name, (place, _) in COMMANDS.items() if is_installed(place)])
def test_every_command_explains_itself(name: str) -> None:
    """Each command has a help text, so each can be imported."""
    done = verbund(name, "--help")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Usage: ")


def test_a_wrong_setting_ends_with_its_name() -> None:
    """Exit code 2, one sentence that names the variable, no traceback."""
    done = verbund("up", VERBUND_GATEWAY_PORT="many")
    assert done.returncode == 2
    assert done.stderr.startswith("verbund: VERBUND_GATEWAY_PORT takes a whole number, not 'many'")
    assert "Traceback" not in done.stderr
