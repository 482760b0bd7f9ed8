"""Messages as JSON Schema, by the JSON mapping of proto3: lowerCamelCase, enums by name, 64 bits as texts."""

from collections.abc import Mapping, Sequence

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from verbund.console.openapi import constraints
from verbund.console.openapi.comments import Comments
from verbund.console.openapi.constraints import Schema

INT64 = r"^-?[0-9]{1,20}$"
# How proto3's JSON mapping writes the messages that every protobuf library knows.
WELL_KNOWN: Mapping[str, Schema] = {
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Duration": {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]{1,9})?s$"},
    "google.protobuf.FieldMask": {"type": "string"},
    "google.protobuf.Empty": {"type": "object"},
    "google.protobuf.Struct": {"type": "object"},
    "google.protobuf.Any": {
        "type": "object",
        "properties": {"@type": {"type": "string"}},
        "required": ["@type"],
    },
    "google.api.HttpBody": {"type": "string", "format": "binary"},
}
INTEGERS = {
    FieldDescriptor.CPPTYPE_INT32: ("int32", -(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_UINT32: ("uint32", 0, 2**32 - 1),
}
LONG = {FieldDescriptor.CPPTYPE_INT64: "int64", FieldDescriptor.CPPTYPE_UINT64: "uint64"}


class Schemas:
    """The schemas that operations refer to, by full name. Asking for a message adds it with all it is made of.

    Of `partial` messages an update sends only some fields: their schemas demand no more than the service always does.
    """

    def __init__(self, comments: Comments, partial: frozenset[str] = frozenset()) -> None:
        self._comments = comments
        self._partial = partial
        self.found: dict[str, Schema] = {}

    def comment(self, name: str) -> str:
        """What the proto says of a full name."""
        return self._comments.get(name, "")

    def reference(self, message: Descriptor) -> Schema:
        """A message by reference, or a well-known one as it is. Recursion ends at what was found before."""
        if message.full_name in WELL_KNOWN:
            return dict(WELL_KNOWN[message.full_name])
        if message.full_name not in self.found:
            self.found[message.full_name] = {}
            self.found[message.full_name] = self.object_of(message, message.fields)
        return refer(message.full_name)

    def whole(self, message: Descriptor) -> Schema:
        """A message as its creation wants it."""
        reference = self.reference(message)
        missing = sorted(set(required_of(message.fields)) - set(self.demanded(message)))
        return {"allOf": [reference, {"required": missing}]} if missing else reference

    def demanded(self, message: Descriptor) -> list[str]:
        """The fields that a message always has to have."""
        if message.full_name in self._partial:
            return [field.json_name for field in message.fields if constraints.is_demanded(field)]
        return required_of(message.fields)

    def object_of(self, message: Descriptor, fields: Sequence[FieldDescriptor]) -> Schema:
        """Some fields of a message as an object."""
        schema: Schema = {"type": "object"}
        described = [self.comment(message.full_name), *map(sentence, constraints.sentences_of(message))]
        text = "\n\n".join(part for part in described if part)
        if text:
            schema["description"] = text
        schema["properties"] = {field.json_name: self.property_of(field) for field in fields}
        demanded = set(self.demanded(message))
        required = [field.json_name for field in fields if field.json_name in demanded]
        if required:
            schema["required"] = required
        return schema | exclusive(message, fields)

    def property_of(self, field: FieldDescriptor) -> Schema:
        """A field with its description."""
        schema = self.value_of(field)
        if text := self.comment(field.full_name):
            schema["description"] = text
        if constraints.is_output(field):
            schema["readOnly"] = True
        return schema

    def value_of(self, field: FieldDescriptor) -> Schema:
        """A field's value: one, a list, or a map."""
        rules = constraints.rules_of(field)
        if is_map(field):
            value = constraints.message_of(field).fields_by_name["value"]
            values = self.single(value) | constraints.keywords_of(rules.map.values)
            return {"type": "object", "additionalProperties": values, **constraints.map_keywords(rules)}
        if field.is_repeated:
            return {
                "type": "array",
                "items": self.single(field, rules.repeated.items),
                **constraints.list_keywords(rules),
            }
        return self.single(field, rules)

    def single(self, field: FieldDescriptor, rules: object = None) -> Schema:
        """One value of a field, with the constraints that `rules` state."""
        if field.message_type is not None:
            return self.reference(field.message_type)
        if field.enum_type is not None:
            return self.enumerated(field.enum_type, constraints.excluded(rules) if rules else frozenset())
        keywords = constraints.keywords_of(rules) if rules else {}
        if field.cpp_type in LONG:
            # Bounds are for numbers; JSON has these as texts, which hold more than a JavaScript number can.
            return {"type": "string", "format": LONG[field.cpp_type], "pattern": INT64}
        return scalar(field) | keywords

    def enumerated(self, enum: EnumDescriptor, without: frozenset[int]) -> Schema:
        """An enum by reference, or its values where a field does not take all of them."""
        if enum.full_name not in self.found:
            self.found[enum.full_name] = self.enum_of(enum)
        if not without:
            return refer(enum.full_name)
        return {"type": "string", "enum": [value.name for value in enum.values if value.number not in without]}

    def enum_of(self, enum: EnumDescriptor) -> Schema:
        """The values of an enum, each with what it means."""
        meanings = [f"- `{v.name}`: {self.comment(f'{enum.full_name}.{v.name}')}" for v in enum.values]
        text = "\n".join([self.comment(enum.full_name), "", *meanings])
        return {"type": "string", "description": text.strip(), "enum": [value.name for value in enum.values]}


def refer(name: str) -> Schema:
    """A reference to a schema."""
    return {"$ref": f"#/components/schemas/{name}"}


def is_map(field: FieldDescriptor) -> bool:
    """Whether a field is a map, which descriptors show as a list of entries."""
    return field.message_type is not None and bool(field.message_type.GetOptions().map_entry)


def required_of(fields: Sequence[FieldDescriptor]) -> list[str]:
    """The fields that the proto calls required, or that the service demands."""
    return [field.json_name for field in fields if constraints.is_meant(field) or constraints.is_demanded(field)]


def exclusive(message: Descriptor, fields: Sequence[FieldDescriptor]) -> Schema:
    """That of a oneof at most one field is set."""
    shown = {field.name for field in fields}
    groups = [
        [field.json_name for field in group.fields if field.name in shown]
        for group in message.oneofs
        if len(group.fields) > 1
    ]
    every = [at_most_one(names) for names in groups if len(names) > 1]
    if len(every) > 1:
        return {"allOf": every}
    return every[0] if every else {}


def at_most_one(names: list[str]) -> Schema:
    """Exactly one of the properties, or none of them."""
    one: list[Schema] = [{"required": [name]} for name in names]
    return {"oneOf": [*one, {"not": {"anyOf": one}}]}


def scalar(field: FieldDescriptor) -> Schema:
    """A value that is neither message nor enum."""
    if field.cpp_type in INTEGERS:
        name, least, most = INTEGERS[field.cpp_type]
        return {"type": "integer", "format": name, "minimum": least, "maximum": most}
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return {"type": "boolean"}
    if field.cpp_type in {FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT}:
        return {"type": "number"}
    if field.type == FieldDescriptor.TYPE_BYTES:
        return {"type": "string", "contentEncoding": "base64"}
    return {"type": "string"}


def sentence(text: str) -> str:
    """A message of a constraint as a sentence."""
    return f"{text[:1].upper()}{text[1:].rstrip('.')}." if text else ""
