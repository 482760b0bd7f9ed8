"""Mends OTLP requests with text that is not UTF-8.

Protobuf refuses such a message whole, and a gateway copies what strangers send into attributes: one request with a
broken header would otherwise take the spans of everybody else in its batch with it.
"""

from collections.abc import Iterable, Iterator

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.resource.v1 import resource_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

FILES = (common_pb2.DESCRIPTOR, resource_pb2.DESCRIPTOR, trace_pb2.DESCRIPTOR, trace_service_pb2.DESCRIPTOR)
REQUEST = trace_service_pb2.ExportTraceServiceRequest.DESCRIPTOR.full_name


def repaired(request: bytes) -> bytes:
    """The same request, what is no UTF-8 replaced by U+FFFD. Raises DecodeError where it is no request at all."""
    message = LENIENT.FromString(request)
    mend(message)
    return message.SerializeToString()


def mend(message: Message) -> None:
    """Mends a message and those in it. Recursion is bounded by protobuf's own bound on nesting, 100."""
    for field, value in message.ListFields():
        if field.full_name in TEXTS and field.is_repeated:
            value[:] = [as_text(item) for item in value]
        elif field.full_name in TEXTS:
            setattr(message, field.name, as_text(value))
        elif field.type == FieldDescriptor.TYPE_MESSAGE:
            for item in value if field.is_repeated else [value]:
                mend(item)


def as_text(value: bytes) -> bytes:
    """The bytes, made UTF-8."""
    return value.decode("utf-8", "replace").encode()


def lenient() -> tuple[type[Message], frozenset[str]]:
    """OTLP's request with bytes for every text, which have the same form on the wire; and those fields' names."""
    pool = DescriptorPool()
    texts: set[str] = set()
    for file in FILES:
        copy = FileDescriptorProto()
        file.CopyToProto(copy)
        for name, field in fields_of(copy.package, copy.message_type):
            if field.type == FieldDescriptorProto.TYPE_STRING:
                field.type = FieldDescriptorProto.TYPE_BYTES
                texts.add(name)
        pool.Add(copy)
    return GetMessageClass(pool.FindMessageTypeByName(REQUEST)), frozenset(texts)


def fields_of(scope: str, messages: Iterable[DescriptorProto]) -> Iterator[tuple[str, FieldDescriptorProto]]:
    """Every field of the messages and of those declared in them, with its full name."""
    for message in messages:
        full_name = f"{scope}.{message.name}"
        yield from ((f"{full_name}.{field.name}", field) for field in message.field)
        yield from fields_of(full_name, message.nested_type)


LENIENT, TEXTS = lenient()
