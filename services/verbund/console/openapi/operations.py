"""An RPC's HTTP bindings as operations of OpenAPI."""

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from google.api import annotations_pb2, http_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor

from verbund.console.openapi import constraints, examples, refusals, rules
from verbund.console.openapi.constraints import Schema
from verbund.console.openapi.paths import Collections, Path, path_of
from verbund.console.openapi.refusals import Facts
from verbund.console.openapi.schemas import WELL_KNOWN, Schemas, is_map
from verbund.policy.table import rule_of

HTTP_BODY = "google.api.HttpBody"
READS = ("GET", "HEAD")
NESTING_MAX = 4
CURSORS = frozenset({"page_token", "resume_token"})


@dataclass(frozen=True, slots=True)
class Binding:
    """One way to call an RPC over HTTP."""

    method: MethodDescriptor
    verb: str
    path: Path
    body: str  # the field that is the body, `*` for all that the path leaves, empty for none
    number: int  # among the bindings of the method, from 1


def bindings_of(method: MethodDescriptor, collections: Collections) -> Iterator[Binding]:
    """The bindings of an RPC; raises ValueError for one that this module does not know to describe."""
    rule: http_pb2.HttpRule = method.GetOptions().Extensions[annotations_pb2.http]
    for number, bound in enumerate((rule, *rule.additional_bindings), start=1):
        verb = bound.WhichOneof("pattern")
        if not verb:
            continue
        if verb == "custom" or bound.response_body:
            raise ValueError(f"{method.full_name} has a binding that is not described: custom verb or response_body")
        path = path_of(getattr(bound, verb), method.input_type, collections)
        yield Binding(method, verb.upper(), path, bound.body, number)


class Operations:
    """Makes operations, and gathers the responses and examples they share."""

    def __init__(self, schemas: Schemas) -> None:
        self._schemas = schemas
        self.responses: dict[str, Schema] = {}
        self.examples: dict[str, Schema] = {}

    def operation(self, binding: Binding) -> Schema:
        """The operation of a binding."""
        method = binding.method
        rule = rule_of(method)
        text = self._schemas.comment(method.full_name)
        first, _, _ = text.partition("\n\n")
        suffix = f"_{binding.number}" if binding.number > 1 else ""
        found: Schema = {
            "operationId": f"{method.containing_service.name}_{method.name}{suffix}",
            "tags": [method.containing_service.full_name],
            "summary": summary_of(first),
            "description": "\n\n".join([text, rules.sentence_of(rule)]),
            "parameters": [*self.path_parameters(binding), *self.query_parameters(binding)],
        }
        if binding.body:
            found["requestBody"] = self.body(binding)
        return found | {
            "responses": {"200": self.answer(method), **self.refused(binding)},
            "security": rules.security_of(rule),
            **rules.extensions_of(rule),
            "x-grpc-method": f"/{method.containing_service.full_name}/{method.name}",
            "x-codeSamples": [{"lang": "curl", "source": self.curl(binding)}],
        }

    def path_parameters(self, binding: Binding) -> list[Schema]:
        """The parameters in the path."""
        return [
            {
                "name": parameter.name,
                "in": "path",
                "required": True,
                "description": f"A part of `{parameter.field}`, `{parameter.whole}`.",
                "schema": {"type": "string", "pattern": parameter.pattern},
                "example": examples.member(parameter.collection, parameter.pattern),
            }
            for parameter in binding.path.parameters
        ]

    def query_parameters(self, binding: Binding) -> list[Schema]:
        """The fields of the request that stand neither in the path nor in the body."""
        if binding.body == "*":
            return []
        left = [field for field in binding.method.input_type.fields if field.name != binding.body]
        return [
            parameter
            for field in left
            for parameter in self.query(field, binding.path.fields, field.name, field.json_name)
        ]

    def query(self, field: FieldDescriptor, taken: frozenset[str], path: str, name: str) -> Iterator[Schema]:
        """A field as query parameters: with dots where it is a message. Recursion is bounded."""
        if path in taken or constraints.is_output(field) or is_map(field):
            return
        message = field.message_type
        if message is None or message.full_name in WELL_KNOWN:
            schema = self._schemas.property_of(field)
            found: Schema = {
                "name": name,
                "in": "query",
                "description": schema.pop("description", ""),
                "schema": schema,
            }
            if field.is_repeated:
                found |= {"style": "form", "explode": True}
            yield found | ({"required": True} if is_needed(field) else {})
        elif not field.is_repeated and name.count(".") < NESTING_MAX:
            for inner in message.fields:
                yield from self.query(inner, taken, f"{path}.{inner.name}", f"{name}.{inner.json_name}")

    def body(self, binding: Binding) -> Schema:
        """The request's body."""
        message = binding.method.input_type
        if binding.body == "*":
            fields = [field for field in message.fields if field.name not in binding.path.fields]
            schema, example = self._schemas.object_of(message, fields), examples.request(message, fields)
            needed = bool(schema.get("required"))
        else:
            field = message.fields_by_name[binding.body]
            content = constraints.message_of(field)
            if content.full_name == HTTP_BODY:
                return self.raw_body(field)
            schema, example = self.content(binding, content), example_of(binding, content)
            needed = is_needed(field)
        return {"required": needed, "content": {"application/json": {"schema": schema, "example": example}}}

    def raw_body(self, field: FieldDescriptor) -> Schema:
        """A body that is content, of any type."""
        schema = {"type": "string", "format": "binary"}
        text = self._schemas.comment(field.full_name)
        return {"required": True, "description": text, "content": {"application/octet-stream": {"schema": schema}}}

    def content(self, binding: Binding, message: Descriptor) -> Schema:
        """The body that is one field: whole where it creates something, any part of it where it changes."""
        return self._schemas.reference(message) if binding.verb == "PATCH" else self._schemas.whole(message)

    def answer(self, method: MethodDescriptor) -> Schema:
        """The answer of a call that succeeds."""
        message = method.output_type
        headers = {"x-trace-id": {"$ref": "#/components/headers/x-trace-id"}}
        if message.full_name == HTTP_BODY:
            return {"description": "The content.", "headers": headers, "content": {"*/*": {}}}
        media: Schema = {"schema": self._schemas.reference(message)}
        text = self._schemas.comment(message.full_name) or "Done."
        if method.server_streaming:
            media["x-stream"] = "ndjson"
            text += "\n\nThe answer does not end: each line is one message, as JSON (NDJSON)."
        else:
            self.examples.setdefault(message.full_name, {"value": examples.answer(message)})
            media["examples"] = {"answer": {"$ref": f"#/components/examples/{message.full_name}"}}
        return {"description": text, "headers": headers, "content": {"application/json": media}}

    def refused(self, binding: Binding) -> Schema:
        """The refusals that can come instead, by status."""
        names = {field.name for field in binding.method.input_type.fields}
        facts = Facts(
            rule=rule_of(binding.method),
            changes=binding.verb not in READS,
            has_parameters=bool(binding.path.parameters),
            has_body=bool(binding.body),
            has_cursor=bool(names & CURSORS),
            has_request_id="request_id" in names,
            streams=binding.method.client_streaming or binding.method.server_streaming,
        )
        return self.share(refusals.refusals_of(facts))

    def share(self, found: dict[int, list[str]]) -> Schema:
        """References to responses with these reasons."""
        shared: Schema = {}
        for status, reasons in found.items():
            name = refusals.response_name(status, reasons)
            self.responses.setdefault(name, refusals.response_of(status, reasons))
            shared[str(status)] = {"$ref": f"#/components/responses/{name}"}
        return shared

    def curl(self, binding: Binding) -> str:
        """A call with curl."""
        path = binding.path.text
        for parameter in binding.path.parameters:
            found = examples.member(parameter.collection, parameter.pattern)
            path = path.replace(f"{{{parameter.name}}}", found)
        query = example_query(binding)
        url = f'"$MESH{path}{"?" + query if query else ""}"'
        lines = [f'curl --cacert "$CA" -H "Authorization: Bearer $TOKEN" -X {binding.verb}']
        lines += body_lines(self.body(binding)) if binding.body else []
        if binding.method.server_streaming:
            lines.append("  --no-buffer")
        return " \\\n".join([*lines, f"  {url}"])


