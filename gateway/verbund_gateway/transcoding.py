"""JSON for every method: Envoy's transcoder, fed with the protos."""

import re
from collections.abc import Iterable, Mapping, Sequence

from google.api import annotations_pb2, http_pb2
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from verbund.policy import catalogue

from verbund_gateway.extension import Config, extension, typed
from verbund_gateway.settings import GatewaySettings

FILTER = "envoy.filters.http.grpc_json_transcoder"
DESCRIPTORS = "descriptors.binpb"


def transcoder(settings: GatewaySettings, services: Sequence[ServiceDescriptor]) -> Config:
    """The filter for the methods of `services`."""
    return extension(
        FILTER,
        "extensions.filters.http.grpc_json_transcoder.v3.GrpcJsonTranscoder",
        proto_descriptor=str(settings.directory / DESCRIPTORS),
        services=[service.full_name for service in services],
        # Numbers of nothing are content, and proto3's JSON mapping writes enums by name.
        print_options={"always_print_primitive_fields": False, "stream_newline_delimited": True},
        convert_grpc_status=True,
        # What forms and most HTTP clients send for a space.
        query_param_unescape_plus=True,
        request_validation_options={
            "reject_unknown_method": True,
            "reject_unknown_query_parameters": True,
            "reject_binding_body_field_collisions": True,
        },
        max_request_body_size=settings.body_bytes_max,
        max_response_body_size=settings.answer_bytes_max,
    )


def switched_off() -> Config:
    """A route that speaks plain HTTP."""
    return {FILTER: typed("config.route.v3.FilterConfig", disabled=True)}


def bindings(method: MethodDescriptor) -> Iterable[tuple[str, str]]:
    """The HTTP methods and path templates of a gRPC method."""
    rule: http_pb2.HttpRule = method.GetOptions().Extensions[annotations_pb2.http]
    for bound in (rule, *rule.additional_bindings):
        verb = bound.WhichOneof("pattern")
        if verb and verb != "custom":
            yield verb.upper(), getattr(bound, verb)


def path_regex(template: str) -> str:
    """The paths that a template takes: `/v1/{name=projects/*}:close` is `/v1/projects/[^/]+:close`."""
    flat = re.sub(r"\{[^=}]+\}", "*", template)
    flat = re.sub(r"\{[^=}]+=([^}]+)\}", r"\1", flat)
    return re.escape(flat).replace(r"\*\*", ".+").replace(r"\*", "[^/:]+")


def descriptor_set(areas: Mapping[str, Sequence[ServiceDescriptor]]) -> bytes:
    """The protos of the areas, and of the details in refusals, which without them have an empty body."""
    return catalogue.descriptor_set(areas).SerializeToString(deterministic=True)
