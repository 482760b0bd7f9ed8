"""Admitting organisations and their systems, as an operator does it through the API."""

import json
import uuid

import grpc
from joserfc.jwk import Key

from verbund.embedded.home import Home
from verbund.identity.invitations.joining import own_key
from verbund.identity.v1 import organisation_service_pb2 as organisations
from verbund.identity.v1 import system_service_pb2 as systems
from verbund.identity.v1.organisation_service_pb2_grpc import OrganisationServiceStub
from verbund.identity.v1.system_service_pb2_grpc import SystemServiceStub
from verbund.tour.creation import created
from verbund.tour.sample import Member

TIMEOUT_SECONDS = 15.0


def admit(channel: grpc.Channel, home: Home, member: Member) -> bool:
    """Admits an organisation with its system where they do not stand yet; whether anything was new."""
    key = key_of(home, member.system)
    public = json.dumps(key.as_dict(private=False))
    new = [create_organisation(channel, member), create_system(channel, member, public)]
    if not new[-1]:
        accept_key(channel, home, member)
    return any(new)


def key_of(home: Home, system: str) -> Key:
    """The system's private key in the home, made where it is missing, 0600 of the home's user."""
    with home.user.acting():
        return own_key(home.key_file(system))


def create_organisation(channel: grpc.Channel, member: Member) -> bool:
    """Whether the organisation is new."""
    request = organisations.CreateOrganisationRequest(
        organisation_id=member.organisation_id,
        organisation=organisations.Organisation(title=member.title),
        request_id=str(uuid.uuid4()),
    )
    create = OrganisationServiceStub(channel).CreateOrganisation
    return created(lambda: create(request, timeout=TIMEOUT_SECONDS))


def create_system(channel: grpc.Channel, member: Member, public_key: str) -> bool:
    """Whether the system is new."""
    request = systems.CreateSystemRequest(
        parent=member.organisation,
        system_id=member.system_id,
        system=systems.System(title=member.system_title, roles=member.roles),
        jwk=public_key,
        request_id=str(uuid.uuid4()),
    )
    create = SystemServiceStub(channel).CreateSystem
    return created(lambda: create(request, timeout=TIMEOUT_SECONDS))


def accept_key(channel: grpc.Channel, home: Home, member: Member) -> None:
    """Gives a system that stands the key in the home, where it has another: the home's keys were lost, say."""
    key = key_of(home, member.system)
    stub = SystemServiceStub(channel)
    standing = stub.GetSystem(systems.GetSystemRequest(name=member.system), timeout=TIMEOUT_SECONDS)
    if key.thumbprint() not in {known.kid for known in standing.keys}:
        public = json.dumps(key.as_dict(private=False))
        request = systems.AddSystemKeyRequest(name=member.system, jwk=public, request_id=str(uuid.uuid4()))
        stub.AddSystemKey(request, timeout=TIMEOUT_SECONDS)
