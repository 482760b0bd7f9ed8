"""What is said of a machine, an installation and a directory."""

import os
from importlib import metadata
from pathlib import Path

import pytest
from verbund.doctor import directory, installation, machine
from verbund.doctor.examination import examine, guarded
from verbund.doctor.findings import Finding, State, counts, ok, problem
from verbund.doctor.subject import Subject, subject_of


def subject(home: Path) -> Subject:
    """A home to look at."""
    return subject_of({"VERBUND_HOME": str(home)}, None)


def states(findings: object) -> dict[str, State]:
    """What each check came to."""
    assert hasattr(findings, "__iter__")
    return {finding.check: finding.state for finding in findings}


def home_at(path: Path, mode: int = 0o700) -> Path:
    """A directory that looks like a home."""
    for folder in (path, path / "keys", path / "tls"):
        folder.mkdir(mode=mode)
        folder.chmod(mode)
    (path / "lock").touch()
    if os.geteuid() == 0:  # root's own directory is refused for another reason
        os.chown(path, 65534, 65534)
    return path


def test_the_smaller_of_machine_and_container_counts(tmp_path: Path) -> None:
    """A container's limit is not in /proc/meminfo; and where it has none, the machine's counts."""
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text("MemTotal: 8388608 kB\nMemAvailable: 4194304 kB\n")
    assert machine.available_mib(tmp_path) == 4096
    group = tmp_path / "sys/fs/cgroup"
    group.mkdir(parents=True)
    (group / "memory.current").write_text("104857600\n")
    (group / "memory.max").write_text("max\n")
    assert machine.available_mib(tmp_path) == 4096
    (group / "memory.max").write_text("314572800\n")
    assert machine.available_mib(tmp_path) == 200


@pytest.mark.parametrize(
    ("version", "bounds", "kept"),
    [
        ("1.85.1", ">=1.85,<1.86", True),
        ("1.86.0", "<1.86,>=1.85", False),
        ("1.9", ">=1.10", False),
        ("18.6.0.post1", ">=18.6,<19", True),
        ("0.51b0", ">=0.51", True),
        ("3.0", "", True),
    ],
)
def test_versions_are_compared_by_number(version: str, bounds: str, kept: bool) -> None:
    """1.10 is later than 1.9, and a bound that is excluded is not kept."""
    assert installation.within(version, bounds) is kept


def test_every_requirement_of_this_version_is_understood() -> None:
    """Each line of the wheel's own list has a name and bounds of the two kinds that are compared; here all are kept."""
    lines = [line for line in metadata.requires("verbund") or () if "dev" not in line]
    assert len(lines) > 15
    for line in lines:
        match = installation.REQUIREMENT.match(line)
        assert match
        assert metadata.version(match[1])
        assert len(installation.BOUND.findall(match[2])) == len([part for part in match[2].split(",") if part.strip()])
    assert installation.amiss("") == installation.amiss("server") == []


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """By its name, with the version that is wanted where another is there."""
    wanted = ["absent-package>=1.0", "click>=999", 'elsewhere>=1; extra == "server"']
    monkeypatch.setattr(metadata, "requires", lambda _name: wanted)
    assert installation.amiss("") == ["absent-package is missing", f"click is {metadata.version('click')}, not >=999"]
    assert installation.amiss("server") == ["elsewhere is missing"]


def test_a_program_that_does_not_run_is_a_problem(tmp_path: Path) -> None:
    """Missing, not executable, or ending with an error: its last words are told."""
    assert installation.engine("envoy", tmp_path / "none").state is State.PROBLEM
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\necho 'libz.so.9: not found' >&2\nexit 127\n")
    broken.chmod(0o755)
    finding = installation.engine("envoy", broken)
    assert (finding.state, "libz.so.9: not found" in finding.says) == (State.PROBLEM, True)


def test_a_home_that_is_not_there_is_no_problem(tmp_path: Path) -> None:
    """The first start makes it."""
    assert states(directory.home(subject(tmp_path / "a" / "b"))) == {"home": State.OK}


def test_a_home_that_leads_nowhere_is(tmp_path: Path) -> None:
    """A link whose target is gone."""
    (tmp_path / "home").symlink_to(tmp_path / "gone")
    assert states(directory.home(subject(tmp_path / "home"))) == {"home": State.PROBLEM}


@pytest.mark.parametrize(("mode", "state"), [(0o700, State.OK), (0o755, State.PROBLEM)])
def test_a_home_is_closed_to_others(tmp_path: Path, mode: int, state: State) -> None:
    """Whoever can enter it is the mesh."""
    assert states(directory.home(subject(home_at(tmp_path / "home", mode)))) == {"home": state}


def test_a_directory_with_something_else_in_it_is_no_home(tmp_path: Path) -> None:
    """It is refused before anything in it is touched."""
    (tmp_path / "photos").mkdir()
    (found,) = directory.home(subject(tmp_path))
    assert (found.state, "no home of Verbund" in found.says) == (State.PROBLEM, True)


def test_keys_that_others_could_read_are_named(tmp_path: Path) -> None:
    """By file name; what is in them is not looked at."""
    home = home_at(tmp_path / "home")
    (home / "keys" / "organisations.a.systems.b.json").write_text("secret")
    (home / "keys" / "organisations.a.systems.b.json").chmod(0o644)
    found = {finding.check: finding for finding in directory.home(subject(home))}["keys"]
    assert found.state is State.WARNING
    assert "organisations.a.systems.b.json" in found.says
    assert "secret" not in found.says


def test_a_check_that_fails_is_a_finding_itself(tmp_path: Path) -> None:
    """The others go on: a report is made whatever is wrong."""

    def failing(_subject: Subject) -> list[Finding]:
        raise PermissionError("/proc is closed")

    (found,) = guarded(failing, subject(tmp_path))  # type: ignore[arg-type]
    assert (found.check, found.state) == ("failing", State.PROBLEM)
    assert "/proc is closed" in found.says


def test_every_problem_says_who_can_mend_it_and_how(tmp_path: Path) -> None:
    """On a machine as it is, with a home that is none."""
    (tmp_path / "photos").mkdir()
    found = list(examine(subject(tmp_path)))
    assert counts(found)["problem"] >= 1
    for finding in found:
        amiss = finding.state in (State.PROBLEM, State.WARNING)
        assert (bool(finding.who), bool(finding.remedy)) == (amiss, amiss), finding


def test_counts_name_every_state() -> None:
    """Also those that nothing has."""
    found = [ok("a", "x"), ok("b", "x"), problem("c", "x", remedy="y")]
    assert counts(found) == {"ok": 2, "warning": 0, "problem": 1, "skipped": 0}
