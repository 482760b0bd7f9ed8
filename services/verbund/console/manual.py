"""What the console's routes take and answer: fragments for the OpenAPI document, by the names of the rules."""

from typing import Any

Fragment = dict[str, Any]
TITLE = "Pages"
DESCRIPTION = "What people work with in a browser, and the manual of the interface, for programs and for people."
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
PART = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
# A page says what it cannot show; what the gateway refuses itself, it says in JSON.
REFUSED: Fragment = {"application/json": {"schema": STATUS}, "text/html": {"schema": HTML}}
REFUSALS: dict[str, str] = {
    "400": "The address or the form is not one of ours, or the delivery does not allow it any more.",
    "401": "Nobody is signed in.",
    "403": "The person's roles do not allow it.",
    "404": "There is no such page, or it is not meant for the person.",
    "409": "Something was changed meanwhile.",
    "429": "Too many requests, or too large a form.",
    "503": "A service cannot be reached.",
    "504": "A service did not answer in time.",
}
LANGUAGE: Fragment = {
    "name": "lang",
    "in": "query",
    "description": "`de` or `en`; a cookie remembers it.",
    "schema": {"type": "string", "enum": ["de", "en"]},
}


def part(name: str, description: str, example: str) -> Fragment:
    """A part of the path."""
    stated: Fragment = {"name": name, "in": "path", "required": True, "description": description}
    return stated | {"schema": {"type": "string", "pattern": PART}, "example": example}


def query(name: str, description: str, characters_max: int) -> Fragment:
    """A parameter of the query."""
    schema: Fragment = {"type": "string", "maxLength": characters_max}
    return {"name": name, "in": "query", "description": description, "schema": schema}


def shown(description: str = "The page.") -> Fragment:
    """The answers of a person's page."""
    refused = {status: {"description": text, "content": REFUSED} for status, text in REFUSALS.items()}
    return {"200": {"description": description, "content": {"text/html": {"schema": HTML}}}, **refused}


DELIVERY: list[Fragment] = [
    part("organisation", "The sender.", "charlottenburg-wilmersdorf"),
    part("delivery", "The id of the delivery.", "projektauftrag-2026"),
]
TYPED: Fragment = {
    "type": "object",
    "required": ["action", "request_id"],
    "properties": {
        "action": {"type": "string", "enum": ["accept", "reject", "withdraw"]},
        "request_id": {"type": "string", "format": "uuid", "description": "Made when the form was shown."},
        "reason": {"type": "string", "maxLength": 100},
        "explanation": {"type": "string", "maxLength": 2000},
    },
}
DESK: dict[str, Fragment] = {
    "console.start.read": {
        "summary": "Shows what waits for a person",
        "description": "For people: deliveries that wait for their organisation, and those it waits for.",
        "parameters": [LANGUAGE],
        "responses": shown(),
    },
    "console.style.read": {
        "summary": "Gives the stylesheet of the pages",
        "description": "The one that all pages below `/console/` share.",
        "parameters": [CONDITION],
        "responses": answers("The stylesheet.", "text/css", {"type": "string"}),
    },
    "console.signed-in.read": {
        "summary": "Says that a person is signed in",
        "description": "For people: who signed in again in a new tab goes back to the other one.",
        "parameters": [LANGUAGE],
        "responses": shown(),
    },
    "console.signed-out.read": {
        "summary": "Says that a person is signed out",
        "description": "For people.",
        "parameters": [LANGUAGE],
        "responses": {"200": {"description": "The page.", "content": {"text/html": {"schema": HTML}}}},
    },
    "console.projects.list": {
        "summary": "Shows the projects that a person may see",
        "description": "For people: by name, or the best match of a search first.",
        "parameters": [
            query("q", "Words to find; a word may be misspelt.", 200),
            query("page", "Where the page starts, from the link of the page before.", 1024),
            LANGUAGE,
        ],
        "responses": shown(),
    },
    "console.projects.read": {
        "path": "/console/projects/{organisation}/{project}",
        "summary": "Shows a project",
        "description": "For people: its facts with their sources, and the deliveries that concern it.",
        "parameters": [
            part("organisation", "The owner.", "charlottenburg-wilmersdorf"),
            part("project", "The project's id within the organisation.", "hardenbergplatz"),
            LANGUAGE,
        ],
        "responses": shown(),
    },
    "console.deliveries.read": {
        "path": "/console/deliveries/{organisation}/{delivery}",
        "summary": "Shows a delivery",
        "description": "For people: its documents, what happened so far, whose turn it is, and what they can do.",
        "parameters": [*DELIVERY, LANGUAGE],
        "responses": shown(),
    },
    "console.decisions.make": {
        "path": "/console/decisions/{organisation}/{delivery}",
        "summary": "Takes the form of a delivery's page",
        "description": (
            "For people: accepts, rejects or withdraws. It is taken from the mesh's own pages only; programs call "
            "the exchange's methods. Who is not signed in any more gets a page with what they entered, to send again."
        ),
        "parameters": DELIVERY,
        "requestBody": {
            "required": True,
            "content": {"application/x-www-form-urlencoded": {"schema": TYPED}},
        },
        "responses": shown("The page, where the form was understood but not carried out.")
        | {"303": {"description": "It is done; the delivery's page shows it."}},
    },
}
OPERATIONS: dict[str, Fragment] = DESK | {
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
