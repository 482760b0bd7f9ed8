"""What a page cannot show, said so that a person knows what happened, who can mend it, and how."""

import grpc
from starlette.responses import Response

from verbund.console.site.mail import Titles
from verbund.console.site.visit import Visit
from verbund.sdk.refusals import Refused
from verbund.serving.refusals import Refusal
from verbund.serving.status import CHALLENGES, advised, http_status_of, retry_seconds_of

RETRY_SECONDS = 2
# The gateway's, of a session: it takes them for good until their token expires, also where the session ended elsewhere.
SESSION_COOKIES = tuple(f"__Host-verbund-{name}" for name in ("token", "hmac", "expires", "id", "refresh"))
KINDS = {
    grpc.StatusCode.INVALID_ARGUMENT: "invalid",
    grpc.StatusCode.NOT_FOUND: "absent",
    grpc.StatusCode.UNAUTHENTICATED: "unknown",
    grpc.StatusCode.PERMISSION_DENIED: "forbidden",
    grpc.StatusCode.FAILED_PRECONDITION: "state",
    grpc.StatusCode.ABORTED: "state",
    grpc.StatusCode.ALREADY_EXISTS: "state",
    grpc.StatusCode.RESOURCE_EXHAUSTED: "busy",
    grpc.StatusCode.UNAVAILABLE: "away",
    grpc.StatusCode.DEADLINE_EXCEEDED: "away",
}
CODES = {code.value[0]: code for code in grpc.StatusCode}


def refusal_page(visit: Visit, refusal: Refusal | Refused, titles: Titles) -> Response:
    """The page of a refusal, ours or a service's: the same for what does not exist and for what may not be seen."""
    reason = refusal.reason
    code = refusal.code if isinstance(refusal, Refused) else CODES[advised(reason)[0]]
    kind = KINDS.get(code, "fault")
    # A service's own fault is ours, not the browser's: its text was written for programs.
    headers = {}
    if reason in CHALLENGES:
        headers["WWW-Authenticate"] = CHALLENGES[reason]
    seconds = retry_seconds_of(refusal) if isinstance(refusal, Refusal) else None
    if kind in ("away", "busy"):
        headers["Retry-After"] = str(seconds or RETRY_SECONDS)
    answer = visit.page(
        "refusal.html",
        status=http_status_of(code.value[0]),
        headers=headers,
        kind=kind,
        reason=reason,
        rule=refusal.metadata.get("rule", "") if kind == "forbidden" else "",
        organisation_title=titles.known(visit.organisation) or "",
    )
    if kind == "unknown":  # the next click leads to the sign-on
        for name in SESSION_COOKIES:
            answer.delete_cookie(name, path="/", secure=True, httponly=True, samesite="lax")
    return answer
