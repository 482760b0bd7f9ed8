"""The first call in every language of docs/first-call.md: each example is run as it stands on the page."""

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import ECKey
from verbund.sdk.client import Client

from tests.support.debian import program
from tests.support.documents import ROOT
from tests.support.home import Up

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("mesh"), pytest.mark.timeout(900)]
BLOCKS: list[tuple[str, str]] = re.findall(
    r"^```(\w+)\n(.*?)^```$", (ROOT / "docs" / "first-call.md").read_text(), re.MULTILINE | re.DOTALL
)
FIRST_LINE = re.compile(r".*Save as (\S+), then: (.+)\n")
EXAMPLES = {language: text for language, text in BLOCKS if FIRST_LINE.match(text)}
SET_UP, LOOK, CLEAN_UP = (text for kind, text in BLOCKS if kind == "sh" and not FIRST_LINE.match(text))
(ANSWER,) = (json.loads(text) for kind, text in BLOCKS if kind == "json")
BIN = Path(sys.executable).parent
# What runs each: Debian's packages, and a program of each.
NEEDED = {
    "sh": (("curl", "curl"), ("openssl", "openssl")),
    "js": (("nodejs", "node"),),
    "java": (("default-jdk-headless", "javac"),),
    "php": (("php-cli", "php"),),
    "go": (("golang-go", "go"),),
    "python": (),
}
CALLED = {"sh": "curl", "js": "Node", "java": "Java", "php": "PHP", "go": "Go", "python": "Python"}
PILOT = "smart-space-hardenbergplatz"
EXAMPLE_SECONDS_MAX = 300  # Go compiles its own library the first time, beside everything else
Environment = Mapping[str, str]


def here(commands: str) -> str:
    """Lines of the page where the mesh is not installed in `.venv` of this folder, or of the one above."""
    return re.sub(r"(\.\./)?\.venv/bin/", f"{BIN}/", commands)


