"""What the mesh serves: the services of each area with their rules, and the HTTP routes."""

from collections.abc import Iterable, Mapping

from google.protobuf.descriptor import FileDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.rpc import error_details_pb2, status_pb2

from verbund.console.routes import ROUTES as CONSOLE_ROUTES
from verbund.errors.v1 import reason_pb2
from verbund.exchange.routes import ROUTES as EXCHANGE_ROUTES
from verbund.exchange.v1 import delivery_service_pb2, mailbox_service_pb2, upload_service_pb2
from verbund.identity.routes import ROUTES as IDENTITY_ROUTES
from verbund.identity.v1 import (
    access_service_pb2,
    invitation_service_pb2,
    organisation_service_pb2,
    person_service_pb2,
    provider_service_pb2,
    system_service_pb2,
)
from verbund.policy.table import HttpRoute, RuleTable, rules_of
from verbund.registry.v1 import change_service_pb2, project_service_pb2, strategy_service_pb2
from verbund.traces.routes import AREA as TRACES
from verbund.traces.routes import ROUTES as TRACES_ROUTES

FILES: dict[str, tuple[FileDescriptor, ...]] = {
    "identity": (
        organisation_service_pb2.DESCRIPTOR,
        system_service_pb2.DESCRIPTOR,
        provider_service_pb2.DESCRIPTOR,
        person_service_pb2.DESCRIPTOR,
        access_service_pb2.DESCRIPTOR,
        invitation_service_pb2.DESCRIPTOR,
    ),
    "exchange": (mailbox_service_pb2.DESCRIPTOR, delivery_service_pb2.DESCRIPTOR, upload_service_pb2.DESCRIPTOR),
    "registry": (strategy_service_pb2.DESCRIPTOR, project_service_pb2.DESCRIPTOR, change_service_pb2.DESCRIPTOR),
    "console": (),  # pages only
}
AREAS: dict[str, tuple[ServiceDescriptor, ...]] = {
    area: tuple(service for file in files for service in file.services_by_name.values())
    for area, files in FILES.items()
}
# By their full names, as reflection tells them.
SERVICES: tuple[str, ...] = tuple(service.full_name for services in AREAS.values() for service in services)
HTTP_ROUTES: tuple[HttpRoute, ...] = (*IDENTITY_ROUTES, *EXCHANGE_ROUTES, *TRACES_ROUTES, *CONSOLE_ROUTES)
# What is one process, however many workers the areas have.
SINGLE = frozenset({TRACES, "console"})


def rules(*areas: str) -> RuleTable:
    """The rules of the named areas' methods, of all areas where none is named; raises PolicyError where a method has
    none.
    """
    return rules_of(service for area in areas or AREAS for service in AREAS[area])


def descriptor_set(areas: Mapping[str, Iterable[ServiceDescriptor]] = AREAS) -> FileDescriptorSet:
    """Every proto that the areas speak, imports first: the services', and those of the details in refusals."""
    found = FileDescriptorSet()
    seen: set[str] = set()
    services = (service.file for offered in areas.values() for service in offered)
    for file in (*services, status_pb2.DESCRIPTOR, error_details_pb2.DESCRIPTOR, reason_pb2.DESCRIPTOR):
        add(found, file, seen)
    return found


def add(found: FileDescriptorSet, file: FileDescriptor, seen: set[str]) -> None:
    """Adds a file after those it imports. Recursion is bounded by the depth of imports."""
    if file.name in seen:
        return
    seen.add(file.name)
    for imported in file.dependencies:
        add(found, imported, seen)
    file.CopyToProto(found.file.add())
