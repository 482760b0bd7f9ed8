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

QUEUE_MAX = 2048
log = structlog.get_logger(__name__)


class Counting(SpanExporter):
    """An exporter that counts what was sent and what was lost, and says it once per outage."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._lock = Lock()
        self._failing = False
        self.sent = 0
        self.dropped = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Hands the spans on."""
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
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Waits until what was handed on is sent."""
        return self._exporter.force_flush(timeout_millis)


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
    provider.add_span_processor(
        BatchSpanProcessor(Counting(exporter_of(environment)), max_queue_size=QUEUE_MAX, schedule_delay_millis=500)
    )
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
