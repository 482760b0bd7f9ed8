"""Signing keys at rest: nothing is signed without the file that lies outside the database."""

import itertools
import json
import stat
from pathlib import Path

import pytest
from joserfc.jwk import ECKey, OctKey
from verbund.identity.keys.sealing import Seal, SealError, create_key_encryption_file


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "key-encryption.json"
    create_key_encryption_file(path)
    return path


def test_what_was_sealed_opens_again(file: Path) -> None:
    """By every worker that reads the same file."""
    key = ECKey.generate_key("P-256")
    sealed = Seal.read(file).close(key)
    assert Seal.read(file).open(sealed).as_dict(private=True) == key.as_dict(private=True)
    assert str(key.as_dict(private=True)["d"]) not in sealed


def test_the_file_is_its_owners_alone_and_is_made_once(file: Path) -> None:
    """Making it again keeps it: another key would open nothing."""
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    before = file.read_bytes()
    create_key_encryption_file(file)
    assert file.read_bytes() == before
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_a_file_that_others_may_read_is_refused(file: Path) -> None:
    """By name, so that it can be mended."""
    file.chmod(0o640)
    with pytest.raises(SealError, match=r"key-encryption\.json may be read by others"):
        Seal.read(file)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}",
        "[]",
        json.dumps(ECKey.generate_key("P-256").as_dict(private=True)),
        json.dumps(OctKey.generate_key(128).as_dict(private=True)),
    ],
    ids=itertools.count(),  # the keys are new each time, and every process that collects must find the same names
)
def test_a_file_with_something_else_is_refused(file: Path, content: str) -> None:
    """Without showing what it holds."""
    file.write_text(content)
    with pytest.raises(SealError, match="does not hold") as caught:
        Seal.read(file)
    assert not content or content not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """The start fails with its name."""
    with pytest.raises(SealError, match=r"absent\.json"):
        Seal.read(tmp_path / "absent.json")


def test_another_files_key_opens_nothing(file: Path, tmp_path: Path) -> None:
    """Neither does a changed text."""
    other = tmp_path / "other.json"
    create_key_encryption_file(other)
    sealed = Seal.read(file).close(ECKey.generate_key("P-256"))
    for seal, text in ((Seal.read(other), sealed), (Seal.read(file), sealed[:-4] + "AAAA")):
        with pytest.raises(SealError, match="another key"):
            seal.open(text)
