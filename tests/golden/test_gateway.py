"""The gateway's configuration is reviewed as a file."""

from click.testing import CliRunner
from verbund_gateway import golden
from verbund_gateway.commands import gateway


def test_golden_file() -> None:
    """gateway/envoy.golden.yaml is what is rendered; `python -m verbund_gateway.golden --write` writes it."""
    assert golden.example() == golden.FILE.read_text()


def test_command_prints_it() -> None:
    """`verbund gateway render --example` prints the same."""
    printed = CliRunner().invoke(gateway, ["render", "--example"])
    assert (printed.exit_code, printed.output) == (0, golden.FILE.read_text())
