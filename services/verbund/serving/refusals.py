"""The refusals of the mesh: what domain code raises, and nothing else crosses a service's edge. Imports no gRPC.

Refusal
  Invalid          INVALID_ARGUMENT     BadRequest
  Absent           NOT_FOUND            ResourceInfo
  Exists           ALREADY_EXISTS       ResourceInfo
  StateForbids     FAILED_PRECONDITION  PreconditionFailure
  Stale            ABORTED
  Unauthenticated  UNAUTHENTICATED
  Forbidden        PERMISSION_DENIED
  Exhausted        RESOURCE_EXHAUSTED   RetryInfo
  Down             UNAVAILABLE          RetryInfo
  Late             DEADLINE_EXCEEDED
  Fault            INTERNAL
"""

from dataclasses import dataclass


class Answered(Exception):  # noqa: N818 - it is news, not an error
    """The request was answered before: `answer` is what was stored under its `request_id`."""

    def __init__(self, answer: bytes) -> None:
        super().__init__("answered before")
        self.answer = answer


class Refusal(Exception):  # noqa: N818 - the mesh's word for every error that a caller may see
    """A call refused for a reason of `verbund.errors.v1.Reason`, named without its prefix; callers see the metadata."""

    def __init__(self, reason: str, **metadata: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.metadata = metadata


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing that is wrong with a request: the proto path of the field and what it should be."""

    path: str
    description: str


class Invalid(Refusal):
    """The input is wrong: `Invalid("project.period", "ends before it begins")`, or several Violations."""

    def __init__(self, *violations: Violation | str, reason: str = "INPUT_INVALID") -> None:
        super().__init__(reason)
        if violations and isinstance(violations[0], str):
            path, description = violations
            self.violations: tuple[Violation, ...] = (Violation(str(path), str(description)),)
        else:
            self.violations = tuple(violation for violation in violations if isinstance(violation, Violation))


class Absent(Refusal):
    """There is no such resource for this caller: the same whether it does not exist or may not be seen."""

    def __init__(self, resource: str) -> None:
        super().__init__("NOT_FOUND", resource=resource)
        self.resource = resource


class Exists(Refusal):
    """The caller's organisation has a resource of that name."""

    def __init__(self, resource: str) -> None:
        super().__init__("ALREADY_EXISTS", resource=resource)
        self.resource = resource


class StateForbids(Refusal):
    """The resource's state does not allow the call; `type` is a constant, `description` a sentence."""

    def __init__(self, resource: str, *, type: str, description: str) -> None:  # noqa: A002 - PreconditionFailure's own word
        super().__init__("STATE_FORBIDS", resource=resource, type=type)
        self.resource = resource
        self.type = type
        self.description = description


class Stale(Refusal):
    """The resource was changed meanwhile."""

    def __init__(self, resource: str = "") -> None:
        super().__init__("STALE", **({"resource": resource} if resource else {}))


class Unauthenticated(Refusal):
    """The caller did not prove who it is; NO_TOKEN or TOKEN_INVALID, and no more is said."""


class Forbidden(Refusal):
    """The caller may not do this; the metadata names the rule."""


class Exhausted(Refusal):
    """A limit is reached; `limit` names it. `retry_seconds` is None where waiting alone does not help."""

    def __init__(
        self, *, limit: str, retry_seconds: float | None = 1.0, reason: str = "LIMIT_REACHED", **metadata: str
    ) -> None:
        super().__init__(reason, limit=limit, **metadata)
        self.retry_seconds = retry_seconds


class Down(Refusal):
    """A part that the call needs is not reachable."""

    def __init__(self, *, retry_seconds: float = 1.0) -> None:
        super().__init__("UNAVAILABLE")
        self.retry_seconds = retry_seconds


class Late(Refusal):
    """The call's deadline passed."""

    def __init__(self) -> None:
        super().__init__("DEADLINE_EXCEEDED")


class Fault(Refusal):
    """A fault of the mesh; the cause is in the log, never in the answer."""

    def __init__(self) -> None:
        super().__init__("INTERNAL")
