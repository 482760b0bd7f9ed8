"""A service of four methods, three of audiences and one that asks for assurance: what the catalogue lacks."""

from google.api import annotations_pb2
from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.descriptor import ServiceDescriptor
from verbund.policy.v1 import policy_pb2

PERMISSION = "registry.projects.read"  # held by every role
RULES = {
    "Public": policy_pb2.Rule(audience=policy_pb2.AUDIENCE_PUBLIC, rate=policy_pb2.RATE_AUTHENTICATE),
    "SignedIn": policy_pb2.Rule(audience=policy_pb2.AUDIENCE_SIGNED_IN, rate=policy_pb2.RATE_READ),
    "Operate": policy_pb2.Rule(
        audience=policy_pb2.AUDIENCE_OPERATOR, permission=PERMISSION, rate=policy_pb2.RATE_WRITE
    ),
    "Assured": policy_pb2.Rule(
        name="probe.assured",
        audience=policy_pb2.AUDIENCE_MEMBER,
        permission=PERMISSION,
        least_assurance=policy_pb2.ASSURANCE_SUBSTANTIAL,
        rate=policy_pb2.RATE_BULK,
    ),
}


def file(package: str, rules: dict[str, policy_pb2.Rule | None]) -> descriptor_pb2.FileDescriptorProto:
    """A proto file with a service `Probe`, and a method without a rule where its rule is None."""
    found = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto3")
    found.dependency.extend(["google/api/annotations.proto", "verbund/policy/v1/policy.proto"])
    found.message_type.add(name="Probed").field.add(name="name", number=1, type=9, label=1)
    service = found.service.add(name="Probe")
    for name, rule in rules.items():
        kind = f".{package}.Probed"
        method = service.method.add(name=name, input_type=kind, output_type=kind)
        method.options.Extensions[annotations_pb2.http].get = f"/v1/{{name=probes/*}}:{name}"
        if rule is not None:
            method.options.Extensions[policy_pb2.rule].CopyFrom(rule)
    return found


def service(package: str, rules: dict[str, policy_pb2.Rule | None] | None = None) -> ServiceDescriptor:
    """The service's descriptor. `package` is used once in a process."""
    described = file(package, dict(RULES) if rules is None else rules)
    pool = descriptor_pool.Default()
    return pool.AddSerializedFile(described.SerializeToString()).services_by_name["Probe"]