def body_lines(body: Schema) -> list[str]:
    """The part of a call with curl that sends a body."""
    (media, content), *_ = body["content"].items()
    if "example" not in content:
        return [f'  -H "Content-Type: {media}" --data-binary @file']
    sent = json.dumps(content["example"], ensure_ascii=False, indent=2)
    return [f'  -H "Content-Type: {media}"', f"  -d {shlex.quote(sent)}"]


def example_query(binding: Binding) -> str:
    """The query of a call with curl: what is required, and a request id."""
    if binding.body == "*":
        return ""
    message = binding.method.input_type
    taken = binding.path.fields | {binding.body}
    fields = [f for f in message.fields if f.name not in taken and f.message_type is None and not f.is_repeated]
    found = examples.request(message, fields)
    mask = [f for f in message.fields if f.message_type and f.message_type.full_name == "google.protobuf.FieldMask"]
    parts = [f"{f.json_name}={first_field(binding)}" for f in mask]
    return "&".join([*parts, *(f"{name}={quote(str(value), safe=':/')}" for name, value in found.items())])


def first_field(binding: Binding) -> str:
    """The field that the example of an update changes."""
    content = constraints.message_of(binding.method.input_type.fields_by_name[binding.body])
    return next(iter(example_of(binding, content)), "*")


def example_of(binding: Binding, message: Descriptor) -> Any:
    """A body that is one field; of an update, with what every update demands and one field more."""
    whole = examples.request(message, message.fields)
    if binding.verb != "PATCH":
        return whole
    demanded = [field.json_name for field in message.fields if constraints.is_demanded(field)]
    return {name: whole[name] for name in (demanded or list(whole)[:1]) if name in whole}


def is_needed(field: FieldDescriptor) -> bool:
    """Whether a call without the field is refused."""
    return constraints.is_meant(field) or constraints.is_demanded(field)


def summary_of(paragraph: str) -> str:
    """The first sentence of a paragraph, without its full stop."""
    first, _, _ = paragraph.partition(". ")
    return first.rstrip(".")
