"""What is installed is what is in the repository: an editable install would hide a missing file."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDERS = {"services/verbund": "verbund", "services/buf": "buf", "gateway/verbund_gateway": "verbund_gateway"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(directory), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    return next(directory.glob("verbund-*.whl"))


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


def test_the_wheel_alone_can_be_imported(wheel: Path, tmp_path: Path) -> None:
    """From the unpacked wheel, not from the repository, the command prints its help and the policy is complete."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    program = (
        "import sys; sys.path.insert(0, sys.argv.pop(1))\n"
        "import verbund, verbund_gateway, buf\n"
        "assert verbund.__file__.startswith(sys.path[0]), verbund.__file__\n"
        "from verbund.policy import catalogue; assert catalogue.rules()\n"
        "from verbund.database.migrate import AREAS, migrations_of; assert all(map(migrations_of, AREAS))\n"
        "from verbund.__main__ import main; main()\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path), "--help"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path).stdout
    assert "Usage: " in shown
