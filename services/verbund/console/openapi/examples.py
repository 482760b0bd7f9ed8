"""Examples of messages: the sample's facts where it has some, else values that keep the constraints."""

import json
import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from google.api import field_behavior_pb2, resource_pb2
from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from verbund.console.openapi import constraints
from verbund.console.openapi.paths import alternatives_of, pattern_of
from verbund.console.openapi.schemas import WELL_KNOWN, is_map
from verbund.tour import sample

DEPTH_MAX = 4
LENGTH_MAX = 64
SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
UUID = "1f0b5c9e-6d0a-4c53-9f4e-5f1f6a8f2b11"
PERSON = "k5x7q2mdn4r6wv3jz7thy2c5ae"
# The public key of RFC 7517, appendix A.1.
JWK = {
    "kty": "EC",
    "crv": "P-256",
    "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
    "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
}
# The last part of a name, by its collection.
MEMBERS: Mapping[str, str] = {
    "organisations": "charlottenburg-wilmersdorf",
    "systems": "projekte",
    "providers": "bezirksamt",
    "people": PERSON,
    "mailboxes": "projekte",
    "deliveries": "projektauftrag-2026",
    "documents": "projektauftrag",
    "strategies": "gemeinsam-digital-berlin",
    "measures": "example",
    "projects": "charlottenburg-wilmersdorf.smart-space-hardenbergplatz",
}
DISTRICT, LAB = "organisations/charlottenburg-wilmersdorf", "organisations/citylab-berlin"
# By a field's name, for what no constraint tells. Addresses are of the names that RFC 2606 reserves.
FIELDS: Mapping[str, Any] = {
    "acr": "urn:example:two-factor",
    "actor": f"{LAB}/systems/portal",
    "assurance": "substantial",
    "audience": "verbund",
    "claimant": f"{LAB}/systems/portal",
    "display_name": "Example Person",
    "email": "person@example.org",
    "etag": "b1946ac92492d234",
    "explanation": "Example: a page is missing.",
    "file_name": "projektauftrag.pdf",
    "filter": 'owner = "organisations/charlottenburg-wilmersdorf"',
    "id_token": "eyJhbGciOiJFUzI1NiJ9.…",
    "issuer": "https://login.example.org",
    "jwk": json.dumps(JWK),
    "kid": "cn-I_WNMClehiVp51i_0VpOENW1upEerA8sEam5hn-s",
    "lease_seconds": 3600,
    "mailbox": f"{LAB}/mailboxes/projekte",
    "manifest_sha256": SHA256,
    "media_type": "application/pdf",
    "next_page_token": "CgwI",
    "organisation": DISTRICT,
    "owner": DISTRICT,
    "page_size": 50,
    "permissions": "registry.projects.read",
    "query": "Hardenbergplatz",
    "receiver": LAB,
    "reference": "Example 2026/1",
    "request_id": UUID,
    "resource": "projects/charlottenburg-wilmersdorf.smart-space-hardenbergplatz",
    "resume_token": "CgwI",
    "roles": "caseworker",
    "sender": DISTRICT,
    "sha256": SHA256,
    "size_bytes": "48213",
    "subject": "Example: project order",
    "title": "Example",
    "token": "eyJhbGciOiJFUzI1NiJ9.…",
    "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
}
WELL_KNOWN_VALUES: Mapping[str, Any] = {
    "google.protobuf.Timestamp": "2026-11-23T08:15:30Z",
    "google.protobuf.Duration": "30s",
}
# What every request may carry and no example needs: a condition, a page, a repetition.
LEFT_OUT = frozenset({"etag", "page_token", "resume_token", "page_size", "filter"})


@cache
def facts() -> Mapping[str, Mapping[str, Any]]:
    """What the sample says, by the message that says it."""
    read = sample.read()
    pilot, district = read.pilots[0], read.member("charlottenburg-wilmersdorf")
    as_json = json_format.MessageToDict
    return {
        "verbund.registry.v1.Project": as_json(pilot.content) | {"name": pilot.name, "owner": DISTRICT},
        "verbund.registry.v1.Strategy": as_json(read.strategy)
        | {"name": f"strategies/{read.strategy_id}", "owner": f"organisations/{read.strategy_owner}"},
        "verbund.registry.v1.LocalizedText": {"de": "Nur ein Beispiel.", "en": "An example only."},
        "verbund.registry.v1.Source": as_json(pilot.content.sources[0]),
        "verbund.identity.v1.Organisation": {"name": district.organisation, "title": district.title},
        "verbund.identity.v1.System": {
            "name": district.system,
            "title": district.system_title,
            "roles": list(district.roles),
        },
    }


def answer(message: Descriptor, depth: int = 0) -> dict[str, Any]:
    """What a service could answer. Recursion is bounded."""
    known = facts().get(message.full_name, {})
    found = {}
    for field in chosen(message, message.fields):
        # What the sample does not say of something real is not known, and not made up.
        told = not known or constraints.is_output(field) or field.name == "etag"
        made = value_of(field, message, depth) if told and field.name != "next_page_token" else None
        value = known.get(field.json_name, made)
        if value is not None:
            found[field.json_name] = value
    return found


