"""Where spans go: an OTLP exporter by the standard OTEL_* settings.

Losing the backend costs spans, never calls or memory.
"""

from collections.abc import Mapping, Sequence
from threading import Lock

import structlog
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from verbund.settings import read

QUEUE_SETTING = "OTEL_BSP_MAX_QUEUE_SIZE"
QUEUE_MAX = 2048
DELAY_MILLISECONDS = 500
log = structlog.get_logger(__name__)


class Counting(SpanExporter):
    """An exporter that counts what was sent and what was lost, and says it once per outage."""

    def __init__(self, exporter: SpanExporter, *, queue_max: int = QUEUE_MAX) -> None:
        self._exporter = exporter
        self._queue_max = queue_max
        self._lock = Lock()
        self._failing = False
        self._waiting = 0
        self.sent = 0
        self.dropped = 0

    def expect(self) -> None:
        """A span is about to be queued; where there is no room, the oldest one is thrown away for it."""
        with self._lock:
            if self._waiting < self._queue_max:
                self._waiting += 1
            else:
                self.dropped += 1

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Hands the spans on."""
        with self._lock:
            self._waiting -= len(spans)
        try:
            result = self._exporter.export(spans)
        except Exception:  # noqa: BLE001 - whatever an exporter raises, calls go on
            result = SpanExportResult.FAILURE
        failed = result is not SpanExportResult.SUCCESS
        with self._lock:
            self.dropped += len(spans) if failed else 0
            self.sent += 0 if failed else len(spans)
            changed, self._failing = failed != self._failing, failed
        if changed:
            log.warning("telemetry", state="lost" if failed else "flowing", dropped=self.dropped, sent=self.sent)
        return result

    def shutdown(self) -> None:
        """Closes the exporter."""
        if self.dropped:
            log.warning("telemetry", state="ended", dropped=self.dropped, sent=self.sent)
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Waits until what was handed on is sent."""
        return self._exporter.force_flush(timeout_millis)


class Queue(BatchSpanProcessor):
    """The bounded queue before the exporter. OpenTelemetry's own does not tell how many it throws away."""

    def __init__(self, counting: Counting, *, queue_max: int) -> None:
        super().__init__(counting, max_queue_size=queue_max, schedule_delay_millis=DELAY_MILLISECONDS)
        self._counting = counting

    def on_end(self, span: ReadableSpan) -> None:
        """Queues a span that is to be kept."""
        if span.context is not None and span.context.trace_flags.sampled:
            self._counting.expect()
        super().on_end(span)


def configure(*, area: str, environment: Mapping[str, str]) -> TracerProvider | None:
    """The process's tracer provider, None where no OTLP endpoint is set. Sampling follows the gateway's decision.

    Which part of the traces begins at all is the gateway's setting; a call that starts elsewhere follows
    OTEL_TRACES_SAMPLER.
    """
    endpoint = environment.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") or environment.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    if not endpoint or environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    name = environment.get("OTEL_SERVICE_NAME") or area
    provider = TracerProvider(resource=Resource.create({"service.name": name}))
    queue_max = int(read(QUEUE_SETTING, environment.get(QUEUE_SETTING, str(QUEUE_MAX)), int))
    provider.add_span_processor(Queue(Counting(exporter_of(environment), queue_max=queue_max), queue_max=queue_max))
    trace.set_tracer_provider(provider)
    return provider


def exporter_of(environment: Mapping[str, str]) -> SpanExporter:
    """The exporter of the protocol that OTEL_EXPORTER_OTLP_PROTOCOL names: `grpc`, the default, or `http/protobuf`."""
    protocol = environment.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or environment.get("OTEL_EXPORTER_OTLP_PROTOCOL")
    if protocol == "http/protobuf":
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as Http  # noqa: PLC0415

        return Http()
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as Grpc  # noqa: PLC0415

    return Grpc()
