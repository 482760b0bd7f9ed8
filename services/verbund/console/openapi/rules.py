"""What a rule says of an operation: who may call, in words, for readers, and as extensions, for programs."""

from verbund.console.openapi.constraints import Schema
from verbund.policy.roles import PERMISSIONS_OF, roles_holding
from verbund.policy.table import ASSURANCE_NAMES, ASSURANCES, Rule
from verbund.policy.v1 import policy_pb2

SCHEME = "meshToken"
RATES = {
    policy_pb2.RATE_READ: "reads",
    policy_pb2.RATE_WRITE: "changes",
    policy_pb2.RATE_BULK: "bulk transfers",
    policy_pb2.RATE_AUTHENTICATE: "sign-ins",
}


def audience_of(rule: Rule) -> str:
    """The name of a rule's audience."""
    return policy_pb2.Audience.Name(policy_pb2.Audience.ValueType(rule.audience)).removeprefix("AUDIENCE_")


def rate_of(rule: Rule) -> str:
    """The name of a rule's rate class."""
    return policy_pb2.Rate.Name(policy_pb2.Rate.ValueType(rule.rate)).removeprefix("RATE_")


def callers_of(rule: Rule) -> list[str]:
    """The roles that a rule lets in; none where it asks for no permission."""
    holders = roles_holding(rule.permission) if rule.permission else frozenset()
    allowed = holders & {"operator"} if rule.audience == policy_pb2.AUDIENCE_OPERATOR else holders
    return sorted(allowed)


def security_of(rule: Rule) -> list[Schema]:
    """The security requirement: a token of the mesh, or nothing."""
    return [] if rule.audience == policy_pb2.AUDIENCE_PUBLIC else [{SCHEME: []}]


def sentence_of(rule: Rule) -> str:
    """Who may call and how often, in words."""
    stronger = rule.least_assurance > ASSURANCES["low"]
    told = [
        who(rule),
        f"Sign-in of at least the assurance {ASSURANCE_NAMES[rule.least_assurance]}." if stronger else "",
        f"Counted among {RATES[policy_pb2.Rate.ValueType(rule.rate)]}.",
        "A repetition is harmless." if rule.safe_to_retry else "",
    ]
    return " ".join(sentence for sentence in told if sentence)


def who(rule: Rule) -> str:
    """Who may call, as a sentence."""
    if rule.audience == policy_pb2.AUDIENCE_PUBLIC:
        return "Open to anybody, without a token."
    if not rule.permission:
        return "Every caller with a token may call."
    roles = callers_of(rule)
    held = "every role holds it" if set(roles) == set(PERMISSIONS_OF) else f"held by {', '.join(roles)}"
    of = "operators" if rule.audience == policy_pb2.AUDIENCE_OPERATOR else "members"
    return f"For {of} with the permission `{rule.permission}` ({held})."


def extensions_of(rule: Rule) -> Schema:
    """What a rule says, for programs."""
    return {
        "x-rule": rule.name,
        "x-permission": rule.permission,
        "x-audience": audience_of(rule),
        "x-roles": callers_of(rule),
        "x-least-assurance": ASSURANCE_NAMES[rule.least_assurance],
        "x-rate": rate_of(rule),
        "x-safe-to-retry": rule.safe_to_retry,
    }
