"""The OpenAPI document (3.1) of everything that is called over HTTP, made from the descriptors and the rule tables."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from google.api import annotations_pb2
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor

from verbund.console.openapi import constraints, plain, refusals, rules
from verbund.console.openapi.comments import Comments
from verbund.console.openapi.constraints import Schema
from verbund.console.openapi.operations import Operations, bindings_of
from verbund.console.openapi.paths import Collections, collections_of
from verbund.console.openapi.schemas import Schemas
from verbund.policy import catalogue
from verbund.policy.table import HttpRoute, rule_of

VERSION = "v1"  # of the packages in it, not of the software that serves them
DESCRIPTION = """\
Every method of the mesh that can be called over HTTP. The same methods are gRPC, under the names in `x-grpc-method`.

JSON is proto3's mapping: names in lowerCamelCase, enums by name, 64-bit numbers as texts, nothing for what is empty.
Fields that a method does not know are ignored in bodies, and refused in queries. A `requestId`, a UUID, makes the
repetition of a change harmless for 48 hours.

A refusal is a `google.rpc.Status`. Its first detail says the `reason`, whether a retry can help, who can remove the
cause, and what they do. Every answer names its trace in the header `x-trace-id`.
"""


class CollisionError(ValueError):
    """Two operations have one path and method, or one id."""


def document(
    comments: Comments,
    areas: Mapping[str, Iterable[ServiceDescriptor]] = catalogue.AREAS,
    routes: Iterable[HttpRoute] = catalogue.HTTP_ROUTES,
) -> dict[str, Any]:
    """The document; raises CollisionError."""
    routes = tuple(routes)
    services = {area: tuple(found) for area, found in areas.items()}
    every = [service for found in services.values() for service in found]
    collections = collections_of({service.file.name: service.file for service in every}.values())
    schemas = Schemas(comments, partial_messages(every))
    operations = Operations(schemas)
    paths = Paths()
    for method in (method for service in every for method in service.methods):
        add_method(paths, operations, method, collections)
    for route in routes:
        for path, verb, operation in plain.operations(route):
            paths.add(path, verb, operation)
    plain_areas = list(dict.fromkeys(route.area for route in routes))
    return {
        "openapi": "3.1.0",
        "info": {"title": "Verbund", "version": VERSION, "description": DESCRIPTION, "license": license_of()},
        "servers": [{"url": "/", "description": "The gateway that serves this document."}],
        "tags": [*service_tags(comments, services), *plain.tags(plain_areas)],
        "paths": dict(sorted(paths.found.items())),
        "components": {
            "schemas": dict(sorted({**schemas.found, **refusals.schemas(), **plain.schemas(plain_areas)}.items())),
            "responses": dict(sorted(operations.responses.items())),
            "examples": {**refusals.examples(comments), **dict(sorted(operations.examples.items()))},
            "headers": headers(),
            "securitySchemes": {rules.SCHEME: security_scheme()},
        },
    }


def as_text(found: Mapping[str, Any]) -> str:
    """The document as it is kept and served."""
    return json.dumps(found, ensure_ascii=False, indent=1) + "\n"


class Paths:
    """The paths, each kind of operation once."""

    def __init__(self) -> None:
        self.found: dict[str, Schema] = {}
        self._shapes: dict[str, str] = {}
        self._ids: set[str] = set()

    def add(self, path: str, verb: str, operation: Schema) -> None:
        """Adds an operation; raises CollisionError where another has its path and method, or its id."""
        shape = re.sub(r"\{[^}]+\}", "{}", path)
        if self._shapes.setdefault(shape, path) != path:
            raise CollisionError(f"{path} and {self._shapes[shape]} are the same path to OpenAPI")
        item = self.found.setdefault(path, {})
        if verb.lower() in item:
            raise CollisionError(f"{verb} {path} is described twice")
        if operation["operationId"] in self._ids:
            raise CollisionError(f"two operations are called {operation['operationId']}")
        self._ids.add(operation["operationId"])
        item[verb.lower()] = operation


def add_method(paths: Paths, operations: Operations, method: MethodDescriptor, collections: Collections) -> None:
    """Adds the operations of an RPC."""
    for binding in bindings_of(method, collections):
        paths.add(binding.path.text, binding.verb, operations.operation(binding))


def partial_messages(services: Iterable[ServiceDescriptor]) -> frozenset[str]:
    """The messages of which an update sends a part."""
    found = set()
    for method in (method for service in services for method in service.methods):
        rule = method.GetOptions().Extensions[annotations_pb2.http]
        if rule.patch and rule.body != "*":
            found.add(constraints.message_of(method.input_type.fields_by_name[rule.body]).full_name)
    return frozenset(found)


def service_tags(comments: Comments, services: Mapping[str, Iterable[ServiceDescriptor]]) -> list[Schema]:
    """One tag a service, with the methods that HTTP does not reach."""
    return [
        {
            "name": service.full_name,
            "description": comments.get(service.full_name, ""),
            "x-displayName": service.name,
            "x-area": area,
            "x-grpc-only": [
                grpc_only(method, comments)
                for method in service.methods
                if not method.GetOptions().Extensions[annotations_pb2.http].WhichOneof("pattern")
            ],
        }
        for area, found in services.items()
        for service in found
    ]


def grpc_only(method: MethodDescriptor, comments: Comments) -> Schema:
    """A method that is called over gRPC alone."""
    rule = rule_of(method)
    return {
        "name": method.name,
        "description": "\n\n".join([comments.get(method.full_name, ""), rules.sentence_of(rule)]),
        "x-grpc-method": f"/{method.containing_service.full_name}/{method.name}",
    }


def license_of() -> Schema:
    """The licence of the interface."""
    return {"name": "European Union Public Licence 1.2", "identifier": "EUPL-1.2"}


def security_scheme() -> Schema:
    """How a caller proves itself."""
    return {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "An access token of the mesh (RFC 9068), from `/oauth2/token`. It lives five minutes.",
    }


def headers() -> Schema:
    """The headers that answers share."""
    return {
        "x-trace-id": {
            "description": "The trace of the call, 32 hexadecimal digits. The operator finds it by this id.",
            "schema": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
        },
        "retry-after": {
            "description": "How many seconds to wait before the next try (RFC 9110).",
            "schema": {"type": "string", "pattern": "^[0-9]+$"},
        },
        "www-authenticate": {
            "description": "How to prove who calls (RFC 6750).",
            "schema": {"type": "string"},
        },
    }
