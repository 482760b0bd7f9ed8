"""What the claims of a verified token of a provider give a person."""

import re
from collections.abc import Mapping
from typing import Any

from verbund.identity.providers.domain import ROLES, ClaimMapping, Fault, SignIn, TokenRefused
from verbund.policy.v1 import policy_pb2

SUBJECT_LENGTH_MAX = 255  # OpenID Connect Core, section 2
NAME_LENGTH_MAX = 200
EMAIL_LENGTH_MAX = 254  # RFC 5321, as RFC 3696's erratum 1690 counts it
ROLES_AT_HOME_MAX = 512
# Control characters, ends of lines, and the marks that turn text around, by which one name can look like another.
UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def sign_in(claims: Mapping[str, Any], mapping: ClaimMapping) -> SignIn:
    """What a person gets by these claims; raises TokenRefused. The times among them were checked."""
    for name, wanted in mapping.required_claims.items():
        if claim(claims, name) != wanted:
            raise TokenRefused(Fault.REQUIRED_CLAIM, f"the claim {name!r} is not what the provider's tokens must say")
    return SignIn(
        home_subject=subject(claims),
        display_name=text(claims, mapping.name_claim, NAME_LENGTH_MAX),
        email=text(claims, mapping.email_claim, EMAIL_LENGTH_MAX),
        roles=roles(claims, mapping),
        assurance=assurance(claims, mapping),
        expires_at=int(claims["exp"]),
    )


def claim(claims: Mapping[str, Any], name: str) -> Any:
    """The claim of that name; where there is none, dots lead into objects. None where that leads nowhere."""
    if name in claims or "." not in name:
        return claims.get(name)
    found: Any = claims
    for step in name.split("."):
        found = found.get(step) if isinstance(found, dict) else None
    return found


def subject(claims: Mapping[str, Any]) -> str:
    """The provider's own name for the person."""
    found = claims.get("sub")
    if not isinstance(found, str) or not 1 <= len(found) <= SUBJECT_LENGTH_MAX or UNPRINTABLE.search(found):
        raise TokenRefused(Fault.SUBJECT, f"`sub` is no text of 1 to {SUBJECT_LENGTH_MAX} printable characters")
    return found


def text(claims: Mapping[str, Any], name: str, length_max: int) -> str:
    """A claim that is shown to people; empty where it is missing."""
    found = claim(claims, name)
    if found is None:
        return ""
    if not isinstance(found, str) or len(found) > length_max or UNPRINTABLE.search(found):
        raise TokenRefused(Fault.CLAIM, f"the claim {name!r} is no text of at most {length_max} printable characters")
    return found


def roles(claims: Mapping[str, Any], mapping: ClaimMapping) -> tuple[str, ...]:
    """The person's roles in the mesh: those that the roles at home give, and those of everybody."""
    found = claim(claims, mapping.roles_claim)
    at_home = [] if found is None else [found] if isinstance(found, str) else found
    if not isinstance(at_home, list) or len(at_home) > ROLES_AT_HOME_MAX:
        raise TokenRefused(Fault.CLAIM, f"the claim {mapping.roles_claim!r} is no list of at most {ROLES_AT_HOME_MAX}")
    if not all(isinstance(role, str) for role in at_home):
        raise TokenRefused(Fault.CLAIM, f"the claim {mapping.roles_claim!r} holds something else than texts")
    given = {*mapping.default_roles, *(role for value in at_home for role in mapping.roles.get(value, ()))}
    if not given:
        raise TokenRefused(Fault.ROLES, "nothing gives the person a role: map one, or set default roles")
    return tuple(role for role in ROLES if role in given)


def assurance(claims: Mapping[str, Any], mapping: ClaimMapping) -> int:
    """What the sign-in is worth: LOW where the provider says nothing that is mapped."""
    found = claims.get("acr")
    if not isinstance(found, str | None):
        raise TokenRefused(Fault.CLAIM, "the claim 'acr' is no text")
    return mapping.assurances.get(found or "", policy_pb2.ASSURANCE_LOW)
