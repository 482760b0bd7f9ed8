"""The OpenAPI document says what the gateway routes, and nothing else."""

import json
import re
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import protovalidate
import pytest
from google.protobuf import json_format, message_factory
from google.protobuf.descriptor import MethodDescriptor
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import validate
from verbund.console.openapi import document as made
from verbund.console.openapi import plain, refusals
from verbund.console.openapi.operations import bindings_of
from verbund.console.openapi.paths import collections_of
from verbund.errors.v1 import reason_pb2
from verbund.policy import catalogue
from verbund.policy.table import ASSURANCES, HttpRoute, rule_of
from verbund_gateway.transcoding import bindings, path_regex

DOCUMENT: dict[str, Any] = json.loads((files("verbund.console") / "openapi.json").read_bytes())
METHODS = [method for services in catalogue.AREAS.values() for service in services for method in service.methods]
COLLECTIONS = collections_of({method.containing_service.file for method in METHODS})


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in DOCUMENT["paths"].items():
        for verb, operation in item.items():
            yield path, verb.upper(), operation


def schema_of(schema: dict[str, Any]) -> OAS31Validator:
    """A schema with everything that it may refer to."""
    return OAS31Validator({**schema, "components": DOCUMENT["components"]})


def name_of(value: Any) -> str:
    return value.full_name if isinstance(value, MethodDescriptor) else str(value)


def test_it_is_openapi() -> None:
    """A validator of another maker finds nothing wrong."""
    validate(DOCUMENT)
    assert DOCUMENT["openapi"].startswith("3.1.")
    assert [server["url"] for server in DOCUMENT["servers"]] == ["/"]


def test_every_binding_is_described_and_nothing_else() -> None:
    """Each JSON route of each RPC, each plain route, and no operation besides."""
    rpcs = {(f"/{m.containing_service.full_name}/{m.name}", verb) for m in METHODS for verb, _ in bindings(m)}
    described = [(op["x-grpc-method"], verb) for _, verb, op in operations() if "x-grpc-method" in op]
    assert set(described) == rpcs
    assert len(described) == sum(len(list(bindings(method))) for method in METHODS)
    routes = {(route.rule.name, verb) for route in catalogue.HTTP_ROUTES for verb in route.methods}
    assert {(op["x-rule"], verb) for _, verb, op in operations() if "x-grpc-method" not in op} == routes


@pytest.mark.parametrize("method", METHODS, ids=name_of)
def test_paths_are_those_that_the_gateway_takes(method: MethodDescriptor) -> None:
    """With the examples of its parameters, each path is one that the template in the proto takes."""
    for binding, (_, template) in zip(bindings_of(method, COLLECTIONS), bindings(method), strict=True):
        path = binding.path.text
        for parameter in DOCUMENT["paths"][path][binding.verb.lower()]["parameters"]:
            if parameter["in"] == "path":
                assert re.search(parameter["schema"]["pattern"], parameter["example"])
                path = path.replace(f"{{{parameter['name']}}}", parameter["example"])
        assert "{" not in path
        assert re.fullmatch(path_regex(template), path)


@pytest.mark.parametrize("method", METHODS, ids=name_of)
def test_rules_are_the_protos(method: MethodDescriptor) -> None:
    """Who may call is what the gateway checks."""
    rule = rule_of(method)
    for binding in bindings_of(method, COLLECTIONS):
        operation = DOCUMENT["paths"][binding.path.text][binding.verb.lower()]
        assert (operation["x-rule"], operation["x-permission"]) == (rule.name, rule.permission)
        assert bool(operation["security"]) == (operation["x-audience"] != "PUBLIC")
        assert operation["description"].strip()


@pytest.mark.parametrize("route", catalogue.HTTP_ROUTES, ids=lambda route: route.rule.name)
def test_every_plain_route_stands_in_a_manual(route: HttpRoute) -> None:
    """A route of plain HTTP says what it takes and answers, in the manual beside it."""
    manual = plain.manual_of(route.area)
    assert manual is not None, f"write services/verbund/{route.area}/manual.py"
    assert {"summary", "responses"} <= set(manual.OPERATIONS[route.rule.name])


