"""Providers as their protos have them, in and out."""

from typing import TypedDict

from verbund.identity.providers.domain import ClaimMapping, Provider, SignIn, State
from verbund.identity.providers.outbound import FetchError, target_of
from verbund.identity.v1 import provider_service_pb2 as pb
from verbund.policy.v1 import policy_pb2
from verbund.resources.times import timestamp
from verbund.serving.refusals import Invalid, Violation

STATES = {
    State.DRAFT: pb.PROVIDER_STATE_DRAFT,
    State.ACTIVE: pb.PROVIDER_STATE_ACTIVE,
    State.SUSPENDED: pb.PROVIDER_STATE_SUSPENDED,
}
CHANGEABLE = (
    "title",
    "issuer",
    "audience",
    "name_claim",
    "email_claim",
    "roles_claim",
    "role_mappings",
    "default_roles",
    "assurance_mappings",
    "required_claims",
    "email_domains",
)


class Content(TypedDict):
    """What callers say about a provider."""

    title: str
    issuer: str
    audience: str
    mapping: ClaimMapping
    email_domains: tuple[str, ...]


def content_of(provider: pb.Provider, *, mesh: str) -> Content:
    """What a caller says about a provider; raises Invalid where that cannot be. `mesh` is the mesh's own issuer."""
    violations = [*violations_of(provider, mesh)]
    if violations:
        raise Invalid(*violations)
    return Content(
        title=provider.title,
        issuer=provider.issuer,
        audience=provider.audience,
        mapping=mapping_of(provider),
        email_domains=tuple(provider.email_domains),
    )


def violations_of(provider: pb.Provider, mesh: str) -> list[Violation]:
    """What the proto's constraints cannot say."""
    found = []
    if not provider.title:  # an update may clear what a request must have
        found.append(Violation("provider.title", "value is required"))
    try:
        target = target_of(provider.issuer)
    except FetchError as error:
        found.append(Violation("provider.issuer", str(error)))
    else:
        if "?" in target.path or provider.issuer == mesh:
            found.append(Violation("provider.issuer", "has a query, or is the mesh itself"))
    if not provider.audience:
        found.append(Violation("provider.audience", "value is required"))
    if len({stated.acr for stated in provider.assurance_mappings}) < len(provider.assurance_mappings):
        found.append(Violation("provider.assurance_mappings", "maps an `acr` twice"))
    return found


def mapping_of(provider: pb.Provider) -> ClaimMapping:
    """The mapping that a caller states; one role at home may give several in the mesh."""
    roles: dict[str, tuple[str, ...]] = {}
    for mapped in provider.role_mappings:
        roles[mapped.value] = tuple(dict.fromkeys((*roles.get(mapped.value, ()), mapped.role)))
    return ClaimMapping(
        name_claim=provider.name_claim or "name",
        email_claim=provider.email_claim or "email",
        roles_claim=provider.roles_claim or "roles",
        roles=roles,
        default_roles=tuple(provider.default_roles),
        assurances={stated.acr: stated.assurance for stated in provider.assurance_mappings},
        required_claims=dict(provider.required_claims),
    )


def to_proto(provider: Provider) -> pb.Provider:
    """The provider as callers see it."""
    mapping = provider.mapping
    return pb.Provider(
        name=provider.name,
        title=provider.title,
        issuer=provider.issuer,
        audience=provider.audience,
        name_claim=mapping.name_claim,
        email_claim=mapping.email_claim,
        roles_claim=mapping.roles_claim,
        role_mappings=[
            pb.RoleMapping(value=value, role=role) for value, roles in mapping.roles.items() for role in roles
        ],
        default_roles=mapping.default_roles,
        assurance_mappings=[
            pb.AssuranceMapping(acr=acr, assurance=level(number)) for acr, number in mapping.assurances.items()
        ],
        required_claims=mapping.required_claims,
        email_domains=provider.email_domains,
        state=STATES[provider.state],
        etag=provider.etag,
        create_time=timestamp(provider.create_time),
        update_time=timestamp(provider.update_time),
    )


def level(number: int) -> policy_pb2.Assurance.ValueType:
    """An assurance as the protos' types name it."""
    return policy_pb2.Assurance.ValueType(number)


def outcome(sign_in: SignIn) -> pb.TestProviderResponse:
    """What would come of a good token."""
    return pb.TestProviderResponse(
        display_name=sign_in.display_name,
        email=sign_in.email,
        roles=sign_in.roles,
        assurance=level(sign_in.assurance),
    )
