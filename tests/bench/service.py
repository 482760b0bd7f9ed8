"""GetProject over gRPC at the service, beside a bare echo with one round trip to PostgreSQL."""

from contextlib import ExitStack

from tests.bench.callers import grpc_callers
from tests.bench.figures import Figure, ratios
from tests.bench.parts import Parts
from tests.bench.processor import Counts, spent

ROUNDS = 7
CALLS = 4000
TARGET = 2.0


def measure(parts: Parts) -> list[Figure]:
    """How many times the CPU of the reference a call takes."""
    services = {"registry": parts.registry, "reference": parts.reference}
    found: dict[str, list[Counts]] = {name: [] for name in services}
    with ExitStack() as stack:
        work = {name: stack.enter_context(grpc_callers(parts, name, CALLS)) for name in services}
        for name in services:
            work[name]()
        for _ in range(ROUNDS):
            for name, pid in services.items():
                found[name].append(spent({"service": pid, "PostgreSQL": parts.backends}, work[name]))
    return figures(found["registry"], found["reference"])


def figures(registry: list[Counts], reference: list[Counts]) -> list[Figure]:
    """The rounds as ratios: the process and its database, each and together."""

    def ratio(*names: str) -> list[float]:
        return ratios(*([sum(counts[name] for name in names) for counts in rounds] for rounds in (registry, reference)))

    return [
        Figure(
            what="GetProject over gRPC: service and PostgreSQL",
            unit="x echo + row",
            rounds=ratio("service", "PostgreSQL"),
            target=TARGET,
        ),
        Figure(what="of it the service", unit="x echo", rounds=ratio("service")),
        Figure(what="of it PostgreSQL", unit="x row", rounds=ratio("PostgreSQL")),
    ]
