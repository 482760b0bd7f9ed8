"""Programs that judge the mesh as an OpenID provider, and one as a client: libraries of others, fetched once."""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.support.debian import program
from tests.support.documents import ROOT
from tests.support.home import Up
from tests.support.lacking import lacking
from tests.support.oidc.visitor import Visitor

SOURCE = Path(__file__).parent
BUILD = ROOT / "build" / "oidc-judges"
INSTALL_SECONDS_MAX = 300
SCOPE = "openid profile email"
NODE, GO = "node", "go"


@dataclass(frozen=True, kw_only=True)
class Registration:
    """What a client program is told."""

    issuer: str
    client: str
    kind: str  # how it proves to be itself: `public` (by PKCE alone), `key` or `secret`
    redirectUri: str  # noqa: N815 - as the programs read it
    afterUri: str  # noqa: N815
    scope: str = SCOPE
    secret: str = ""
    key: str = ""
    kid: str = ""


def console(running: Up) -> Registration:
    """The mesh's own client, which proves itself by a secret."""
    gateway = running.ready()["gateway"]
    return Registration(
        issuer=gateway,
        client="console",
        kind="secret",
        secret=(running.home / "keys" / "console-client.secret").read_text(),
        redirectUri=f"{gateway}/console/callback",
        afterUri=f"{gateway}/console/signed-out",
    )


def built(language: str) -> Path:
    """The folder where the programs of a language run, with what they need; the test is skipped where it is not to
    be had.
    """
    with locked(language) as folder:
        return node_programs(folder) if language == NODE else go_program(folder)


@contextmanager
def locked(language: str) -> Iterator[Path]:
    """A folder for one process at a time."""
    folder = BUILD / language
    folder.mkdir(parents=True, exist_ok=True)
    with (BUILD / f"{language}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield folder


def node_programs(folder: Path) -> Path:
    """The scripts beside their packages, which are those of the lock file."""
    program("nodejs", "node")
    npm = program("npm", "npm")
    names = ("package.json", "package-lock.json", ".npmrc")
    for source in (*SOURCE.glob("*.mjs"), *(SOURCE / name for name in names)):
        shutil.copy2(source, folder)
    wanted = hashlib.sha256((folder / "package-lock.json").read_bytes()).hexdigest()
    mark = folder / "node_modules" / ".installed"
    if not mark.exists() or mark.read_text() != wanted:
        run_or_lack([str(npm), "ci", "--ignore-scripts", "--prefer-offline"], folder)
        mark.write_text(wanted)
    return folder


def go_program(folder: Path) -> Path:
    """The client in Go."""
    go = program("golang-go", "go")
    run_or_lack([str(go), "build", "-o", str(folder / "goclient"), "."], SOURCE / "goclient")
    return folder


def run_or_lack(command: Sequence[str], folder: Path) -> None:
    """Fetches and builds; without the packages there is nothing to test."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=INSTALL_SECONDS_MAX, check=False)
    if done.returncode:
        lacking(f"{' '.join(command[:2])} failed: {done.stderr.strip()[-500:]}")


def command_of(judge: str) -> list[str]:
    """What starts a client."""
    if judge == "go-oidc":
        return [str(built(GO) / "goclient")]
    return ["node", str(built(NODE) / f"{judge}.mjs")]


def environment_of(told: Mapping[str, Any], ca: Path) -> dict[str, str]:
    """Its environment: nothing is trusted but the mesh's authority besides what the machine trusts."""
    trust = {"NODE_EXTRA_CA_CERTS": str(ca), "SSL_CERT_FILE": str(ca)}  # of Node and of Go
    return {"PATH": os.environ["PATH"], "HOME": str(BUILD), "JUDGE": json.dumps(told)} | trust


def judged(judge: str, registration: Registration, ca: Path, visit: Callable[[str], str]) -> dict[str, Any]:
    """Runs a client to its end; what it says, after `visit` has gone where it sent the browser.

    Fails with what the library had against the mesh.
    """
    with subprocess.Popen(
        command_of(judge),
        env=environment_of(asdict(registration), ca),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            told = conversation(process, visit)
            _, complaint = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 0, complaint
    return told


def conversation(process: subprocess.Popen[str], visit: Callable[[str], str]) -> dict[str, Any]:
    """What a client says until it ends."""
    assert process.stdin is not None
    assert process.stdout is not None
    told: dict[str, Any] = {}
    for line in process.stdout:
        said = json.loads(line)
        if "visit" in said:
            process.stdin.write(json.dumps({"arrived": visit(said["visit"])}) + "\n")
            process.stdin.flush()
        told |= said
        if "signedOut" in said:
            break
    return told


def signed_on_and_out(judge: str, registration: Registration, ca: Path, visitor: Visitor) -> dict[str, Any]:
    """What a client learnt, after it signed a person on, refreshed twice and signed them out: then its last refresh
    token is refused, and nobody is signed on in that browser.
    """
    ends = frozenset({registration.redirectUri, registration.afterUri})
    told = judged(judge, registration, ca, lambda url: visitor.visit(url, ends))
    assert told["signedOn"]["rotated"]
    assert told["signedOut"] == {"at": registration.afterUri, "refusal": "invalid_grant"}
    claims = told["signedOn"]["claims"]
    assert (claims["iss"], claims["aud"]) == (registration.issuer, registration.client)
    assert told["signedOn"]["userinfo"]["sub"] == claims["sub"]
    silently = visitor.visit(authorization_url(registration, prompt="none"), ends)
    assert httpx.URL(silently).params["error"] == "login_required"
    return dict(told["signedOn"])


def authorization_url(registration: Registration, **more: str) -> str:
    """Where a client sends a browser."""
    asked = {
        "client_id": registration.client,
        "redirect_uri": registration.redirectUri,
        "response_type": "code",
        "scope": "openid",
        "code_challenge": "a" * 43,
        "code_challenge_method": "S256",
    }
    return str(httpx.URL(f"{registration.issuer}/oauth2/authorize", params=asked | more))


@contextmanager
def oidc_provider(told: Mapping[str, Any], ca: Path) -> Iterator[str]:
    """Npm's oidc-provider, until the end of the block; the value is its issuer."""
    with subprocess.Popen(
        ["node", str(built(NODE) / "provider.mjs")],
        env=environment_of(told, ca),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            said = ""
            while not said.startswith("{"):
                line = process.stdout.readline()
                assert line, f"the provider did not start: {said}"
                said = line
            yield json.loads(said)["ready"]
        finally:
            process.kill()
