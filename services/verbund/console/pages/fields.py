"""Schemas for readers: the fields of a request, and the types they are made of."""

from collections.abc import Iterator, Mapping
from typing import Any

from verbund.console.pages.markup import Markup, code, element, joined, link, prose, spoken

Schema = Mapping[str, Any]
REFERENCE = "#/components/schemas/"
# What a keyword means, in words; `{}` is its value.
WORDS: Mapping[str, str] = {
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minimum": "at least {}",
    "maximum": "at most {}",
    "exclusiveMinimum": "more than {}",
    "exclusiveMaximum": "less than {}",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
    "maxProperties": "at most {} entries",
    "pattern": "matches `{}`",
    "const": "always `{}`",
}
WHOLE = {-(2**31), 2**31 - 1}  # what a type says anyway


def listing(rows: list[Markup]) -> Markup:
    """A list of fields, readable on the narrowest screen."""
    return element("dl", *rows, class_="fields") if rows else element("p", "None.")


def field(name: str, schema: Schema, text: str, *marks: str) -> Markup:
    """One field: its name, its type, what is demanded of it, what it means."""
    shown = [
        element("span", mark, class_="mark") for mark in (*marks, "in answers only" if schema.get("readOnly") else "")
    ]
    term = element("dt", code(name), " ", element("span", type_of(schema), class_="type"), *spaced(shown))
    bounds = "; ".join(bounds_of(schema))
    limits = element("p", spoken(f"{bounds[:1].upper()}{bounds[1:]}."), class_="bounds") if bounds else Markup()
    return joined(term, element("dd", prose(text), limits))


def spaced(marks: list[Markup]) -> list[Markup]:
    """Marks with what parts them."""
    return [joined(" ", mark) for mark in marks if not mark.endswith("></span>")]


def properties(schema: Schema) -> list[Markup]:
    """The fields of an object."""
    needed = schema.get("required", ())
    return [
        field(name, inner, inner.get("description", ""), "required" if name in needed else "")
        for name, inner in schema.get("properties", {}).items()
    ]


def type_of(schema: Schema) -> Markup:
    """A type as readers know it; one of ours is a link."""
    if "$ref" in schema:
        name = schema["$ref"].removeprefix(REFERENCE)
        return link(f"#type-{name}", name.rpartition(".")[2])
    if "allOf" in schema:
        return type_of(schema["allOf"][0])
    if schema.get("type") == "array":
        return joined("list of ", type_of(schema["items"]))
    if "additionalProperties" in schema:
        return joined("map of ", type_of(schema["additionalProperties"]))
    return Markup(schema.get("format") or schema.get("type") or "any")


def bounds_of(schema: Schema) -> Iterator[str]:
    """What is demanded of a value, in words."""
    for keyword, words in WORDS.items():
        if keyword in schema and schema[keyword] not in WHOLE:
            yield words.format(schema[keyword])
    if "enum" in schema:
        yield "one of " + ", ".join(f"`{value}`" for value in schema["enum"])
    if schema.get("uniqueItems"):
        yield "each once"
    for name in ("items", "additionalProperties", "propertyNames"):
        inner = schema.get(name, {})
        text = "; ".join(bounds_of(inner)) if inner and "$ref" not in inner else ""
        if text:
            yield f"{'its keys' if name == 'propertyNames' else 'each'}: {text}"


def references_of(value: Any) -> Iterator[str]:
    """The schemas that a part of the document refers to. Recursion is bounded by the document's depth."""
    if isinstance(value, Mapping):
        if str(value.get("$ref", "")).startswith(REFERENCE):
            yield value["$ref"].removeprefix(REFERENCE)
        for inner in value.values():
            yield from references_of(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references_of(inner)


def closure(names: list[str], schemas: Mapping[str, Schema]) -> list[str]:
    """The schemas with all that they refer to, by name."""
    found: set[str] = set()
    while names:
        name = names.pop()
        if name not in found:
            found.add(name)
            names.extend(references_of(schemas[name]))
    return sorted(found)


def type_section(name: str, schema: Schema) -> Markup:
    """A type by itself."""
    heading = element("h3", name.rpartition(".")[2], " ", element("small", code(name)))
    fields = listing(properties(schema)) if schema.get("properties") else Markup()
    return element("section", heading, prose(schema.get("description", "")), fields, id=f"type-{name}")
