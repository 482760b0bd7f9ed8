"""The same call as JSON over TLS through the gateway, beside the service alone and the bare echo."""

from contextlib import ExitStack

from tests.bench.callers import TRACED_OF, grpc_callers, json_callers
from tests.bench.figures import Figure, ratios
from tests.bench.parts import Parts
from tests.bench.processor import Counts, spent
from tests.support.envoy import gateway_settings, start_envoy

ROUNDS = 7
CALLS = 2400
TARGET = 0.35
# The same in a unit that does not depend on the machine: echo + row cost 0.24 where the target was set.
TARGET_RATIO = 1.46
UNLIMITED = 10_000_000  # calls; the limit is counted all the same


def measure(parts: Parts) -> list[Figure]:
    """What the gateway adds to a call."""
    settings = gateway_settings(
        parts.directory,
        workers=1,
        rate_read=UNLIMITED,
        trace_endpoint=f"unix:{parts.sockets / 'traces.sock'}",
        trace_percent=100 / TRACED_OF,
    )
    found: dict[str, list[Counts]] = {"echo": [], "alone": [], "behind": []}
    with ExitStack() as stack:
        gateway = stack.enter_context(start_envoy(settings, parts.issuer.keys()))
        service = {"service": parts.registry, "PostgreSQL": parts.backends}
        measured = {
            "echo": {"service": parts.reference, "PostgreSQL": parts.backends},
            "alone": service,
            "behind": service | {"gateway": gateway.process.pid},
        }
        work = {
            "echo": stack.enter_context(grpc_callers(parts, "reference", CALLS)),
            "alone": stack.enter_context(grpc_callers(parts, "registry", CALLS)),
            "behind": stack.enter_context(
                json_callers(settings.port, settings.certificate_file, parts.token, CALLS),
            ),
        }
        for name in measured:
            work[name]()
        for _ in range(ROUNDS):
            for name, processes in measured.items():
                found[name].append(spent(processes, work[name]))
    return figures(**found)


def figures(echo: list[Counts], alone: list[Counts], behind: list[Counts]) -> list[Figure]:
    """Envoy's own CPU, and how the whole compares with the service that is called directly."""
    added = [counts["gateway"] for counts in behind]
    return [
        Figure(what="JSON over TLS: what the gateway adds", unit="CPU s per 1,000", rounds=added, target=TARGET),
        Figure(
            what="the same, beside the bare echo",
            unit="x echo + row",
            rounds=ratios(added, [sum(counts.values()) for counts in echo]),
            target=TARGET_RATIO,
        ),
        Figure(
            what="gateway, service and PostgreSQL",
            unit="x the service alone",
            rounds=ratios([sum(counts.values()) for counts in behind], [sum(counts.values()) for counts in alone]),
        ),
    ]