def request(message: Descriptor, fields: Iterable[FieldDescriptor], depth: int = 0) -> dict[str, Any]:
    """What a caller could send in some fields: what is required, and what the sample says. Recursion is bounded."""
    known = facts().get(message.full_name, {})
    found = {}
    for field in chosen(message, fields):
        if not is_sent(field):
            continue
        needed = constraints.is_meant(field) or constraints.is_demanded(field) or field.name == "request_id"
        value = known.get(field.json_name)
        if value is None and needed:
            value = value_of(field, message, depth, sent=True)
        if value is not None:
            found[field.json_name] = value
    return found


def is_sent(field: FieldDescriptor) -> bool:
    """Whether an example of a request shows a field at all."""
    given = {field_behavior_pb2.OUTPUT_ONLY, field_behavior_pb2.IDENTIFIER}
    return field.name not in LEFT_OUT and not given & constraints.behaviours_of(field)


def chosen(message: Descriptor, fields: Iterable[FieldDescriptor]) -> list[FieldDescriptor]:
    """The fields without those that a oneof excludes: the one that tells the most stays."""
    told = [
        max(group.fields, key=lambda field: len(field.message_type.fields) if field.message_type else 0)
        for group in message.oneofs
        if len(group.fields) > 1
    ]
    return [field for field in fields if not grouped(field) or field in told]


def grouped(field: FieldDescriptor) -> bool:
    """Whether a field is one of several in a oneof."""
    return field.containing_oneof is not None and len(field.containing_oneof.fields) > 1


def value_of(field: FieldDescriptor, message: Descriptor, depth: int, *, sent: bool = False) -> Any:
    """A value for a field, None where there is nothing to show."""
    if depth >= DEPTH_MAX or is_map(field):
        return None
    value = single(field, message, depth, sent=sent)
    return [value] if field.is_repeated and value is not None else value


def single(field: FieldDescriptor, message: Descriptor, depth: int, *, sent: bool) -> Any:
    """One value for a field."""
    if field.message_type is not None:
        if field.message_type.full_name in WELL_KNOWN:
            return WELL_KNOWN_VALUES.get(field.message_type.full_name)
        inner = field.message_type
        return request(inner, inner.fields, depth + 1) if sent else answer(inner, depth + 1)
    rules = constraints.rules_of(field)
    rules = rules.repeated.items if field.is_repeated else rules
    if field.enum_type is not None:
        return enum_value(field.enum_type, constraints.excluded(rules))
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return text(field, message, constraints.keywords_of(rules))
    return FIELDS.get(field.name)


def enum_value(enum: EnumDescriptor, without: frozenset[int]) -> str:
    """The first value of an enum that means something."""
    return str(next((v.name for v in enum.values if v.number and v.number not in without), enum.values[0].name))


def text(field: FieldDescriptor, message: Descriptor, keywords: Mapping[str, Any]) -> str | None:
    """A text that keeps the constraints, preferably one for a field of that name."""
    resource = message.GetOptions().Extensions[resource_pb2.resource]
    patterns = list(resource.pattern) if field.name == "name" else []
    candidates = [
        *(named(pattern) for pattern in (*patterns, *reversed(alternatives_of(pattern_of(field))))),
        FIELDS.get(field.name),
        *keywords.get("enum", [])[:1],
        *(MEMBERS[name] for name in MEMBERS if field.name.removesuffix("_id") == name.removesuffix("s")),
        "example" if keywords or constraints.is_meant(field) else None,
        "2026-11",
        "https://example.org/",
        UUID if keywords.get("format") == "uuid" else None,
    ]
    return next((c for c in candidates if c and fits(c, keywords)), None)


def fits(value: Any, keywords: Mapping[str, Any]) -> bool:
    """Whether a text keeps constraints."""
    return (
        isinstance(value, str)
        and (not keywords.get("pattern") or re.search(keywords["pattern"], value) is not None)
        and value in keywords.get("enum", [value])
        and (keywords.get("format") != "uuid" or value == UUID)
        and len(value) <= keywords.get("maxLength", len(value))
    )


def member(collection: str, pattern: str) -> str:
    """The last part of a name of a collection, in the form that it has to have."""
    known = (MEMBERS.get(collection, ""), "example", *("a" * length for length in range(1, LENGTH_MAX)))
    return next((text for text in known if text and re.search(pattern, text)), "example")


def named(form: str) -> str | None:
    """A resource's name in a form such as `organisations/*/systems/*`, whatever stands for the parts that vary."""
    parts = form.split("/")
    if len(parts) < 2 or any(part not in MEMBERS for part in parts[::2]):  # noqa: PLR2004 - a collection and a member
        return None
    return "/".join(part if index % 2 == 0 else MEMBERS[parts[index - 1]] for index, part in enumerate(parts))
