"""Who may call what: the rule of each route as Envoy's RBAC, on the route itself. A route without a rule is refused by the filter's own default."""

from collections.abc import Iterable

from verbund.policy.roles import roles_holding
from verbund.policy.table import Rule
from verbund.policy.v1 import policy_pb2 as pb
from verbund_gateway import jwt
from verbund_gateway.extension import Config, extension, typed

FILTER = "envoy.filters.http.rbac"
ASSURANCES = {"low": pb.ASSURANCE_LOW, "substantial": pb.ASSURANCE_SUBSTANTIAL, "high": pb.ASSURANCE_HIGH}
# A policy has the name of the reason it refuses with; Envoy says it in the response code's details.
PERMISSION, ASSURANCE = "PERMISSION_MISSING", "ASSURANCE_TOO_LOW"


def default() -> Config:
    """The filter as the chain has it: a list of what is allowed, and it is empty."""
    return extension(FILTER, "extensions.filters.http.rbac.v3.RBAC", rules={"action": "ALLOW", "policies": {}})


def on_route(rule: Rule) -> Config:
    """The filter on the route of a rule: everything is allowed but what the rule denies."""
    return {FILTER: typed("extensions.filters.http.rbac.v3.RBACPerRoute", rbac={"rules": {"action": "DENY", "policies": policies(rule)}})}


def policies(rule: Rule) -> Config:
    """What a rule denies, by reason."""
    denied: Config = {}
    if rule.permission:
        permitted = allowed(rule)
        denied[PERMISSION] = policy({"not_id": permitted})
        if rule.least_assurance > pb.ASSURANCE_LOW:
            denied[ASSURANCE] = policy({"and_ids": {"ids": [permitted, {"not_id": assured(rule.least_assurance)}]}})
    elif rule.least_assurance > pb.ASSURANCE_LOW:
        denied[ASSURANCE] = policy({"not_id": assured(rule.least_assurance)})
    return denied


def allowed(rule: Rule) -> Config:
    """The callers whose roles hold the rule's permission and, where only operators may call, who are operators."""
    holders = {"or_ids": {"ids": [role(name) for name in sorted(roles_holding(rule.permission))] or [NOBODY]}}
    if rule.audience == pb.AUDIENCE_OPERATOR:
        return {"and_ids": {"ids": [role("operator"), holders]}}
    return holders


NOBODY: Config = {"not_id": {"any": True}}


def policy(principal: Config) -> Config:
    """A policy that matches whatever such a caller does on the route."""
    return {"permissions": [{"any": True}], "principals": [principal]}


def role(name: str) -> Config:
    """The callers whose token lists a role."""
    return claim("roles", {"list_match": {"one_of": {"string_match": {"exact": name}}}})


def assured(least: int) -> Config:
    """The callers who signed in with at least this assurance."""
    return {"or_ids": {"ids": [claim("acr", {"string_match": {"exact": name}}) for name in enough(least)]}}


def enough(least: int) -> Iterable[str]:
    """The assurance levels that are at least as high."""
    return [name for name, level in ASSURANCES.items() if level >= least]


def claim(name: str, value: Config) -> Config:
    """The callers in whose verified token a claim has a value."""
    path = [{"key": jwt.CLAIMS}, {"key": name}]
    return {"sourced_metadata": {"metadata_matcher": {"filter": jwt.FILTER, "path": path, "value": value}}}
