"""The constraints of `buf.validate` as JSON Schema says them (draft 2020-12)."""

import re
from collections.abc import Mapping
from typing import Any

from buf.validate import validate_pb2
from google.api import field_behavior_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor

Schema = dict[str, Any]
# Classes of characters that not every reader of JSON Schema knows, and nearly the same in what all know.
PORTABLE = {r"\P{C}": r"[^\x00-\x1f\x7f-\x9f]"}
# The rules of buf.validate that have a keyword of the same meaning.
TEXTS = {"min_len": "minLength", "max_len": "maxLength", "pattern": "pattern", "const": "const"}
FORMATS = {
    "email": "email",
    "hostname": "hostname",
    "ipv4": "ipv4",
    "ipv6": "ipv6",
    "uri": "uri",
    "uri_ref": "uri-reference",
    "uuid": "uuid",
}
NUMBERS = {"gt": "exclusiveMinimum", "gte": "minimum", "lt": "exclusiveMaximum", "lte": "maximum", "const": "const"}
NUMERIC = frozenset(
    {"float", "double", "int32", "int64", "uint32", "uint64", "sint32", "sint64", "fixed32", "fixed64"}
    | {"sfixed32", "sfixed64"}
)


def message_of(field: FieldDescriptor) -> Descriptor:
    """The message that a field holds; raises ValueError where it holds none."""
    if field.message_type is None:
        raise ValueError(f"{field.full_name} is no message")
    return field.message_type


def rules_of(field: FieldDescriptor) -> Any:
    """What the proto demands of a field, a `buf.validate.FieldRules`."""
    return field.GetOptions().Extensions[validate_pb2.field]


def keywords_of(rules: Any) -> Schema:
    """The keywords for a single value. What JSON Schema cannot say stands in the comments."""
    kind = rules.WhichOneof("type")
    if kind == "string":
        return text_keywords(rules.string)
    if kind in NUMERIC:
        return stated(getattr(rules, kind), NUMBERS)
    return {}


def text_keywords(rules: Any) -> Schema:
    """The keywords for a text."""
    found = stated(rules, TEXTS)
    if rules.HasField("len"):
        found |= {"minLength": rules.len, "maxLength": rules.len}
    known = rules.WhichOneof("well_known")
    if known in FORMATS:
        found["format"] = FORMATS[known]
    if "pattern" in found:
        found["pattern"] = portable(found["pattern"])
    values = list(getattr(rules, "in"))
    return found | ({"enum": values} if values else {})


def portable(pattern: str) -> str:
    """A pattern as every reader of JSON Schema can apply it."""
    for known, plain in PORTABLE.items():
        pattern = pattern.replace(known, plain)
    return pattern


def stated(rules: Any, keywords: Mapping[str, str]) -> Schema:
    """The keywords of the rules that are set."""
    return {keyword: getattr(rules, rule) for rule, keyword in keywords.items() if rules.HasField(rule)}


def list_keywords(rules: Any) -> Schema:
    """The keywords for a repeated field, without those for its items."""
    found = stated(rules.repeated, {"min_items": "minItems", "max_items": "maxItems"})
    return found | ({"uniqueItems": True} if rules.repeated.unique else {})


def map_keywords(rules: Any) -> Schema:
    """The keywords for a map, and for its keys."""
    found = stated(rules.map, {"min_pairs": "minProperties", "max_pairs": "maxProperties"})
    keys = keywords_of(rules.map.keys)
    return found | ({"propertyNames": keys} if keys else {})


def excluded(rules: Any) -> frozenset[int]:
    """The numbers of an enum that a field does not take."""
    return frozenset(rules.enum.not_in)


def behaviours_of(field: FieldDescriptor) -> frozenset[int]:
    """The `google.api.field_behavior` of a field."""
    return frozenset(field.GetOptions().Extensions[field_behavior_pb2.field_behavior])


def is_output(field: FieldDescriptor) -> bool:
    """Whether only answers have the field."""
    return field_behavior_pb2.OUTPUT_ONLY in behaviours_of(field)


def is_meant(field: FieldDescriptor) -> bool:
    """Whether the proto calls the field required."""
    return field_behavior_pb2.REQUIRED in behaviours_of(field)


def is_demanded(field: FieldDescriptor) -> bool:
    """Whether a message without the field is refused, whatever it is part of."""
    rules = rules_of(field)
    if rules.ignore != validate_pb2.IGNORE_UNSPECIFIED or is_output(field):
        return False
    return bool(rules.required) or refuses_nothing(field, rules)


def refuses_nothing(field: FieldDescriptor, rules: Any) -> bool:
    """Whether the empty value, which a field that is left out has, breaks a constraint."""
    if field.is_repeated:
        return bool(rules.repeated.min_items or rules.map.min_pairs)
    if field.has_presence:
        return False
    match rules.WhichOneof("type"):
        case "string":
            return refuses_empty_text(text_keywords(rules.string))
        case "enum":
            return 0 in rules.enum.not_in
        case kind if kind in NUMERIC:
            bounds = getattr(rules, kind)
            return bool(bounds.gte > 0 or (bounds.WhichOneof("greater_than") == "gt" and bounds.gt >= 0))
    return False


def refuses_empty_text(keywords: Schema) -> bool:
    """Whether keywords refuse a text of no characters."""
    pattern = keywords.get("pattern")
    return bool(
        keywords.get("minLength")
        or "format" in keywords
        or (pattern is not None and not re.search(pattern, ""))
        or "" not in keywords.get("enum", [""])
    )


def sentences_of(message: Descriptor) -> list[str]:
    """What the constraints in CEL say in words."""
    return [rule.message for rule in message.GetOptions().Extensions[validate_pb2.message].cel if rule.message]
