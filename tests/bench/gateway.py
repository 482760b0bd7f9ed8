"""The same call as JSON over TLS through the gateway, beside the service alone."""

from contextlib import ExitStack

from tests.bench.callers import TRACED_OF, grpc_callers, json_callers
from tests.bench.figures import Figure, ratios
from tests.bench.parts import Parts
from tests.bench.processor import Counts, spent
from tests.support.envoy import gateway_settings, start_envoy

ROUNDS = 5
CALLS = 4000
TARGET = 0.35
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
    alone: list[Counts] = []
    behind: list[Counts] = []
    with ExitStack() as stack:
        gateway = stack.enter_context(start_envoy(settings, parts.issuer.keys()))
        service = {"service": parts.registry, "PostgreSQL": parts.backends}
        everything = service | {"gateway": gateway.process.pid}
        direct = stack.enter_context(grpc_callers(parts, "registry", CALLS))
        through = stack.enter_context(json_callers(settings.port, settings.certificate_file, parts.token, CALLS))
        through()
        for _ in range(ROUNDS):
            alone.append(spent(service, direct))
            behind.append(spent(everything, through))
    return figures(alone, behind)


def figures(alone: list[Counts], behind: list[Counts]) -> list[Figure]:
    """Envoy's own CPU, and how the whole compares with the service that is called directly."""
    return [
        Figure(
            what="JSON over TLS: what the gateway adds",
            unit="CPU s per 1,000",
            rounds=[counts["gateway"] for counts in behind],
            target=TARGET,
        ),
        Figure(
            what="gateway, service and PostgreSQL",
            unit="x the service alone",
            rounds=ratios([sum(counts.values()) for counts in behind], [sum(counts.values()) for counts in alone]),
        ),
        Figure(
            what="of it the service",
            unit="x the service alone",
            rounds=ratios([counts["service"] for counts in behind], [counts["service"] for counts in alone]),
        ),
    ]
