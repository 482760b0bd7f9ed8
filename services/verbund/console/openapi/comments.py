"""The comments of the protos, by the full name of what they stand above. Only protoc knows them: stubs carry none."""

from collections.abc import Iterator, Mapping
from typing import Any

from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

Comments = Mapping[str, str]
Path = tuple[int, ...]


def comments_of(image: FileDescriptorSet) -> Comments:
    """What stands above each service, method, message, field and enum value, in paragraphs.

    `image` was compiled with source info.
    """
    found: dict[str, str] = {}
    for file in image.file:
        told = {tuple(place.path): place.leading_comments for place in file.source_code_info.location}
        found |= {name: text_of(told[path]) for path, name in names_of(file) if told.get(path)}
    return found


def names_of(file: FileDescriptorProto) -> Iterator[tuple[Path, str]]:
    """The full names in a file by their paths, the numbers of fields and indices that source info uses."""
    for index, service in enumerate(file.service):
        path, name = (file.SERVICE_FIELD_NUMBER, index), f"{file.package}.{service.name}"
        yield path, name
        yield from members(path, name, service.METHOD_FIELD_NUMBER, service.method)
    for index, message in enumerate(file.message_type):
        yield from within_message((file.MESSAGE_TYPE_FIELD_NUMBER, index), file.package, message)
    for index, enum in enumerate(file.enum_type):
        yield from within_enum((file.ENUM_TYPE_FIELD_NUMBER, index), file.package, enum)


def within_message(path: Path, scope: str, message: Any) -> Iterator[tuple[Path, str]]:
    """A message, its fields, and what is declared in it. Recursion is bounded by the nesting of the proto."""
    name = f"{scope}.{message.name}"
    yield path, name
    yield from members(path, name, message.FIELD_FIELD_NUMBER, message.field)
    yield from members(path, name, message.ONEOF_DECL_FIELD_NUMBER, message.oneof_decl)
    for index, nested in enumerate(message.nested_type):
        yield from within_message((*path, message.NESTED_TYPE_FIELD_NUMBER, index), name, nested)
    for index, enum in enumerate(message.enum_type):
        yield from within_enum((*path, message.ENUM_TYPE_FIELD_NUMBER, index), name, enum)


def within_enum(path: Path, scope: str, enum: Any) -> Iterator[tuple[Path, str]]:
    """An enum and its values, which descriptors name beside it: `package.Enum` has the values `package.Enum.VALUE`."""
    name = f"{scope}.{enum.name}"
    yield path, name
    yield from members(path, name, enum.VALUE_FIELD_NUMBER, enum.value)


def members(path: Path, scope: str, number: int, found: Any) -> Iterator[tuple[Path, str]]:
    """What a repeated field of a declaration declares."""
    for index, member in enumerate(found):
        yield (*path, number, index), f"{scope}.{member.name}"


def text_of(comment: str) -> str:
    """A comment with its lines joined: an empty line parts paragraphs."""
    paragraphs = ("\n".join(line.strip() for line in comment.splitlines())).split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs if paragraph.strip())
