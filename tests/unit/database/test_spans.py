"""What a statement's span tells."""

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from psycopg import errors
from verbund.database.rows import spanned


def test_a_failed_statement_tells_its_code_and_no_value() -> None:
    """PostgreSQL's texts quote what was written: neither status nor events of the span hold them."""
    provider = TracerProvider()
    finished = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(finished))
    tracer = provider.get_tracer("test")
    with (
        tracer.start_as_current_span("call"),
        pytest.raises(errors.InvalidTextRepresentation),
        spanned(tracer, "SELECT %(id)s::uuid"),
    ):
        raise errors.InvalidTextRepresentation('invalid input syntax for type uuid: "Erika Mustermann"')
    span = finished.get_finished_spans()[0]
    assert span.attributes is not None
    assert (span.attributes["error.type"], span.status.status_code) == ("22P02", StatusCode.ERROR)
    assert "Erika" not in span.to_json()
