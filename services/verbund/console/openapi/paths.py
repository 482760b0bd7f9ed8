"""The path templates of `google.api.http` as OpenAPI has them: `/v1/{name=projects/*}` is `/v1/projects/{project}`."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from google.api import resource_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor, FileDescriptor

from verbund.console.openapi import constraints

VARIABLE = re.compile(r"\{([^=}]+)(?:=([^}]+))?\}")
SEGMENT = "^[^/:]+$"  # what the gateway takes for a `*`
Collections = Mapping[str, str]  # the name of one member by the name of its collection


@dataclass(frozen=True, slots=True)
class Parameter:
    """One `{parameter}` of a path."""

    name: str
    pattern: str
    collection: str
    field: str  # the field of the request that it is a part of, by its proto path
    whole: str  # that field's form, `organisations/{organisation}/systems/{system}`


@dataclass(frozen=True, slots=True)
class Path:
    """A path with its parameters."""

    text: str
    parameters: tuple[Parameter, ...]

    @property
    def fields(self) -> frozenset[str]:
        """The fields of the request that the path says, by their proto paths."""
        return frozenset(parameter.field for parameter in self.parameters)


def collections_of(files: Iterable[FileDescriptor]) -> Collections:
    """What one member of each collection is called, as the patterns of the resources say."""
    found: dict[str, str] = {}
    for file in files:
        for message in file.message_types_by_name.values():
            for pattern in message.GetOptions().Extensions[resource_pb2.resource].pattern:
                found |= dict(re.findall(r"([a-z_-]+)/\{([a-z_]+)\}", pattern))
    return found


def path_of(template: str, request: Descriptor, collections: Collections) -> Path:
    """The path of a binding; raises ValueError where two of its parameters had one name."""
    parameters: list[Parameter] = []

    def opened(match: re.Match[str]) -> str:
        found = list(parameters_of(match[1], match[2] or "*", request, collections))
        parameters.extend(found)
        return found[0].whole

    text = VARIABLE.sub(opened, template)
    names = [parameter.name for parameter in parameters]
    if len(set(names)) < len(names):
        raise ValueError(f"{template} has two parameters of one name: {', '.join(names)}")
    return Path(text, tuple(parameters))


def parameters_of(field: str, form: str, request: Descriptor, collections: Collections) -> Iterator[Parameter]:
    """The parameters of one variable; the forms of its parts come from the constraint of the field."""
    parts = form.split("/")
    names = [
        collections.get(parts[index - 1] if index else "", json_name(field)) if part.startswith("*") else ""
        for index, part in enumerate(parts)
    ]
    whole = "/".join(f"{{{name}}}" if name else part for name, part in zip(names, parts, strict=True))
    patterns = patterns_of(pattern_of(field_of(request, field)), parts)
    for index, name in enumerate(names):
        if name:
            collection = parts[index - 1] if index else ""
            yield Parameter(name, patterns.get(index, SEGMENT), collection, field, whole)


def field_of(message: Descriptor, path: str) -> FieldDescriptor:
    """The field at a proto path; raises KeyError."""
    first, _, rest = path.partition(".")
    field = message.fields_by_name[first]
    return field_of(constraints.message_of(field), rest) if rest else field


def json_name(path: str) -> str:
    """The last field of a proto path as JSON names it."""
    first, *rest = path.rpartition(".")[2].split("_")
    return first + "".join(word.capitalize() for word in rest)


def pattern_of(field: FieldDescriptor) -> str:
    """The pattern that a field's constraint states, empty where it has none."""
    return str(constraints.rules_of(field).string.pattern)


def patterns_of(pattern: str, parts: list[str]) -> dict[int, str]:
    """The patterns of the parts that vary, by their place, from the alternative that has this form."""
    for alternative in filter(None, alternatives_of(pattern)):
        found = alternative.split("/")
        if len(found) == len(parts) and all(
            part.startswith("*") or part == text for part, text in zip(parts, found, strict=True)
        ):
            return {index: f"^{found[index]}$" for index, part in enumerate(parts) if part.startswith("*")}
    return {}


def alternatives_of(pattern: str) -> list[str]:
    """What stands between the outermost bars, without anchors. Recursion is bounded by the parentheses."""
    found = [text.removeprefix("^").removesuffix("$") for text in split(pattern)]
    return [
        inner
        for text in found
        for inner in (alternatives_of(text[1:-1]) if closes_at(text) == len(text) - 1 and text else [text])
    ]


def split(pattern: str) -> list[str]:
    """A pattern at its outermost bars."""
    parts, depth = [""], 0
    for character in pattern:
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(character, 0)
        if character == "|" and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def closes_at(text: str) -> int:
    """Where the parenthesis that a text begins with is closed; -1 where it begins with none."""
    depth = 0
    for index, character in enumerate(text):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth == 0:
            return index or -1
    return -1
