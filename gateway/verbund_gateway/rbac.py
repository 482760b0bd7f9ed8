"""Who may call what: the rule of each route as Envoy's RBAC, on the route itself.

A route without a rule is refused by the filter's own default.
"""

from collections.abc import Iterable

from verbund.policy.roles import roles_holding
from verbund.policy.table import ASSURANCES, Rule
from verbund.policy.v1 import policy_pb2 as pb

from verbund_gateway import jwt
from verbund_gateway.extension import Config, extension, typed

FILTER = "envoy.filters.http.rbac"
# A policy has the name of the reason it refuses with; Envoy says it in the response code's details.
PERMISSION, ASSURANCE, TOKEN = "PERMISSION_MISSING", "ASSURANCE_TOO_LOW", "NO_TOKEN"


def default() -> Config:
    """The filter as the chain has it: a list of what is allowed, and it is empty."""
    return extension(FILTER, "extensions.filters.http.rbac.v3.RBAC", rules={"action": "ALLOW", "policies": {}})


def on_route(denied: Config) -> Config:
    """The filter on a route: everything is allowed but what is denied, by reason."""
    return {
        FILTER: typed(
            "extensions.filters.http.rbac.v3.RBACPerRoute", rbac={"rules": {"action": "DENY", "policies": denied}}
        )
    }


def policies(rule: Rule) -> Config:
    """What a rule denies, by reason.

    A call without a token is refused before; that it is denied here too makes this wall stand alone.
    """
    if rule.audience == pb.AUDIENCE_PUBLIC:
        return {}
    permitted = allowed(rule)
    denied = {PERMISSION if rule.permission else TOKEN: policy({"not_id": permitted})}
    if rule.least_assurance > pb.ASSURANCE_LOW:
        denied[ASSURANCE] = policy({"and_ids": {"ids": [permitted, {"not_id": assured(rule.least_assurance)}]}})
    return denied


def policies_of_known(rule: Rule) -> Config:
    """What a rule denies where the area itself refuses those without a token: to those who have one, the same.

    Who brings anything else as proof is not let pass as somebody who brings nothing.
    """
    unproven = {"and_ids": {"ids": [{"header": {"name": "authorization", "present_match": True}}, {"not_id": KNOWN}]}}
    return {TOKEN: policy(unproven)} | {
        reason: policy({"and_ids": {"ids": [KNOWN, *denied["principals"]]}})
        for reason, denied in policies(rule).items()
        if reason != TOKEN
    }


def allowed(rule: Rule) -> Config:
    """The callers with a token whose roles hold the rule's permission, and where need be are operators."""
    if not rule.permission:
        return KNOWN
    holders = roles(roles_holding(rule.permission))
    if rule.audience == pb.AUDIENCE_OPERATOR:
        return {"and_ids": {"ids": [roles({"operator"}), holders]}}
    return holders


def policy(principal: Config) -> Config:
    """A policy that matches whatever such a caller does on the route."""
    return {"permissions": [{"any": True}], "principals": [principal]}


def roles(names: Iterable[str]) -> Config:
    """The callers whose token lists one of the roles."""
    return claim("roles", {"list_match": {"one_of": one_of(names)}})


def assured(least: int) -> Config:
    """The callers who signed in with at least this assurance."""
    return claim("acr", one_of(enough(least)))


def one_of(values: Iterable[str]) -> Config:
    """A value that is one of these texts; of none, nothing is."""
    matchers: list[Config] = [{"string_match": {"exact": value}} for value in sorted(values) or [""]]
    return matchers[0] if len(matchers) == 1 else {"or_match": {"value_matchers": matchers}}


def enough(least: int) -> Iterable[str]:
    """The assurance levels that are at least as high."""
    return [name for name, level in ASSURANCES.items() if level >= least]


def claim(name: str, value: Config) -> Config:
    """The callers in whose verified token a claim has a value."""
    path = [{"key": jwt.CLAIMS}, {"key": name}]
    return {"sourced_metadata": {"metadata_matcher": {"filter": jwt.FILTER, "path": path, "value": value}}}


KNOWN = claim("sub", {"present_match": True})  # the callers with a token
