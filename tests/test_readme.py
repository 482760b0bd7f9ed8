"""The README is true: its commands are run as they stand there, and its transcript is what the tour says."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.documents import ROOT
from tests.support.home import Up

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("mesh"), pytest.mark.timeout(600)]
TEXT = (ROOT / "README.md").read_text()
BLOCKS: list[tuple[str, str]] = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
TRANSCRIPT = next(text for language, text in BLOCKS if language == "text")
PILOT = "projects/charlottenburg-wilmersdorf.smart-space-hardenbergplatz"
# What a second tour on one home says, and the first.
AGAIN = {
    "has admitted": "admits",
    "stands already": "is recorded",
    "has joined by invitation before": "is invited, accepts with a key that it made itself, and is admitted",
    "has the mailbox": "opens the mailbox",
    " The provider was tried with this token before it counts.": "",
}
Shell = Callable[[str], subprocess.CompletedProcess[str]]


def block(words: str) -> str:
    """The one block of commands that holds these words."""
    (found,) = (text for language, text in BLOCKS if language == "sh" and words in text)
    return found


@pytest.fixture(scope="module")
def shell(running: Up) -> Shell:
    """Runs a block as a person pastes it: only the home, the port and the environment of this run are put in."""
    programs = Path(sys.executable).parent

    def run(commands: str) -> subprocess.CompletedProcess[str]:
        here = commands.replace("~/.local/share/verbund", str(running.home)).replace("8443", str(running.port))
        here = here.replace(".venv/bin/", f"{programs}/")
        return subprocess.run(
            ["bash", "-c", here],
            cwd=ROOT,
            env=running.environment(),
            capture_output=True,
            text=True,
            timeout=500,
            check=False,
        )

    return run


@pytest.fixture(scope="module")
def tour(running: Up) -> dict[str, Any]:
    """What the tour says of itself; after it, its systems and projects are there."""
    return running.tour()


@pytest.fixture(scope="module")
def grpcurl() -> None:
    """grpcurl, built once as the README says."""
    if (ROOT / "build" / "tools" / "grpcurl").exists():
        return
    needed = os.environ.get("VERBUND_REQUIRE_ALL") == "1"
    if shutil.which("go") is None:
        assert not needed, "Go is needed to build grpcurl"
        pytest.skip("Go is not installed, and grpcurl is built from its Go module")
    built = subprocess.run(["bash", "-c", block("go install")], cwd=ROOT, capture_output=True, text=True, check=False)
    if built.returncode:
        assert not needed, built.stderr
        pytest.skip(f"grpcurl cannot be built here: {built.stderr.strip().splitlines()[-1]}")


def comparable(said: str) -> str:
    """A line of the tour without what differs from run to run."""
    for again, first in AGAIN.items():
        said = said.replace(again, first)
    return re.sub(r"\d+ ms|127.0.0.1:\d+", "…", said)


def test_transcript_is_what_the_tour_says(tour: dict[str, Any]) -> None:
    """The README shows every step of the tour, word for word but for times."""
    shown = [comparable(line) for line in re.findall(r"^\d+\. (.*) \([\d,]+ ms\)$", TRANSCRIPT, re.MULTILINE)]
    assert shown == [comparable(step["said"]) for step in tour["steps"]]


def test_transcript_shows_the_trace(tour: dict[str, Any]) -> None:
    """The trees in the README have the spans that the delivery and its later steps leave, in their order."""
    (told,) = (step for step in tour["steps"] if step["step"] == "trace")
    shown = re.findall(r"^[ │├└─]+(\w+)  (\S.*?)  +[\d.]+ ms  \+[\d.]+ ms$", TRANSCRIPT, re.MULTILINE)
    spans = [span for trace in (told, *told["linked"]) for span in trace["spans"]]
    assert shown == [(span["service"], span["name"]) for span in spans]


@pytest.mark.usefixtures("tour")
def test_file_is_sent_in_ten_lines_of_python(running: Up) -> None:
    """The example runs as it stands, and says whose turn it is; a second run sends nothing twice."""
    (code,) = (text for language, text in BLOCKS if language == "python")
    here = code.replace("~/.local/share/verbund", str(running.home))
    assert len([line for line in here.splitlines() if line.strip()]) <= 10
    runs = [
        subprocess.run([sys.executable, "-c", here], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
        for _ in range(2)
    ]
    assert "next: organisations/citylab-berlin, until " in runs[0].stdout
    assert runs[0].stdout == runs[1].stdout


@pytest.mark.usefixtures("tour")
def test_document_is_sent_taken_over_and_followed(shell: Shell) -> None:
    """On the command line: what arrives is what was sent, and the sender reads that it was accepted."""
    shutil.rmtree(ROOT / "build" / "received", ignore_errors=True)
    told = shell(f"set -e\n{block('verbund send')}")
    assert told.returncode == 0, told.stderr
    assert (ROOT / "build" / "received" / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    assert "accepted" in told.stdout.splitlines()[-1]


@pytest.mark.usefixtures("tour")
def test_quick_start_finds_a_project(shell: Shell) -> None:
    """The second command of the quick start answers with the project that it asks for."""
    told = shell(block("projects:search?query="))
    assert told.returncode == 0, told.stderr
    assert PILOT in [project["name"] for project in json.loads(told.stdout)["projects"]]


@pytest.mark.usefixtures("tour")
def test_curl_reads_changes_and_is_refused(shell: Shell) -> None:
    """With curl alone a partner reads, the owner changes, and a caller without token is told what to do."""
    told = shell(block("updateMask"))
    assert told.returncode == 0, told.stderr
    head, _, bodies = told.stdout.partition("\n\n")
    read, changed, refused = map(json.loads, filter(None, bodies.splitlines()))
    assert "\nx-trace-id: " in head
    assert read["name"] == changed["name"] == PILOT
    assert changed["description"]["de"] == "Nur ein Beispiel."
    assert refused["details"][0]["reason"] == "NO_TOKEN"


@pytest.mark.usefixtures("tour", "grpcurl")
def test_grpcurl_lists_searches_and_watches(shell: Shell) -> None:
    """No proto files are needed: grpcurl asks for them, finds a project and follows changes until its time is over."""
    told = shell(block("WatchChanges"))
    assert "verbund.registry.v1.ProjectService" in told.stdout.splitlines()
    assert f'"name": "{PILOT}"' in told.stdout
    assert '"started"' in told.stdout, told.stderr
    assert "DeadlineExceeded" in told.stderr


@pytest.mark.usefixtures("tour")
def test_own_projects_are_imported_and_found(shell: Shell) -> None:
    """A list of one's own is brought in, its wrong row is named, and a misspelt word finds a project."""
    told = shell(block("project import"))
    assert "2 created" in told.stdout
    assert "projects.csv: line 4, column start" in told.stderr
    assert told.stdout.splitlines()[-1].endswith("Beispiel: Leihregal im Rathaus")


@pytest.mark.usefixtures("tour")
def test_token_is_printed_for_programs_too(shell: Shell, running: Up) -> None:
    """`verbund token --json` is JSON; a system that nobody knows is an error that says what to do."""
    told = shell("verbund=.venv/bin/verbund; $verbund token --json; $verbund token organisations/no/systems/body")
    assert set(json.loads(told.stdout)) == {"accessToken", "tokenType"}
    assert told.returncode == 1
    assert f"{running.home.resolve()}/ready.json lists no system organisations/no/systems/body" in told.stderr
    assert "can mend this" in told.stderr
