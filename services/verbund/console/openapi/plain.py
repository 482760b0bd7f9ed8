"""The plain HTTP routes as operations, from the manual beside each area's routes.

A manual, `verbund/<area>/manual.py`, has a TITLE, a DESCRIPTION, and OPERATIONS: by the name of a route's rule what the
route takes and answers, as fragments of OpenAPI. Its SCHEMAS are what they refer to. A route below which there are
others says as `path` what stands there.
"""

import importlib
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from typing import Any

from verbund.console.openapi import refusals, rules
from verbund.console.openapi.constraints import Schema
from verbund.console.openapi.refusals import Facts
from verbund.policy.table import HttpRoute

BODIES = ("POST", "PUT", "PATCH")


def manual_of(area: str) -> Any | None:
    """An area's manual, None where it has written none."""
    name = f"verbund.{area}.manual"
    return importlib.import_module(name) if find_spec(name) else None


def tag_of(area: str) -> str:
    """The tag of an area's plain HTTP routes."""
    return f"verbund.{area}.http"


def tags(areas: Iterable[str]) -> list[Schema]:
    """The tags of the areas, with their manuals' titles."""
    found = []
    for area in areas:
        manual = manual_of(area)
        title = manual.TITLE if manual else f"{area.capitalize()} over HTTP"
        text = manual.DESCRIPTION if manual else f"The plain HTTP routes of {area}."
        found.append({"name": tag_of(area), "description": text, "x-displayName": title, "x-area": area})
    return found


def schemas(areas: Iterable[str]) -> Schema:
    """The schemas of the areas' manuals."""
    return {name: schema for area in areas for name, schema in getattr(manual_of(area), "SCHEMAS", {}).items()}


def operations(route: HttpRoute) -> Iterator[tuple[str, str, Schema]]:
    """The path, the verb and the operation of each method of a route."""
    manual = manual_of(route.area)
    described = (manual.OPERATIONS if manual else {}).get(route.rule.name, {})
    path = described.get("path", route.path)
    for verb in route.methods:
        yield path, verb, operation(route, verb, described)


def operation(route: HttpRoute, verb: str, described: Schema) -> Schema:
    """One operation: what the manual says, and what the gateway adds to every route."""
    rule = route.rule
    name = rule.name.replace(".", "_") + ("" if verb == route.methods[0] else f"_{verb.lower()}")
    text = "\n\n".join(part for part in (described.get("description", ""), rules.sentence_of(rule)) if part)
    answers = {**described.get("responses", {"200": {"description": "Done."}})}
    if verb == "HEAD":
        answers = {status: without_content(answer) for status, answer in answers.items()}
    found: Schema = {
        "operationId": name,
        "tags": [tag_of(route.area)],
        "summary": described.get("summary", rule.name),
        "description": text,
        "parameters": described.get("parameters", []),
    }
    if "requestBody" in described and verb in BODIES:
        found["requestBody"] = described["requestBody"]
    found["responses"] = {**answers, **edge(route, verb, described, answers)}
    return found | {
        "security": rules.security_of(rule),
        **rules.extensions_of(rule),
        "x-codeSamples": [{"lang": "curl", "source": described.get("curl", curl(route, verb))}],
    }


def edge(route: HttpRoute, verb: str, described: Schema, answers: Schema) -> Schema:
    """The gateway's own refusals; where the area answers with the same status, that stands in its manual."""
    facts = Facts(
        rule=route.rule,
        changes=False,
        has_parameters=bool(described.get("parameters")),
        has_body=verb in BODIES,
        has_cursor=False,
        has_request_id=False,
    )
    found = refusals.refusals_of(facts)
    made = {status: refusals.response_of(status, reasons) for status, reasons in found.items()}
    if verb == "HEAD":
        made = {status: without_content(answer) for status, answer in made.items()}
    return {str(status): answer for status, answer in made.items() if str(status) not in answers}


def without_content(answer: Schema) -> Schema:
    """The answer to HEAD: headers only."""
    return {key: value for key, value in answer.items() if key != "content"}


def curl(route: HttpRoute, verb: str) -> str:
    """A call with curl."""
    flag = "--head" if verb == "HEAD" else f"-X {verb}"
    token = '-H "Authorization: Bearer $TOKEN" ' if rules.security_of(route.rule) else ""
    return f'curl --cacert "$CA" {token}{flag} "$MESH{route.path}"'
