"""People who sign in: a real provider over TLS, and identity that trusts it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import httpx
from verbund.identity.v1 import access_service_pb2 as access_pb
from verbund.identity.v1 import access_service_pb2_grpc as access_grpc
from verbund.identity.v1 import person_service_pb2 as people_pb
from verbund.identity.v1 import person_service_pb2_grpc as people_grpc
from verbund.identity.v1 import provider_service_pb2 as pb
from verbund.identity.v1 import provider_service_pb2_grpc as providers_grpc
from verbund.policy.v1 import policy_pb2
from verbund.serving.call import Principal

from tests.integration.identity.mesh import Mesh, Metadata, System, running
from tests.support.home_provider import CLIENT, HomeProvider

GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
ID_TOKEN, ACCESS_TOKEN, JWT = (
    f"urn:ietf:params:oauth:token-type:{kind}" for kind in ("id_token", "access_token", "jwt")
)


@dataclass
class SignIns:
    """A running identity, a provider that may be asked, and an organisation whose people sign in there."""

    mesh: Mesh
    home: HomeProvider
    organisation: str = "organisations/citylab"
    administrators: dict[str, System] = field(default_factory=dict)

    @cached_property
    def providers(self) -> providers_grpc.ProviderServiceStub:
        return providers_grpc.ProviderServiceStub(self.mesh.channel)

    @cached_property
    def people(self) -> people_grpc.PersonServiceStub:
        return people_grpc.PersonServiceStub(self.mesh.channel)

    @cached_property
    def access(self) -> access_grpc.AccessServiceStub:
        return access_grpc.AccessServiceStub(self.mesh.channel)

    def administrator(self, organisation: str) -> System:
        """The administrator's system of an organisation, admitted where it is not."""
        if organisation not in self.administrators:
            self.mesh.admit(organisation.partition("/")[2])
            self.administrators[organisation] = self.mesh.register(organisation, "administration", "admin")
        return self.administrators[organisation]

    def as_admin(self, organisation: str = "") -> Metadata:
        """The metadata of a call by an organisation's administrator."""
        return self.mesh.as_(self.administrator(organisation or self.organisation))

    def draft(self, provider: str, *, organisation: str = "", at: str = "home", **content: Any) -> pb.Provider:
        """A provider that was registered."""
        parent = organisation or self.organisation
        stated: dict[str, Any] = {
            "title": provider.title(),
            "issuer": self.home.issuer(at),
            "audience": CLIENT,
            "role_mappings": [pb.RoleMapping(value="staff", role="caseworker")],
        }
        request = pb.CreateProviderRequest(
            parent=parent, provider_id=provider, provider=pb.Provider(**stated | content)
        )
        return self.providers.CreateProvider(request, metadata=self.as_admin(parent))

    def activate(self, provider: pb.Provider, **token: Any) -> pb.Provider:
        """The provider, active after a token of it was tried."""
        at = provider.issuer.rpartition("/")[2]
        token = {"at": at, "aud": provider.audience} | token
        request = pb.ActivateProviderRequest(name=provider.name, home_token=self.home.token(**token))
        parent = provider.name.partition("/providers/")[0]
        return self.providers.ActivateProvider(request, metadata=self.as_admin(parent))

    def suspend(self, name: str) -> pb.Provider:
        """The provider, suspended."""
        request = pb.SuspendProviderRequest(name=name)
        return self.providers.SuspendProvider(request, metadata=self.as_admin(name.partition("/providers/")[0]))

    def test(self, name: str, home_token: str) -> pb.TestProviderResponse:
        """What would come of a token."""
        request = pb.TestProviderRequest(name=name, home_token=home_token)
        return self.providers.TestProvider(request, metadata=self.as_admin(name.partition("/providers/")[0]))

    def form(self, token: str, **fields: Any) -> dict[str, Any]:
        """The form of a token exchange; a field given as None is left out."""
        stated = {"grant_type": GRANT, "subject_token": token, "subject_token_type": ID_TOKEN} | fields
        return {name: value for name, value in stated.items() if value is not None}

    def exchange(self, token: str, **fields: Any) -> httpx.Response:
        """What a token exchange answers."""
        answer = self.mesh.http.post("/oauth2/token", data=self.form(token, **fields))
        assert answer.headers["cache-control"] == "no-store"
        return answer

    def token(self, subject: str = "anna", /, **claims: Any) -> str:
        """The mesh's token of a person."""
        answer = self.exchange(self.home.token(subject, **claims))
        assert answer.status_code == httpx.codes.OK, answer.text
        return str(answer.json()["access_token"])

    def principal(self, subject: str = "anna", **claims: Any) -> Principal:
        """Who a person is in the mesh."""
        return self.mesh.verifier.verify(self.token(subject, **claims))

    def as_person(self, subject: str = "anna", **claims: Any) -> Metadata:
        """The metadata of a call by a person."""
        return (("authorization", f"Bearer {self.token(subject, **claims)}"),)

    def person(self, name: str, metadata: Metadata) -> people_pb.Person:
        """A person as a caller reads them."""
        return self.people.GetPerson(people_pb.GetPersonRequest(name=name), metadata=metadata)

    def caller(self, metadata: Metadata) -> access_pb.Caller:
        """Who a caller is."""
        return self.access.GetCaller(access_pb.GetCallerRequest(), metadata=metadata)


def assurances(**mapped: int) -> list[pb.AssuranceMapping]:
    """What some `acr` values are worth."""
    return [
        pb.AssuranceMapping(acr=acr, assurance=policy_pb2.Assurance.ValueType(level)) for acr, level in mapped.items()
    ]


@contextmanager
def signing_in(dsn: str, home: HomeProvider) -> Iterator[SignIns]:
    """An identity whose CityLAB trusts the provider, until the end of the block."""
    with running(
        dsn,
        VERBUND_IDENTITY_PROVIDER_CA_FILE=str(home.ca_file),
        VERBUND_IDENTITY_PROVIDER_PRIVATE_ADDRESSES="true",
    ) as mesh:
        found = SignIns(mesh, home)
        found.activate(found.draft("home", assurance_mappings=assurances(gold=3, silver=2)))
        yield found
