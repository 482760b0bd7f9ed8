"""Puts configuration where Envoy watches for it: whole or not at all, and only what Envoy itself accepted."""

import json
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from verbund.files import replace

from verbund_gateway import engine, jwt
from verbund_gateway.extension import Config
from verbund_gateway.render import KEYS, Files, resources
from verbund_gateway.settings import GatewaySettings
from verbund_gateway.standalone import standalone

VALIDATE_SECONDS_MAX = 30


class ConfigurationError(ValueError):
    """Envoy does not accept the configuration; the message is Envoy's."""


def write(directory: Path, files: Files, *, validate: bool = True, program: Path | None = None) -> None:
    """Writes the files into `directory`, after Envoy accepted them.

    Raises ConfigurationError and changes nothing where it does not.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if validate:
        check(directory, files, program=program)
    for name, content in files.items():
        put(directory / name, content)


def update_keys(directory: Path, jwks: Mapping[str, Any], settings: GatewaySettings) -> None:
    """Replaces the keys that tokens are verified with, and nothing else.

    Raises ValueError for a set without a usable key, and keeps the old ones.
    """
    put(directory / KEYS, resources(jwt.resource(settings, jwks)))


def put(path: Path, content: Config | bytes) -> None:
    """Puts one file in place: Envoy sees the rename, and never half a file."""
    replace(path, content if isinstance(content, bytes) else json.dumps(content, indent=1).encode())


def check(directory: Path, files: Files, *, program: Path | None = None) -> None:
    """Has Envoy read the configuration from a directory of its own."""
    with tempfile.TemporaryDirectory(dir=directory, prefix=".check-") as name:
        configuration = Path(name) / engine.BOOTSTRAP
        json_files = {file: content for file, content in files.items() if not isinstance(content, bytes)}
        whole = standalone(json_files.pop(engine.BOOTSTRAP), json_files)
        configuration.write_text(json.dumps(whole).replace(str(directory), name))
        for file, content in files.items():
            if isinstance(content, bytes):
                (Path(name) / file).write_bytes(content)
        command = [
            str(program or engine.binary()),
            "--mode",
            "validate",
            "--config-path",
            str(configuration),
            "--log-level",
            "error",
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=VALIDATE_SECONDS_MAX, check=False)
    if done.returncode:
        raise ConfigurationError(
            f"Envoy does not accept the gateway's configuration: {done.stderr.strip() or done.stdout.strip()}"
        )
