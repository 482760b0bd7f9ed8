"""Health and reflection: the services that gRPC itself defines, under rules of their own.

Health is for the mesh's own parts, so the gateway does not route it; reflection is for every signed-in caller.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2
from grpc_reflection.v1alpha import reflection, reflection_pb2

from verbund.policy.table import Rule
from verbund.policy.v1 import policy_pb2
from verbund.serving.rpc import Interceptor, Rpc
from verbund.serving.server import wrapped

REFLECTION = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
REFLECTION_RULE = Rule(
    name="grpc.reflection.v1alpha.ServerReflection.ServerReflectionInfo",
    permission="",
    audience=policy_pb2.AUDIENCE_SIGNED_IN,
    least_assurance=policy_pb2.ASSURANCE_LOW,
    rate=policy_pb2.RATE_BULK,
    safe_to_retry=True,
)
REFLECTIONS_MAX = 2  # at once; a stream that stays open holds one of these threads and never a worker's


def add_health(server: grpc.Server) -> health.HealthServicer:
    """Adds `grpc.health.v1.Health` without its blocking Watch, not serving until told so."""
    servicer = health.HealthServicer()
    check = grpc.unary_unary_rpc_method_handler(
        servicer.Check,
        request_deserializer=health_pb2.HealthCheckRequest.FromString,
        response_serializer=health_pb2.HealthCheckResponse.SerializeToString,
    )
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(health.SERVICE_NAME, {"Check": check}),))
    servicer.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
    return servicer


def add_reflection(server: grpc.Server, services: tuple[str, ...], interceptors: tuple[Interceptor, ...]) -> None:
    """Adds reflection of the mesh's services: any worker knows all of them."""
    servicer = reflection.ReflectionServicer((*services, reflection.SERVICE_NAME))
    rpc = Rpc(path=REFLECTION, rule=REFLECTION_RULE, request=None)

    def reflected(requests: Any, context: Any) -> Any:
        return servicer.ServerReflectionInfo(requests, context)  # which it does not look at

    behaviour = wrapped(rpc, reflected, interceptors)
    behaviour.experimental_thread_pool = ThreadPoolExecutor(  # type: ignore[attr-defined]
        REFLECTIONS_MAX, thread_name_prefix="reflection"
    )
    handler = grpc.stream_stream_rpc_method_handler(
        behaviour,
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    name, method = REFLECTION[1:].split("/")
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, {method: handler}),))
