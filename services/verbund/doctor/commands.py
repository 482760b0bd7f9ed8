"""`verbund doctor`."""

import io
import os
import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import click

from verbund.doctor.examination import examine
from verbund.doctor.findings import Finding, State, counts
from verbund.doctor.subject import subject_of
from verbund.failure import ExitCode
from verbund.options import Show, json_option

CHECK_WIDTH = 17


@click.command("doctor")
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, readable=False),
    help="The home directory; otherwise VERBUND_HOME, otherwise ~/.local/share/verbund.",
)
@json_option
@click.pass_context
def doctor(context: click.Context, *, data_dir: Path | None, show: Show) -> None:
    """Check this machine, this installation and the mesh that runs in the home, and say what is to be mended.

    Nothing is changed, and no secret is shown. Exit codes: 0 nothing is wrong, 3 something is to be mended. Warnings
    do not count.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that lacks UTF-8 is one of the findings
    subject = subject_of(os.environ, data_dir)
    found = []
    for finding in examine(subject):
        found.append(finding)
        if not show.as_json:  # a check may take seconds: who waits sees what is done
            click.echo(told(finding))
    findings = [asdict(each) for each in found]
    show({"home": str(subject.named), "counts": counts(found), "findings": findings}, summary(found))
    sick = any(finding.state is State.PROBLEM for finding in found)
    context.exit(ExitCode.ENVIRONMENT if sick else ExitCode.OK)


def told(finding: Finding) -> str:
    """One finding as a line, and below it what can be done."""
    line = f"{finding.state.value:<8} {finding.check:<{CHECK_WIDTH}} {' '.join(finding.says.split())}"
    mend = f"\n{'':8} {finding.who} can mend this: {' '.join(finding.remedy.split())}"
    return line + mend if finding.remedy else line


def summary(found: Iterable[Finding]) -> str:
    """The last line."""
    number = counts(found)
    said = f"{number['ok']} ok, {number['warning']} warnings, {number['problem']} problems, {number['skipped']} skipped"
    return f"{said}: " + ("something is to be mended." if number["problem"] else "nothing is wrong.")
