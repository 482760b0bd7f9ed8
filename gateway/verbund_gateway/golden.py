"""The golden file: the configuration for documented example settings, so that every change of it is seen in review.

python -m verbund_gateway.golden            compare gateway/envoy.golden.yaml with what is rendered
python -m verbund_gateway.golden --write    write it
"""

import sys
from pathlib import Path

import yaml

from verbund_gateway.render import Files, render
from verbund_gateway.settings import GatewaySettings

FILE = Path(__file__).resolve().parent.parent / "envoy.golden.yaml"
HEAD = "# What `verbund gateway render --example` prints. Written by `python -m verbund_gateway.golden --write`.\n"
EXAMPLE = GatewaySettings(
    directory=Path("/var/lib/verbund/gateway"),
    socket_directory=Path("/var/lib/verbund/run"),
    certificate_file=Path("/var/lib/verbund/tls/server.pem"),
    key_file=Path("/var/lib/verbund/tls/server.key"),
    issuer="https://mesh.example",
    console_secret_file=Path("/var/lib/verbund/keys/console-client.secret"),
    cookie_secret_file=Path("/var/lib/verbund/keys/browser-cookies.secret"),
    cors_origins=("https://portal.example",),
    trace_endpoint="unix:/var/lib/verbund/run/traces.grpc.sock",
    trace_percent=10.0,
)
# The public key of RFC 7517, appendix A.1.
EXAMPLE_KEYS = {
    "keys": [
        {
            "kty": "EC",
            "crv": "P-256",
            "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
            "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
            "kid": "example",
        }
    ]
}


def example() -> str:
    """The example's configuration as YAML."""
    return HEAD + as_yaml(render(EXAMPLE, EXAMPLE_KEYS))


def as_yaml(files: Files) -> str:
    """The files as one YAML document, by name; those that are not JSON are named with their length only."""
    shown = {name: content if isinstance(content, dict) else f"{len(content)} bytes" for name, content in files.items()}
    return yaml.dump(shown, Dumper=Plain, sort_keys=False, width=140, allow_unicode=True)


class Plain(yaml.CSafeDumper):
    """Writes what is used twice twice, without YAML's anchors."""

    def ignore_aliases(self, data: object) -> bool:
        """Nothing is an alias."""
        del data
        return True


def main(arguments: list[str]) -> int:
    """Compares or writes; 1 where the file is out of date."""
    if "--write" in arguments:
        FILE.write_text(example())
    elif FILE.read_text() != example():
        sys.stderr.write("gateway/envoy.golden.yaml is out of date: run `python -m verbund_gateway.golden --write`\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