def bash(commands: str, folder: Path, environment: Environment) -> str:
    done = subprocess.run(
        ["bash", "-euc", commands],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=EXAMPLE_SECONDS_MAX,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def variables(running: Up, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment after the page's first lines, which are run as they stand, after a tour."""
    running.tour()
    environment = running.environment()
    show = f"{sys.executable} -c 'import json, os; print(json.dumps(dict(os.environ)))'"
    found: dict[str, str] = json.loads(bash(f"{here(SET_UP)}\n{show}", tmp_path_factory.mktemp("first"), environment))
    return found


def run(language: str, folder: Path, environment: Environment) -> subprocess.CompletedProcess[str]:
    """Saves an example and runs it as its first line says; the token that `verbund env` printed is not there for it."""
    for package, name in NEEDED[language]:
        program(package, name)
    text = EXAMPLES[language]
    stated = FIRST_LINE.match(text)
    assert stated is not None
    (folder / stated[1]).write_text(text)
    return subprocess.run(
        ["bash", "-c", here(stated[2])],
        cwd=folder,
        env={name: value for name, value in environment.items() if name not in {"VERBUND_TOKEN", "VERBUND_HOME"}},
        capture_output=True,
        text=True,
        timeout=EXAMPLE_SECONDS_MAX,
        check=False,
    )


def received(running: Up, mailbox: str, subject: str) -> list[dict[str, Any]]:
    """The deliveries with that subject, as their receiver sees them."""
    receiver = f"{mailbox.partition('/mailboxes/')[0]}/systems/portal"
    with Client.from_home(running.home, receiver) as client:
        listed = client.http.get(f"/v1/{mailbox}/deliveries", params={"pageSize": 100}).raise_for_status().json()
    return [delivery for delivery in listed["deliveries"] if delivery["subject"] == subject]


def test_every_language_that_the_page_promises_is_there() -> None:
    """Six of them."""
    assert set(EXAMPLES) == set(NEEDED) == set(CALLED)


@pytest.mark.parametrize("language", EXAMPLES)
def test_the_first_call_works_by_copying_lines(
    language: str, running: Up, variables: Environment, tmp_path: Path
) -> None:
    """It says who it is, finds the project, and the document arrives as it was sent."""
    done = run(language, tmp_path, variables)
    assert done.returncode == 0, done.stdout + done.stderr
    assert variables["VERBUND_SYSTEM"] in done.stdout
    assert PILOT in done.stdout
    subject = f"Beispiel: gesendet mit {CALLED[language]}"
    assert subject in done.stdout
    delivery = received(running, variables["MAILBOX"], subject)[0]
    assert delivery["state"] == "DELIVERY_STATE_AVAILABLE"
    (document,) = delivery["documents"]
    assert (document["fileName"], document["mediaType"]) == ("beispiel.txt", "text/plain")
    assert document["sha256"] == hashlib.sha256(b"Ein Beispiel.\n").hexdigest()
    assert set(ANSWER) <= set(delivery)
    assert set(ANSWER["next"]) <= set(delivery["next"])
    assert (ANSWER["state"], ANSWER["next"]["action"]) == (delivery["state"], delivery["next"]["action"])


@pytest.mark.parametrize("language", EXAMPLES)
def test_a_refusal_is_not_swallowed(language: str, variables: Environment, tmp_path: Path) -> None:
    """With a key that is not the system's, each ends with an error that shows what the mesh said."""
    key = tmp_path / "other.pem"
    key.write_bytes(ECKey.generate_key("P-256").as_pem(private=True))
    done = run(language, tmp_path, {**variables, "VERBUND_KEY": str(key)})
    assert done.returncode != 0
    assert re.search(r"invalid_client|\b401\b", done.stdout + done.stderr), done.stderr


def test_the_token_is_enough_to_look_around(variables: Environment, tmp_path: Path) -> None:
    """With curl and the variables alone."""
    program("curl", "curl")
    assert json.loads(bash(LOOK, tmp_path, variables))["subject"] == variables["VERBUND_SYSTEM"]


def test_the_last_lines_clean_up(running: Up, variables: Environment, tmp_path: Path) -> None:
    """What was sent last is taken back, and neither the key nor an example is left; nothing else is touched."""
    for package, name in NEEDED["sh"]:
        program(package, name)
    folder = tmp_path / "build"
    folder.mkdir()
    for text in EXAMPLES.values():
        stated = FIRST_LINE.match(text)
        assert stated is not None
        (folder / stated[1]).write_text(text)
    (folder / "kept.txt").touch()
    bash(here(f"{SET_UP}\nbash first-call.sh\n{CLEAN_UP}"), tmp_path, running.environment())
    assert [file.name for file in folder.iterdir()] == ["kept.txt"]
    newest = received(running, variables["MAILBOX"], "Beispiel: gesendet mit curl")[0]
    assert newest["state"] == "DELIVERY_STATE_WITHDRAWN"


@pytest.mark.parametrize("command", ["token", "env"])
def test_secrets_go_to_one_stream(command: str, running: Up, variables: Environment) -> None:
    """The token to standard output, once, and no key to any; where there is no token, that stays empty."""
    whole = [sys.executable, "-m", "verbund", command]
    environment = running.environment()
    done, refused = (
        subprocess.run([*whole, system], env=environment, capture_output=True, text=True, timeout=60, check=False)
        for system in (variables["VERBUND_SYSTEM"], "organisations/nobody/systems/nothing")
    )
    assert (done.returncode, done.stderr, done.stdout.count("eyJ")) == (0, "", 2)  # header and claims of one JWT
    assert "PRIVATE KEY" not in done.stdout
    assert refused.returncode != 0
    assert refused.stdout == ""
    assert "eyJ" not in refused.stderr


def test_json_says_the_same_as_the_shell(running: Up, variables: Environment) -> None:
    """With the time at which the token ends, and no key that was not asked for."""
    command = [sys.executable, "-m", "verbund", "env", variables["VERBUND_SYSTEM"], "--shell", "json"]
    done = subprocess.run(command, env=running.environment(), capture_output=True, text=True, timeout=60, check=True)
    told = json.loads(done.stdout)
    assert {
        name: told[name] for name in ("VERBUND_GATEWAY", "VERBUND_CA", "VERBUND_SYSTEM")
    }.items() <= variables.items()
    assert {*told} == {"VERBUND_GATEWAY", "VERBUND_CA", "VERBUND_SYSTEM", "VERBUND_TOKEN", "VERBUND_TOKEN_EXPIRE_TIME"}


def test_the_protos_are_at_the_gateway_for_everybody(running: Up) -> None:
    """Without a token, as the console serves them."""
    with Client.from_home(running.home) as client:
        answer = client.http.get("/protos.zip", auth=None)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip")
    assert answer.content.startswith(b"PK")
