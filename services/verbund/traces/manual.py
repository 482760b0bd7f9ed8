"""What Jaeger's query API takes and answers here: fragments for the OpenAPI document, by the names of the rules."""

from typing import Any

Fragment = dict[str, Any]
TITLE = "Jaeger's query API"
DESCRIPTION = "The traces that the mesh keeps, as Jaeger's UI and Grafana read them. For operators."
DURATION = r"^([0-9]{1,9}(\.[0-9]{0,9})?(ns|us|ms|s|m|h|d|w))+$"
TEXT: Fragment = {"type": "string", "maxLength": 1000}
ID: Fragment = {"type": "string", "pattern": "^[0-9a-f]{1,32}$"}
TIME: Fragment = {"type": "string", "pattern": "^[0-9]{1,18}$"}


def query(name: str, description: str, schema: Fragment, *, required: bool = False) -> Fragment:
    """A parameter of the query."""
    return {"name": name, "in": "query", "description": description, "schema": schema, "required": required}


def path(name: str, description: str, schema: Fragment, example: str) -> Fragment:
    """A part of the path."""
    stated: Fragment = {"name": name, "in": "path", "required": True, "description": description}
    return stated | {"schema": schema, "example": example}


def answers(description: str, data: Fragment) -> Fragment:
    """The answers of a question: Jaeger's own frame, or the gateway's refusal of who may not ask."""
    frame: Fragment = {"allOf": [{"$ref": "#/components/schemas/jaeger.Frame"}, {"properties": {"data": data}}]}
    either: Fragment = {
        "anyOf": [{"$ref": "#/components/schemas/jaeger.Frame"}, {"$ref": "#/components/schemas/google.rpc.Status"}]
    }
    told = {
        "400": "A parameter is missing or wrong.",
        "404": "There is nothing of that name.",
        "500": "A fault of the mesh.",
        "503": "Too many questions at the same time.",
    }
    return {"200": answer(description, frame)} | {status: answer(text, either) for status, text in told.items()}


def answer(description: str, schema: Fragment) -> Fragment:
    """An answer in JSON."""
    return {"description": description, "content": {"application/json": {"schema": schema}}}


NAMES: Fragment = {"type": ["array", "null"], "items": {"type": "string"}}
OBJECTS: Fragment = {"type": ["array", "null"], "items": {"type": "object"}}
TRACES: Fragment = {"type": ["array", "null"], "items": {"$ref": "#/components/schemas/jaeger.Trace"}}
SERVICE = "The name of a service, `registry`."
OPERATIONS: dict[str, Fragment] = {
    "traces.services.list": {
        "summary": "Lists the services that have spans",
        "responses": answers("Their names.", NAMES),
    },
    "traces.services.operations": {
        "path": "/api/services/{service}/operations",
        "summary": "Lists what a service's spans are called",
        "parameters": [path("service", SERVICE, {"type": "string", "pattern": "^[a-z][a-z0-9-]{0,62}$"}, "registry")],
        "responses": answers("The names of the spans.", NAMES),
    },
    "traces.operations.list": {
        "summary": "Lists what a service's spans are called, with their kinds",
        "parameters": [
            query("service", SERVICE, TEXT, required=True),
            query("spanKind", "Spans of this kind only: `client`, `server`, `internal`, `producer`, `consumer`.", TEXT),
        ],
        "responses": answers("The names of the spans, and their kinds.", OBJECTS),
    },
    "traces.traces.search": {
        "summary": "Finds traces",
        "parameters": [
            query("service", SERVICE + " Required, unless traces are named.", TEXT),
            query(
                "traceID", "Traces by their ids, instead of a search.", {"type": "array", "items": ID, "maxItems": 100}
            ),
            query("operation", "What a span is called.", TEXT),
            query("start", "From when on, in microseconds since 1970.", TIME),
            query("end", "Until when, in microseconds since 1970.", TIME),
            query("lookback", "How far back where `start` is not given.", {"type": "string", "pattern": DURATION}),
            query("minDuration", "Spans that took at least so long.", {"type": "string", "pattern": DURATION}),
            query("maxDuration", "Spans that took at most so long.", {"type": "string", "pattern": DURATION}),
            query("limit", "At most so many traces.", {"type": "integer", "minimum": 1, "maximum": 1500}),
            query("tags", "Tags that a span has, a JSON object of texts.", TEXT),
        ],
        "responses": answers("The traces.", TRACES),
    },
    "traces.traces.get": {
        "path": "/api/traces/{traceId}",
        "summary": "Reads one trace",
        "parameters": [
            path(
                "traceId",
                "The id that answers name in `x-trace-id`.",
                ID,
                "4bf92f3577b34da6a3ce929d0e0e4736",
            )
        ],
        "responses": answers("The trace.", TRACES),
    },
    "traces.dependencies.list": {
        "summary": "Counts which services call which",
        "parameters": [
            query("endTs", "Until when, in milliseconds since 1970.", TIME),
            query("lookback", "How far back, in milliseconds.", TIME),
        ],
        "responses": answers("Callers, called, and how often.", OBJECTS),
    },
}
SCHEMAS: dict[str, Fragment] = {
    "jaeger.Frame": {
        "type": "object",
        "description": "What every answer of Jaeger's query API has.",
        "properties": {
            "data": {"type": ["array", "null"]},
            "total": {"type": "integer"},
            "limit": {"type": "integer"},
            "offset": {"type": "integer"},
            "errors": {"type": ["array", "null"], "items": {"type": "object"}},
        },
        "required": ["data", "errors"],
    },
    "jaeger.Trace": {
        "type": "object",
        "description": "A trace as Jaeger's UI draws it.",
        "properties": {
            "traceID": {"type": "string"},
            "spans": {"type": "array", "items": {"type": "object"}},
            "processes": {"type": "object"},
        },
        "required": ["traceID", "spans", "processes"],
    },
}
