"""What a page cannot show, said so that a person knows what happened, who can mend it, and how."""

from dataclasses import replace
from typing import Any

import grpc
from starlette.responses import Response

from verbund.console.routes import SESSION_COOKIES
from verbund.console.site.mail import Titles
from verbund.console.site.visit import Visit
from verbund.sdk.refusals import Refused
from verbund.serving.refusals import Refusal
from verbund.serving.status import CHALLENGES, advised, http_status_of, retry_seconds_of

RETRY_SECONDS = 2
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
WAIT = ("away", "busy")  # the kinds that pass by themselves
CODES = {code.value[0]: code for code in grpc.StatusCode}


def refusal_page(visit: Visit, refusal: Refusal | Refused, titles: Titles) -> Response:
    """The page of a refusal, ours or a service's: the same for what does not exist and for what may not be seen."""
    reason, code = refusal.reason, code_of(refusal)
    kind = KINDS.get(code, "fault")
    if kind == "unknown":
        return ended_page(visit, refusal, "refusal.html", kind=kind, reason=reason, rule="")
    # A service's own fault is ours, not the browser's: its text was written for programs.
    headers = {}
    seconds = retry_seconds_of(refusal) if isinstance(refusal, Refusal) else None
    if kind in WAIT:
        headers["Retry-After"] = str(seconds or RETRY_SECONDS)
    return visit.page(
        "refusal.html",
        status=http_status_of(code.value[0]),
        headers=headers,
        kind=kind,
        reason=reason,
        rule=refusal.metadata.get("rule", "") if kind == "forbidden" else "",
        organisation_title=titles.known(visit.organisation) or "",
    )


def ended_page(visit: Visit, refusal: Refusal | Refused, template: str, **values: Any) -> Response:
    """A page for somebody whose session is over: it shows nobody as signed in, and its links lead to the sign-on.

    The gateway takes a session's cookies for good until their token expires, also where the session ended elsewhere: so
    they are taken away.
    """
    headers = {"WWW-Authenticate": CHALLENGES[refusal.reason]} if refusal.reason in CHALLENGES else {}
    answer = replace(visit, principal=None).page(
        template, status=http_status_of(code_of(refusal).value[0]), headers=headers, **values
    )
    for name in SESSION_COOKIES.values():
        answer.delete_cookie(name, path="/", secure=True, httponly=True, samesite="lax")
    return answer


def code_of(refusal: Refusal | Refused) -> grpc.StatusCode:
    """What kind of refusal it is."""
    return refusal.code if isinstance(refusal, Refused) else CODES[advised(refusal.reason)[0]]
