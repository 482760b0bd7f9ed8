"""The manual's first page, and the page of the refusals."""

import json
from collections.abc import Mapping
from typing import Any

from verbund.console.pages.frame import page
from verbund.console.pages.markup import Markup, code, element, joined, link, prose, sample
from verbund.console.pages.service import FIXERS, Document, operations_of


def contents_page(document: Document) -> bytes:
    """Every service with its methods."""
    info = document["info"]
    areas = list(dict.fromkeys(tag["x-area"] for tag in document["tags"]))
    return page(
        "The interface of the mesh",
        prose(info["description"]),
        *start(),
        *(area(document, name) for name in areas),
    )


def start() -> list[Markup]:
    """What the examples with curl take for granted."""
    told = (
        "The examples call the mesh at $MESH with the token in $TOKEN, and trust the authority in $CA. "
        "In the embedded mode:"
    )
    lines = (
        "MESH=https://127.0.0.1:8443",
        "CA=~/.local/share/verbund/tls/ca.pem",
        "TOKEN=$(verbund token organisations/charlottenburg-wilmersdorf/systems/projekte)",
    )
    shown = sample("\n".join(lines), "Before the examples")
    return [element("h2", "Before the examples"), element("p", told), shown]


def area(document: Document, name: str) -> Markup:
    """The services of an area."""
    tags = [tag for tag in document["tags"] if tag["x-area"] == name]
    return element("section", element("h2", name.capitalize()), *(service(document, tag) for tag in tags), id=name)


def service(document: Document, tag: Mapping[str, Any]) -> Markup:
    """A service with its methods."""
    target = f"/docs/{tag['name']}"
    first, _, _ = tag["description"].partition("\n\n")
    entries = [
        element("li", link(f"{target}#{found['operationId']}", code(f"{verb} {path}")), " ", found["summary"])
        for path, verb, found in operations_of(document, tag["name"])
    ]
    entries += [
        element("li", link(f"{target}#{each['name']}", code(each["name"])), " over gRPC only")
        for each in tag.get("x-grpc-only", ())
    ]
    return joined(element("h3", link(target, tag["x-displayName"])), prose(first), element("ul", *entries))


def refusals_page(document: Document) -> bytes:
    """Every reason of a refusal, with who can remove its cause."""
    found = {name: each for name, each in document["components"]["examples"].items() if "x-fixer" in each}
    listed = element("ul", *(element("li", link(f"#{name}", name), " ", found[name]["summary"]) for name in found))
    return page(
        "Refusals",
        prose("Every refusal has this shape. Branch on the `reason` of its first detail; the message is for people."),
        element("nav", listed, aria_label="Reasons"),
        *(reason(name, each) for name, each in found.items()),
    )


def reason(name: str, each: Mapping[str, Any]) -> Markup:
    """One reason."""
    text = json.dumps(each["value"], ensure_ascii=False, indent=2)
    statuses = ", ".join(map(str, each["x-statuses"]))
    retry = "A retry can help." if each["x-retry"] else "A retry does not help."
    shown = sample(text, f"Example of {name}")
    return element(
        "section",
        element("h2", link(f"#{name}", name)),
        prose(each["description"]),
        element("p", f"HTTP status {statuses}. {retry}"),
        element("p", element("strong", f"{FIXERS[each['x-fixer']]}: "), each["x-remedy"]),
        element("p", "Example: ", each["x-example"]),
        element("details", element("summary", "As JSON"), shown),
        id=name,
    )


def absent_page() -> bytes:
    """What stands where no page is."""
    return page("There is no such page", element("p", link("/docs", "Contents")))
