"""One builder for every service's gRPC server: synchronous, its methods registered from the descriptors."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor

from verbund.policy.table import path_of, rule_of
from verbund.serving.rpc import Behaviour, Interceptor, Rpc, Servicer
from verbund.serving.settings import ServingSettings
from verbund.serving.streams import DOORS, carried_out, holding, serialise
from verbund.serving.watches import Stream

LOOKAHEAD_BYTES = 1024 * 1024


class MissingMethod(TypeError):  # noqa: N818 - says what is the case
    """A servicer lacks the method of an RPC: the start fails, because an RPC in a proto works."""


def build_server(
    settings: ServingSettings,
    interceptors: Sequence[Interceptor],
    servicers: Sequence[Servicer],
    streams: ThreadPoolExecutor,
) -> grpc.Server:
    """A server with every RPC of `servicers` behind the interceptors, the outermost first.

    `streams` are the threads of uploads and downloads.
    """
    server = grpc.server(
        ThreadPoolExecutor(settings.threads, thread_name_prefix="call"),
        options=[
            ("grpc.max_receive_message_length", settings.message_bytes_max),
            ("grpc.max_send_message_length", settings.message_bytes_max * 4),
            ("grpc.max_metadata_size", settings.metadata_bytes_max),
            ("grpc.absolute_max_metadata_size", settings.metadata_bytes_max * 2),
            ("grpc.so_reuseport", 0),
            # Windows that do not grow, since each stream may fill one; an upload seldom waits for one of this size.
            ("grpc.http2.bdp_probe", 0),
            ("grpc.http2.lookahead_bytes", LOOKAHEAD_BYTES),
            ("grpc.http2.max_frame_size", LOOKAHEAD_BYTES),
        ],
        maximum_concurrent_rpcs=settings.threads
        + settings.waiting_calls_max
        + settings.watches_max
        + settings.streams_max
        + DOORS,
    )
    for servicer in servicers:
        handlers = {
            method.name: handler_of(method, servicer, interceptors, streams) for method in servicer.service.methods
        }
        generic = grpc.method_handlers_generic_handler(servicer.service.full_name, handlers)
        server.add_generic_rpc_handlers((generic,))
    return server


def handler_of(
    method: MethodDescriptor, servicer: Servicer, interceptors: Sequence[Interceptor], streams: ThreadPoolExecutor
) -> Any:
    """The gRPC handler of one method. Requests come as bytes: they are read after the caller is known."""
    implementation = getattr(servicer, method.name, None)
    if implementation is None:
        raise MissingMethod(f"{type(servicer).__name__} has no method {method.name}, which {method.full_name} asks for")
    watching = getattr(implementation, "watching", False)
    if watching and (method.client_streaming or not method.server_streaming):
        raise MissingMethod(f"{method.full_name}: only a stream of answers may be a watch")
    if method.client_streaming and method.server_streaming:
        raise MissingMethod(f"{method.full_name}: streams in both directions are not served")
    rpc = Rpc(
        path=path_of(method),
        rule=rule_of(method),
        request=message_factory.GetMessageClass(method.input_type),
        watching=watching,
        takes_stream=method.client_streaming,
        gives_stream=method.server_streaming,
    )
    if watching:
        return grpc.unary_stream_rpc_method_handler(non_blocking(wrapped(rpc, implementation, interceptors)))
    if rpc.holding:
        behaviour = holding(wrapped(rpc, carried_out(rpc, implementation), interceptors), streams)
        if rpc.takes_stream:
            return grpc.stream_stream_rpc_method_handler(behaviour)
        return grpc.unary_stream_rpc_method_handler(behaviour)
    return grpc.unary_unary_rpc_method_handler(wrapped(rpc, serialised(implementation), interceptors))


def wrapped(rpc: Rpc, behaviour: Behaviour, interceptors: Sequence[Interceptor]) -> Behaviour:
    """The behaviour inside all interceptors."""
    for interceptor in reversed(interceptors):
        behaviour = interceptor.wrap(rpc, behaviour)
    return behaviour


def serialised(method: Callable[..., Any]) -> Behaviour:
    """The method, with its answer as bytes; a servicer that has the bytes already gives them as they are."""

    def answered(request: Any, call: Any) -> bytes:
        return serialise(method(request, call))

    return answered


def non_blocking(behaviour: Behaviour) -> Behaviour:
    """The behaviour of a watch as grpcio wants it: with a function to send with instead of an iterator."""

    def opened(request: Any, context: grpc.ServicerContext, send: Callable[[bytes | None], None]) -> None:
        behaviour(request, context, Stream(context, send))

    opened.experimental_non_blocking = True  # type: ignore[attr-defined]
    return opened


def listen(server: grpc.Server, settings: ServingSettings, socket: Path | None) -> None:
    """Binds to the worker's own Unix socket, or with mutual TLS to the address of the settings; raises OSError."""
    if socket is not None:
        socket.unlink(missing_ok=True)  # what a killed worker left behind
        bound = server.add_insecure_port(f"unix:{socket}")
    else:
        bound = server.add_secure_port(settings.listen, credentials(settings))
    if not bound:
        raise OSError(f"cannot listen on {socket or settings.listen}")


def credentials(settings: ServingSettings) -> grpc.ServerCredentials:
    """The server's certificate, and the authority whose certificates may connect."""
    key, certificate, authority = (
        path.read_bytes()
        for path in (settings.tls_key_file, settings.tls_certificate_file, settings.tls_client_ca_file)
        if path is not None
    )
    return grpc.ssl_server_credentials([(key, certificate)], root_certificates=authority, require_client_auth=True)
