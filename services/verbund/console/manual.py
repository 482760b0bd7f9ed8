"""What the console's routes answer: fragments for the OpenAPI document, by the names of the rules."""

from typing import Any

Fragment = dict[str, Any]
TITLE = "This manual"
DESCRIPTION = "The interface of the mesh, described for programs and for people."
ETAG = {"description": "Changes with the content (RFC 9110).", "schema": {"type": "string"}}
UNCHANGED: Fragment = {"description": "It is what the caller's `If-None-Match` names.", "headers": {"etag": ETAG}}
CONDITION: Fragment = {
    "name": "If-None-Match",
    "in": "header",
    "description": "The ETag of what the caller has already.",
    "schema": {"type": "string", "pattern": r"^[!-~]{0,200}$"},
}
PAGE: Fragment = {
    "name": "page",
    "in": "path",
    "required": True,
    "description": "The full name of a service, or `refusals`.",
    "schema": {"type": "string", "pattern": r"^[A-Za-z][A-Za-z0-9.]{0,99}$"},
    "example": "verbund.registry.v1.ProjectService",
}


def answers(description: str, media: str, schema: Fragment) -> Fragment:
    """The answers of a document that is read."""
    read = {"description": description, "headers": {"etag": ETAG}, "content": {media: {"schema": schema}}}
    return {"200": read, "304": UNCHANGED}


HTML: Fragment = {"type": "string"}
STATUS: Fragment = {"$ref": "#/components/schemas/google.rpc.Status"}
ABSENT: Fragment = {
    "description": "There is no such page.",
    "content": {"application/json": {"schema": STATUS}, "text/html": {"schema": HTML}},
}
OPERATIONS: dict[str, Fragment] = {
    "console.openapi.read": {
        "summary": "Reads this document",
        "description": "OpenAPI 3.1.",
        "parameters": [CONDITION],
        "responses": answers("The document.", "application/json", {"type": "object", "required": ["openapi", "paths"]}),
    },
    "console.contents.read": {
        "summary": "Shows the manual's table of contents",
        "description": "For people.",
        "parameters": [CONDITION],
        "responses": answers("The page.", "text/html", HTML),
    },
    "console.pages.read": {
        "path": "/docs/{page}",
        "summary": "Shows a page of the manual",
        "description": "For people.",
        "parameters": [PAGE, CONDITION],
        "responses": answers("The page.", "text/html", HTML) | {"404": ABSENT},
    },
    "console.protos.read": {
        "summary": "Gives every proto, with all that it imports",
        "description": "For clients in any language: unpacked, a plain `protoc` compiles them.",
        "parameters": [CONDITION],
        "responses": answers("The files.", "application/zip", {"type": "string", "format": "binary"}),
    },
}
