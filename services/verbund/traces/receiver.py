"""The receiving side: OTLP's TraceService on a Unix socket (OpenTelemetry protocol 1, opentelemetry-proto)."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import structlog
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as otlp

from verbund.traces.repair import repaired
from verbund.traces.spans import spans_of
from verbund.traces.store import Store

SERVICE = "opentelemetry.proto.collector.trace.v1.TraceService"
QUEUED_PER_THREAD = 8
METADATA_BYTES_MAX = 8192
REFUSED = "spans whose trace or span id is malformed were not kept"

log = structlog.get_logger(__name__)


class Receiver:
    """Answers Export: what it acknowledges is committed."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def export(self, message: bytes, context: grpc.ServicerContext) -> otlp.ExportTraceServiceResponse:
        """Stores a request's spans. A sender tries again where the answer is UNAVAILABLE, and only there."""
        try:
            request = read(message)
        except DecodeError:
            log.warning("request unreadable", bytes=len(message))
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "this is no ExportTraceServiceRequest")
        spans, refused = spans_of(request)
        try:
            self._store.add(spans, refused=refused)
        except sqlite3.Error as error:
            log.warning("spans not stored", spans=len(spans), cause=str(error))
            context.abort(grpc.StatusCode.UNAVAILABLE, "the trace store cannot write")
        return answer(refused)


def read(message: bytes) -> otlp.ExportTraceServiceRequest:
    """The request in a message, mended where its text is broken. Raises DecodeError."""
    try:
        return otlp.ExportTraceServiceRequest.FromString(message)
    except DecodeError:
        return otlp.ExportTraceServiceRequest.FromString(repaired(message))


def answer(refused: int) -> otlp.ExportTraceServiceResponse:
    """The acknowledgement; it says how many spans were refused, as OTLP has it."""
    if not refused:
        return otlp.ExportTraceServiceResponse()
    log.warning("spans refused", spans=refused)
    partial = otlp.ExportTracePartialSuccess(rejected_spans=refused, error_message=REFUSED)
    return otlp.ExportTraceServiceResponse(partial_success=partial)


def listen(receiver: Receiver, *, socket: Path, threads: int, request_bytes_max: int) -> grpc.Server:
    """A started server on the socket; a socket file left behind is replaced."""
    server = grpc.server(
        ThreadPoolExecutor(max_workers=threads, thread_name_prefix="otlp"),
        options=[
            ("grpc.max_receive_message_length", request_bytes_max),
            ("grpc.max_metadata_size", METADATA_BYTES_MAX),
            ("grpc.so_reuseport", 0),
        ],
        maximum_concurrent_rpcs=threads * QUEUED_PER_THREAD,
    )
    # The message is read in `export`: what gRPC itself cannot read, it answers as a fault of the server.
    method: grpc.RpcMethodHandler[bytes, otlp.ExportTraceServiceResponse] = grpc.unary_unary_rpc_method_handler(
        receiver.export, response_serializer=otlp.ExportTraceServiceResponse.SerializeToString
    )
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(SERVICE, {"Export": method})])
    socket.unlink(missing_ok=True)
    server.add_insecure_port(f"unix:{socket}")
    server.start()
    return server
