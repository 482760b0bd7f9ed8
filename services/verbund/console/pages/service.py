"""The page of one service: each method with who may call it, what it takes and answers, and what can go wrong."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from verbund.console.pages.fields import closure, field, listing, properties, references_of, type_of, type_section
from verbund.console.pages.frame import REFUSALS, page
from verbund.console.pages.markup import Markup, code, element, joined, link, prose, sample, spoken

Document = Mapping[str, Any]
Operation = Mapping[str, Any]
FIXERS = {
    "caller": "You, the caller",
    "caller_administrator": "The administrator of your organisation",
    "provider": "The organisation whose resource it is",
    "operator": "The operator of the mesh",
}
JSON = "application/json"


def operations_of(document: Document, tag: str) -> Iterator[tuple[str, str, Operation]]:
    """The operations of a tag, by path."""
    for path, item in document["paths"].items():
        for verb, operation in item.items():
            if tag in operation["tags"]:
                yield path, verb.upper(), operation


def service_page(document: Document, tag: Mapping[str, Any]) -> bytes:
    """The page of a tag."""
    found = list(operations_of(document, tag["name"]))
    methods = [method(document, path, verb, operation) for path, verb, operation in found]
    schemas = document["components"]["schemas"]
    used = [
        name
        for _, _, operation in found
        for part in ("requestBody", "parameters", "responses")
        for name in references_of(operation.get(part, {}))
    ]
    types = [type_section(name, schemas[name]) for name in closure(used, schemas) if not name.startswith("google.rpc.")]
    return page(
        tag["x-displayName"],
        element("p", code(tag["name"])),
        prose(tag["description"]),
        contents(found, tag.get("x-grpc-only", [])),
        *methods,
        *(grpc_only(each) for each in tag.get("x-grpc-only", [])),
        element("section", element("h2", "Types"), *types, id="types") if types else Markup(),
    )


def contents(found: list[tuple[str, str, Operation]], more: list[Mapping[str, Any]]) -> Markup:
    """What stands on the page."""
    entries = [
        element("li", link(f"#{operation['operationId']}", code(f"{verb} {path}")), " ", operation["summary"])
        for path, verb, operation in found
    ]
    entries += [element("li", link(f"#{each['name']}", code(each["name"])), " over gRPC only") for each in more]
    return element("nav", element("ul", *entries), aria_label="Methods")


def method(document: Document, path: str, verb: str, operation: Operation) -> Markup:
    """One operation."""
    name = operation["operationId"]
    told = [
        element("h2", link(f"#{name}", operation["summary"])),
        element("p", element("strong", verb), " ", code(path), class_="call"),
        prose(operation["description"]),
    ]
    if "x-grpc-method" in operation:
        told.append(element("p", "Over gRPC: ", code(operation["x-grpc-method"])))
    told += [
        element("h3", "Request"),
        listing(request_fields(operation)),
        *calls(operation),
        element("h3", "Answer"),
        *answer(document, operation),
        element("h3", "Refusals, by who can remove the cause"),
        refusals(document, operation),
    ]
    return element("section", *told, id=name)


def request_fields(operation: Operation) -> list[Markup]:
    """The parameters, and the fields of the body."""
    rows = [
        field(each["name"], each["schema"], each.get("description", ""), each["in"], needed(each))
        for each in operation["parameters"]
    ]
    body: Mapping[str, Any] = operation.get("requestBody", {"content": {}})
    for media, content in body["content"].items():
        schema = content["schema"]
        if media == JSON and "properties" in schema:
            rows += properties(schema)
        else:
            rows.append(field("body", schema, body.get("description", ""), media, needed(body)))
    return rows


def needed(part: Mapping[str, Any]) -> str:
    """The mark of what cannot be left out."""
    return "required" if part.get("required") else ""


def calls(operation: Operation) -> Iterator[Markup]:
    """The call with curl."""
    for each in operation.get("x-codeSamples", ()):
        yield sample(each["source"], f"Call with {each['lang']}")


def answer(document: Document, operation: Operation) -> Iterator[Markup]:
    """What comes back when it goes well."""
    for status, found in operation["responses"].items():
        if not status.startswith(("2", "3")):
            continue
        yield element("p", element("strong", status), " ", *answer_types(found))
        yield prose(found["description"])
        for content in found.get("content", {}).values():
            for value in example_values(document, content):
                text = json.dumps(value, ensure_ascii=False, indent=2)
                shown = sample(text, "Example of the answer")
                yield element("details", element("summary", "Example"), shown)


def answer_types(found: Mapping[str, Any]) -> Iterator[Markup]:
    """The media type of an answer, and its type."""
    for media, content in found.get("content", {}).items():
        yield joined(code(media), " ", type_of(content["schema"]) if "schema" in content else Markup())


def example_values(document: Document, content: Mapping[str, Any]) -> Iterator[Any]:
    """The examples of an answer."""
    for each in content.get("examples", {}).values():
        name = each["$ref"].rpartition("/")[2]
        yield document["components"]["examples"][name]["value"]


def refusals(document: Document, operation: Operation) -> Markup:
    """The reasons that can come, with their statuses, by who can remove the cause."""
    examples = document["components"]["examples"]
    found: dict[str, dict[str, list[str]]] = {}
    for status, response in operation["responses"].items():
        for reason in reasons_of(document, response):
            found.setdefault(examples[reason]["x-fixer"], {}).setdefault(reason, []).append(status)
    entries = [
        element("li", f"{FIXERS[fixer]}: ", *parted([reason_link(name, codes) for name, codes in found[fixer].items()]))
        for fixer in FIXERS
        if fixer in found
    ]
    return element("ul", *entries) if entries else element("p", "None of the mesh's own.")


def reasons_of(document: Document, response: Mapping[str, Any]) -> list[str]:
    """The reasons that a response can state."""
    if "$ref" in response:
        response = document["components"]["responses"][response["$ref"].removeprefix("#/components/responses/")]
    content = response.get("content", {}).get(JSON, {})
    return [name for name, each in content.get("examples", {}).items() if "x-fixer" in resolved(document, each)]


def resolved(document: Document, example: Mapping[str, Any]) -> Mapping[str, Any]:
    """An example by its reference, or as it stands."""
    name = example.get("$ref", "").rpartition("/")[2]
    found: Mapping[str, Any] = document["components"]["examples"].get(name, example)
    return found


def reason_link(reason: str, statuses: list[str]) -> Markup:
    """A reason with its statuses."""
    return joined(link(f"{REFUSALS}#{reason}", reason), f" ({', '.join(statuses)})")


def parted(items: list[Markup]) -> list[Markup]:
    """Items with commas between them."""
    return [joined(", " if index else "", item) for index, item in enumerate(items)]


def grpc_only(each: Mapping[str, Any]) -> Markup:
    """A method that HTTP does not reach."""
    return element(
        "section",
        element("h2", link(f"#{each['name']}", spoken(each["name"]))),
        element("p", "Over gRPC only: ", code(each["x-grpc-method"]), class_="call"),
        prose(each["description"]),
        id=each["name"],
    )
