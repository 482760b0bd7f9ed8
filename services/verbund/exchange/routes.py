"""The plain HTTP route of the exchange, with its rule: length, ranges and validators of a file are HTTP's own."""

from verbund.policy.table import HttpRoute, Rule
from verbund.policy.v1 import policy_pb2 as pb

FILES_PATH = "/files/"
DOWNLOAD = Rule(
    name="exchange.documents.download",
    permission="exchange.documents.read",
    audience=pb.AUDIENCE_MEMBER,
    least_assurance=pb.ASSURANCE_LOW,
    rate=pb.RATE_BULK,
    safe_to_retry=True,
)

ROUTES: tuple[HttpRoute, ...] = (
    HttpRoute(area="exchange", methods=("GET", "HEAD"), path=FILES_PATH, rule=DOWNLOAD, streaming=True, browser=True),
)
