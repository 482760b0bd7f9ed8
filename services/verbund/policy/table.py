"""The rule table: what the option `verbund.policy.v1.rule` says of every method, read from the descriptors."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor

from verbund.policy.v1 import policy_pb2 as pb

# The assurance levels as tokens, refusals and documents write them, in rising order.
ASSURANCES: Mapping[str, int] = {
    name.removeprefix("ASSURANCE_").lower(): number for name, number in pb.Assurance.items() if number
}
ASSURANCE_NAMES: Mapping[int, str] = {number: name for name, number in ASSURANCES.items()}


class PolicyError(ValueError):
    """A method or route has no rule, or one that contradicts itself. The message names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Who may call, and how the mesh treats the call; the enums are the numbers of `policy.proto`."""

    name: str
    permission: str
    audience: int
    least_assurance: int
    rate: int
    safe_to_retry: bool = False

    def __post_init__(self) -> None:
        """Refuses a rule that says too little, or two things."""
        if not self.name:
            raise PolicyError("a rule needs a name")
        if not self.audience or not self.rate:
            raise PolicyError(f"the rule {self.name} must say its audience and its rate class")
        open_to_all = self.audience in (pb.AUDIENCE_PUBLIC, pb.AUDIENCE_SIGNED_IN)
        if open_to_all == bool(self.permission):
            raise PolicyError(
                f"the rule {self.name} must name a permission exactly where its audience is MEMBER or OPERATOR"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRoute:
    """A plain HTTP route of an area that a standard obliges to speak HTTP."""

    area: str
    methods: tuple[str, ...]
    path: str  # exact; with a trailing slash, everything below it
    rule: Rule
    browser: bool = False  # browsers come here with a session
    cookies: tuple[str, ...] = ()  # the names of those that it sees of the browser's; most routes see none
    streaming: bool = False  # its bodies may be of any size, and take as long as a stream may
    refuses_itself: bool = False  # who has no token gets as far as the area, which refuses them and can say more


RuleTable = Mapping[str, Rule]  # by full method path, "/verbund.registry.v1.ProjectService/GetProject"


def rules_of(services: Iterable[ServiceDescriptor]) -> RuleTable:
    """The rules of all methods of `services`; raises PolicyError where one has none."""
    return {path_of(method): rule_of(method) for service in services for method in service.methods}


def path_of(method: MethodDescriptor) -> str:
    """The path of a method on the wire, "/package.Service/Method"."""
    return f"/{method.containing_service.full_name}/{method.name}"


def rule_of(method: MethodDescriptor) -> Rule:
    """The rule of one method; raises PolicyError."""
    options = method.GetOptions()
    if not options.HasExtension(pb.rule):
        raise PolicyError(f"{method.full_name} has no rule: add `option (verbund.policy.v1.rule)` to it")
    stated: pb.Rule = options.Extensions[pb.rule]
    return Rule(
        name=stated.name or method.full_name,
        permission=stated.permission,
        audience=stated.audience,
        least_assurance=stated.least_assurance or pb.ASSURANCE_LOW,
        rate=stated.rate,
        safe_to_retry=stated.safe_to_retry,
    )
