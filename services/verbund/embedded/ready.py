"""ready.json: what a client needs to know, there as long as the mesh is ready."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from verbund.embedded.home import Home
from verbund.files import replace


def write(home: Home, gateway: str, processes: Mapping[str, int], *, people: Sequence[Mapping[str, str]] = ()) -> None:
    """Writes the file whole, mode 0600. `people` are those who can sign in at the built-in provider."""
    content = {
        "gateway": gateway,
        "ca": str(home.tls / "ca.pem"),
        "token_endpoint": f"{gateway}/oauth2/token",
        "systems": [
            {"name": home.system_of(key), "client_id": home.system_of(key), "key": str(key)} for key in key_files(home)
        ],
        "people": list(people),
        "processes": [{"name": name, "pid": pid} for name, pid in processes.items()],
    }
    replace(home.ready, json.dumps(content, indent=2).encode() + b"\n")


def key_files(home: Home) -> list[Path]:
    """The private keys of systems, the oldest first: the operator's, who was there before the others."""
    files = [(path.stat().st_mtime_ns, path) for path in home.keys.glob("organisations.*.json")]
    return [path for _, path in sorted(files)]
