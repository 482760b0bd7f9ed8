"""AccessService: what a token says, and what its roles may do. Nothing is stored, so nothing is read."""

from google.protobuf.timestamp_pb2 import Timestamp

from verbund.identity.v1 import access_service_pb2 as pb
from verbund.policy.roles import permissions_of
from verbund.policy.v1 import policy_pb2
from verbund.serving.call import Call


class AccessServicer:
    """What callers may do in the mesh."""

    service = pb.DESCRIPTOR.services_by_name["AccessService"]

    def GetCaller(self, _request: pb.GetCallerRequest, call: Call) -> pb.Caller:
        """Tells who calls."""
        principal = call.principal
        return pb.Caller(
            subject=principal.subject,
            organisation=principal.organisation,
            person=principal.person or "",
            system=principal.system or "",
            roles=sorted(principal.roles),
            permissions=sorted(permissions_of(principal.roles)),
            assurance=policy_pb2.Assurance.ValueType(principal.assurance),
            expire_time=Timestamp(seconds=principal.expires_at),
        )
