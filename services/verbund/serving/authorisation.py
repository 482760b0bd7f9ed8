"""Whether the method's rule lets the caller in. Whose resource it is, the servicer decides."""

from typing import Any

from verbund.policy.roles import permissions_of
from verbund.policy.table import ASSURANCE_NAMES, Rule
from verbund.policy.v1 import policy_pb2
from verbund.serving.call import Call, Principal
from verbund.serving.refusals import Forbidden
from verbund.serving.rpc import Behaviour, Rpc


class Authorisation:
    """Applies each method's rule."""

    def wrap(self, rpc: Rpc, behaviour: Behaviour) -> Behaviour:
        """Calls `behaviour` where the rule allows it; raises Forbidden, naming the rule, where it does not."""

        def authorised(request: Any, call: Call, *rest: Any) -> Any:
            check(rpc.rule, call.principal)
            return behaviour(request, call, *rest)

        return authorised


def check(rule: Rule, principal: Principal) -> None:
    """Raises Forbidden where the rule does not let the principal in."""
    if rule.permission:
        operator_only = rule.audience == policy_pb2.AUDIENCE_OPERATOR
        if rule.permission not in permissions_of(principal.roles) or (operator_only and not principal.is_operator):
            raise Forbidden("PERMISSION_MISSING", rule=rule.name, permission=rule.permission)
    if principal.assurance < rule.least_assurance:
        least = ASSURANCE_NAMES[rule.least_assurance]
        raise Forbidden("ASSURANCE_TOO_LOW", rule=rule.name, leastAssurance=least)
