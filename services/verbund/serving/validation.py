"""Whether the request keeps the constraints that its proto states (`buf.validate`), and what it is recognised by."""

import dataclasses
import hashlib
import itertools
from collections.abc import Iterator
from typing import Any

import protovalidate
from google.protobuf.message import DecodeError, Message

from verbund.serving import patterns
from verbund.serving.call import Call
from verbund.serving.refusals import Invalid, Violation
from verbund.serving.rpc import Behaviour, Rpc

# What is wrong with a larger request is said one thing at a time: its violations could take a thousand times its size.
EXPLAINED_BYTES_MAX = 16 * 1024
PATTERN = "string.pattern"


class Validation:
    """Reads the request's bytes and checks them against the proto."""

    def __init__(self) -> None:
        self._validator = protovalidate.Validator()

    def wrap(self, rpc: Rpc, behaviour: Behaviour) -> Behaviour:
        """Calls `behaviour` with a valid request, and its `request_id` in the call; raises Invalid."""
        kind = rpc.request
        if kind is None:
            return behaviour
        if rpc.takes_stream:
            return self._each(kind, behaviour)
        identified = "request_id" in kind.DESCRIPTOR.fields_by_name

        def validated(body: bytes, call: Call, *rest: Any) -> Any:
            request = self._read(kind, body)
            if identified and request.request_id:  # type: ignore[attr-defined]
                call = identify(request, call)
            return behaviour(request, call, *rest)

        return validated

    def _each(self, kind: type[Message], behaviour: Behaviour) -> Behaviour:
        """Calls `behaviour` with the valid messages of a stream as they come, when the first of them is there."""

        def validated(bodies: Iterator[bytes], call: Call, *rest: Any) -> Any:
            messages = (self._read(kind, body) for body in bodies)
            first = next(messages, None)
            if first is None:
                raise Invalid("", f"needs at least one {kind.DESCRIPTOR.full_name}")
            return behaviour(itertools.chain((first,), messages), call, *rest)

        return validated

    def _read(self, kind: type[Message], body: bytes) -> Message:
        """The valid message; raises Invalid."""
        request = parse(kind, body)
        self._check(request, explained=len(body) <= EXPLAINED_BYTES_MAX)
        return request

    def _check(self, request: Message, *, explained: bool) -> None:
        violations = self._validator.collect_violations(request, fail_fast=not explained)
        if violations:
            raise Invalid(*[Violation(path_of(violation.proto), description_of(violation)) for violation in violations])


def parse(kind: type[Message], body: bytes) -> Message:
    """The message that `body` holds; raises Invalid."""
    try:
        return kind.FromString(body)
    except DecodeError as error:
        raise Invalid("", f"is not a {kind.DESCRIPTOR.full_name}") from error


def identify(request: Any, call: Call) -> Call:
    """The call with the request's id, and the digest by which a repetition is told from another request."""
    request_id = request.request_id
    request.request_id = ""
    digest = hashlib.sha256(request.SerializeToString(deterministic=True)).digest()
    request.request_id = request_id
    return dataclasses.replace(call, request_id=request_id, request_digest=digest)


def description_of(violation: Any) -> str:
    """What is wrong, in words; by protovalidate's own where the rule says no pattern."""
    words = patterns.words_of(violation.rule_value) if violation.proto.rule_id == PATTERN else None
    return words or str(violation.proto.message)


def path_of(violation: Any) -> str:
    """The proto path of what is wrong, `project.parties[2].title`; a constraint on a whole message is named by its
    id.
    """
    if violation.field is None:
        return str(violation.rule_id)
    return ".".join(
        element.field_name + ("" if element.subscript is None else f"[{element.subscript.value}]")
        for element in violation.field.elements
    )
