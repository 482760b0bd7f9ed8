"""What the exchange's plain HTTP route takes and answers: fragments for OpenAPI, by the names of the rules."""

from typing import Any

Fragment = dict[str, Any]
TITLE = "Documents over HTTP"
DESCRIPTION = "The content of documents, with length, ranges and validators as HTTP has them (RFC 9110)."
PART = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
STATUS: Fragment = {"application/json": {"schema": {"$ref": "#/components/schemas/google.rpc.Status"}}}
CONTENT: Fragment = {"*/*": {"schema": {"type": "string", "format": "binary"}}}


def path(name: str, description: str, example: str) -> Fragment:
    """A part of the path."""
    schema: Fragment = {"type": "string", "pattern": PART}
    stated: Fragment = {"name": name, "in": "path", "required": True, "description": description}
    return stated | {"schema": schema, "example": example}


def asked(name: str, description: str) -> Fragment:
    """A header of the request."""
    return {"name": name, "in": "header", "description": description, "schema": {"type": "string", "maxLength": 1000}}


def told(description: str) -> Fragment:
    """A header of the answer."""
    return {"description": description, "schema": {"type": "string"}}


VALIDATORS: Fragment = {
    "ETag": told("The SHA-256 of the content in hexadecimal digits, in quotation marks."),
    "Last-Modified": told("When it was uploaded."),
    "Repr-Digest": told("The SHA-256 of the whole content (RFC 9530)."),
}
HEADERS: Fragment = VALIDATORS | {
    "Content-Disposition": told("The name of the file (RFC 6266)."),
    "Accept-Ranges": told("`bytes`"),
}
OPERATIONS: dict[str, Fragment] = {
    "exchange.documents.download": {
        "path": "/files/organisations/{organisation}/deliveries/{delivery}/documents/{document}",
        "summary": "Downloads a document",
        "description": (
            "The path is `/files/` and the document's name. A download that breaks off is gone on with by a range: "
            "the length is said before, so that a part is never taken for the whole."
        ),
        "parameters": [
            path("organisation", "The sender.", "charlottenburg-wilmersdorf"),
            path("delivery", "The id of the delivery.", "projektauftrag-2026"),
            path("document", "The id of the document.", "auftrag"),
            asked("Range", "One range of bytes; of several, and of what is none, the whole content is sent."),
            asked("If-Range", "The ETag that the range is of; where the content is another, all of it is sent."),
            asked("If-None-Match", "ETags that the client has."),
        ],
        "responses": {
            "200": {"description": "The content.", "headers": HEADERS, "content": CONTENT},
            "206": {
                "description": "The range of the content.",
                "headers": HEADERS | {"Content-Range": told("Which bytes, and of how many.")},
                "content": CONTENT,
            },
            "304": {"description": "The client has it.", "headers": VALIDATORS},
            "404": {"description": "There is no such document for this caller.", "content": STATUS},
            "416": {
                "description": "The range begins beyond the end.",
                "headers": {"Content-Range": told("How many bytes there are.")},
                "content": STATUS,
            },
            "429": {"description": "Too many downloads at the same time, or too many calls.", "content": STATUS},
            "500": {"description": "A fault of the mesh, or the content is damaged.", "content": STATUS},
        },
        "curl": 'curl --cacert "$CA" -H "Authorization: Bearer $TOKEN" -OJ \\\n  "$MESH/files/$DOCUMENT"',
    },
}