def test_names_are_unique() -> None:
    """Programs that are generated from it have no two things of one name."""
    ids = [operation["operationId"] for _, _, operation in operations()]
    assert len(set(ids)) == len(ids)
    for path, _, operation in operations():
        names = [(parameter["in"], parameter["name"]) for parameter in operation["parameters"]]
        assert len(set(names)) == len(names), path


def test_patterns_can_be_read_by_others() -> None:
    """Every pattern is one that Python's expressions know too, and so nearly every tool."""
    for pattern in re.findall(r'"pattern": ("(?:[^"\\]|\\.)*")', json.dumps(DOCUMENT)):
        re.compile(json.loads(pattern))


def test_examples_keep_the_schemas() -> None:
    """Bodies, answers and refusals that it shows are such as it describes."""
    for path, verb, operation in operations():
        for content in operation.get("requestBody", {}).get("content", {}).values():
            if "example" in content:
                schema_of(content["schema"]).validate(content["example"])
        for response in operation["responses"].values():
            for example in examples_of(response):
                (content,) = response["content"].values()
                assert schema_of(content["schema"]).is_valid(example), (path, verb, example)
    for reason in refusals.reasons():
        schema_of({"$ref": "#/components/schemas/google.rpc.Status"}).validate(
            DOCUMENT["components"]["examples"][reason]["value"]
        )


def examples_of(response: dict[str, Any]) -> Iterator[Any]:
    for content in response.get("content", {}).values():
        for each in content.get("examples", {}).values():
            name = each.get("$ref", "").rpartition("/")[2]
            yield DOCUMENT["components"]["examples"].get(name, each)["value"]


@pytest.mark.parametrize("method", METHODS, ids=name_of)
def test_examples_of_bodies_are_accepted(method: MethodDescriptor) -> None:
    """What it shows as a body is a message, and keeps the constraints that the service checks."""
    for binding in bindings_of(method, COLLECTIONS):
        operation = DOCUMENT["paths"][binding.path.text][binding.verb.lower()]
        example = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("example")
        if example is None or binding.body == "*":
            continue
        kind = method.input_type.fields_by_name[binding.body].message_type
        assert kind is not None
        protovalidate.validate(json_format.ParseDict(example, message_factory.GetMessageClass(kind)()))


def test_every_reason_can_come_somewhere() -> None:
    """A refusal that no operation names is one that nobody is prepared for."""
    named = {name for response in DOCUMENT["components"]["responses"] for name in response.split(".")[1:]}
    stronger = any(rule_of(method).least_assurance > ASSURANCES["low"] for method in METHODS)
    missing = {name.removeprefix("REASON_") for name in reason_pb2.Reason.keys()[1:]} - named
    assert missing <= {*refusals.OF_STREAMS, *(() if stronger else ("ASSURANCE_TOO_LOW",))}


def test_a_reason_of_one_method_is_named_there_and_nowhere_else() -> None:
    """Nobody prepares for a full mailbox who only signs out."""
    operations = [each for item in DOCUMENT["paths"].values() for each in item.values() if isinstance(each, dict)]
    for reason, rule in refusals.OF_METHODS.items():
        naming = [each["x-rule"] for each in operations if f".{reason}" in json.dumps(each["responses"])]
        assert set(naming) == {rule}


def test_two_that_are_called_alike_are_refused() -> None:
    """Templates that OpenAPI cannot tell apart fail the generator: a parameter's name parts no paths."""
    paths = made.Paths()
    paths.add("/v1/a/{b}", "GET", {"operationId": "one"})
    paths.add("/v1/a/{b}", "PUT", {"operationId": "two"})
    for path, verb, name in (("/v1/a/{b}", "GET", "x"), ("/v1/a/{c}", "POST", "x"), ("/v1/b", "GET", "one")):
        with pytest.raises(made.CollisionError):
            paths.add(path, verb, {"operationId": name})
