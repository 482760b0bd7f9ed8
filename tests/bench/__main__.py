"""`make bench`: measures speed and memory, each figure beside its reference in the same run.

`make bench ARGS="service watches"` measures some, and writes nothing.
"""

import signal
import sys
from collections.abc import Callable

from tests.bench import exchange_tokens, gateway, mesh, pages, parts, report, service, transfer, watches
from tests.bench.figures import Figure
from tests.bench.parts import Parts

SCENARIOS: dict[str, Callable[[Parts], list[Figure]]] = {
    "service": service.measure,
    "gateway": gateway.measure,
    "exchange": exchange_tokens.measure,
    "watches": watches.measure,
    "pages": pages.measure,
    "files": lambda _: transfer.measure(),
    "mesh": lambda _: mesh.measure(),
}


def main(names: list[str]) -> int:
    """Measures the named scenarios, or all; the figures of all are written to docs/performance.md."""
    unknown = sorted(set(names) - set(SCENARIOS))
    if unknown:
        print(f"There is no scenario {', '.join(unknown)}: there are {', '.join(SCENARIOS)}.", file=sys.stderr)
        return 2
    figures: list[Figure] = []
    with parts.running() as found:
        for name in names or SCENARIOS:
            print(f"Measuring: {name} ...", flush=True)
            for figure in SCENARIOS[name](found):
                print(report.row(figure), flush=True)
                figures.append(figure)
    if not names:
        report.write(figures)
        print(f"Written: {report.DOCUMENT.name} and {report.PICTURE.name}")
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is stopped
    raise SystemExit(main(sys.argv[1:]))
