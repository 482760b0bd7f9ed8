"""People sign in at home: their organisation's provider is trusted, and what it says of them becomes a mesh token."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from google.protobuf.field_mask_pb2 import FieldMask

from verbund.identity.v1 import access_service_pb2 as access
from verbund.identity.v1 import provider_service_pb2 as providers
from verbund.identity.v1.access_service_pb2_grpc import AccessServiceStub
from verbund.identity.v1.provider_service_pb2_grpc import ProviderServiceStub
from verbund.policy.table import ASSURANCE_NAMES
from verbund.provider import sample as homes
from verbund.sdk.client import Client
from verbund.tour.creation import created
from verbund.tour.mesh import Mesh
from verbund.tour.sample import Member, Sample
from verbund.tour.signing_in import SignInFailed, sign_in
from verbund.tour.steps import StepFailed, Told

TIMEOUT_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A person who has signed in, and their way into the mesh."""

    client: Client
    caller: access.Caller


def come_in(mesh: Mesh, sample: Sample, member: Member) -> Told[SignedIn]:
    """A person signs in at their own provider; the token from there becomes one of the mesh."""
    person = person_of(mesh, member, sample.people[member.organisation_id])
    try:
        home_token = sign_in(person["issuer"], ca=mesh.ca, username=person["username"], password=person["password"])
    except SignInFailed as error:
        raise StepFailed(str(error), f"see the logs of the provider in {mesh.home.log}") from error
    new = trust(mesh, sample, member, person["issuer"], home_token)
    client = mesh.person(home_token)
    caller = AccessServiceStub(client.channel).GetCaller(access.GetCallerRequest(), timeout=TIMEOUT_SECONDS)
    first = "The provider was tried with this token before it counts. " if new else ""
    line = f"A person of {member.title} signs in at their own provider, {person['issuer']}. {first}".rstrip()
    assurance = ASSURANCE_NAMES[caller.assurance]
    below = [f"the mesh knows them as {caller.subject}: {', '.join(caller.roles)}, assurance {assurance}, and no name"]
    facts = {"subject": caller.subject, "roles": list(caller.roles), "assurance": assurance, "issuer": person["issuer"]}
    return Told(line, SignedIn(client, caller), facts, below)


def person_of(mesh: Mesh, member: Member, username: str) -> Mapping[str, str]:
    """The sample's person of an organisation, as ready.json has them."""
    people: list[dict[str, str]] = mesh.ready()["people"]
    for person in people:
        if (person["organisation"], person["username"]) == (member.organisation, username):
            return person
    raise StepFailed(f"{member.title} has no person to sign in.", "start the mesh with a provider: `verbund up`")


def trust(mesh: Mesh, sample: Sample, member: Member, issuer: str, home_token: str) -> bool:
    """Whether the provider is new to the mesh: then the organisation names it, and tries it with a token of its own."""
    stub = ProviderServiceStub(mesh.client(member.system).channel)
    provider_id = id_for(stub, sample, member, issuer)
    name = f"{member.organisation}/providers/{provider_id}"
    wanted = providers.Provider()
    wanted.CopyFrom(sample.provider)
    wanted.issuer = issuer
    wanted.email_domains[:] = email_domains_of(member)
    request = providers.CreateProviderRequest(
        parent=member.organisation, provider_id=provider_id, provider=wanted, request_id=str(uuid.uuid4())
    )
    created(lambda: stub.CreateProvider(request, timeout=TIMEOUT_SECONDS))
    known = stub.GetProvider(providers.GetProviderRequest(name=name), timeout=TIMEOUT_SECONDS)
    if known.email_domains != wanted.email_domains:  # of a tour that knew none
        named = providers.Provider(name=name, email_domains=wanted.email_domains)
        update = providers.UpdateProviderRequest(
            provider=named, update_mask=FieldMask(paths=["email_domains"]), request_id=str(uuid.uuid4())
        )
        known = stub.UpdateProvider(update, timeout=TIMEOUT_SECONDS)
    if known.state == providers.PROVIDER_STATE_ACTIVE:
        return False
    activate = providers.ActivateProviderRequest(
        name=name, home_token=home_token, etag=known.etag, request_id=str(uuid.uuid4())
    )
    stub.ActivateProvider(activate, timeout=TIMEOUT_SECONDS)
    return True


def email_domains_of(member: Member) -> list[str]:
    """The domains of the addresses that the built-in provider's people have there: whoever types one is led to it."""
    people = [person for home in homes.read() if home.name == member.organisation for person in home.people]
    return sorted({person.email.rpartition("@")[2] for person in people})


def id_for(stub: ProviderServiceStub, sample: Sample, member: Member, issuer: str) -> str:
    """The id of the provider with this issuer; a home that ran with another provider before has that one beside it."""
    request = providers.ListProvidersRequest(parent=member.organisation)
    listed = stub.ListProviders(request, timeout=TIMEOUT_SECONDS).providers
    known = {each.name.rpartition("/")[2]: each.issuer for each in listed}
    ours = [provider_id for provider_id, known_issuer in known.items() if known_issuer == issuer]
    names = (sample.provider_id, *(f"{sample.provider_id}-{number}" for number in range(2, len(known) + 2)))
    return ours[0] if ours else next(name for name in names if name not in known)
